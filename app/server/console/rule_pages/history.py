"""The page History: changes of the rules with editor, time and reason, and reverting to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.errors import ConflictError, InvalidInputError
from app.rules.columns import WRITABLE
from app.rules.editing.difference import compare_values, is_effective
from app.rules.editing.history import RuleChange, history, reasons_of
from app.rules.editing.rule_set import revert_rules, undo_change
from app.rules.editing.undo.undo_set import plan_undo_set, sizes_of_sets, undo_set
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.request_text import whole_number
from app.translation import joined

_SHOWN: Final = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, with the reason that its editor gave; `is_current`: it is the latest of its rule.

    `made_with`: how many changes its change set has.
    """

    change: RuleChange
    why: str
    values: tuple[Any, ...]
    is_current: bool
    made_with: int


def history_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page History."""
    return [
        page_route(console, "/console/history", show_history),
        form_route(console, "/console/history/revert", revert_to, Role.EDITOR),
        form_route(console, "/console/history/undo", undo, Role.EDITOR),
        page_route(console, "/console/history/set", show_undo_of_set, Role.EDITOR),
        form_route(console, "/console/history/set", undo_whole_set, Role.EDITOR),
    ]


async def show_history(request: PageRequest) -> Response:
    name, version = request.field("rule") or None, whole_number(request.field("before"))

    def load(connection: Connection) -> list[Entry]:
        found = history(connection, name, limit=_SHOWN + 1, before_version=version)
        reasons = reasons_of(connection, found)
        sizes = sizes_of_sets(connection, [change.change_set for change in found if change.change_set])
        latest = {} if version else {change.rule_id: change.id for change in reversed(found)}
        return [
            Entry(
                change,
                reasons.get(change.id, ""),
                _values(change),
                latest.get(change.rule_id) == change.id and change.change != "delete",
                sizes.get(change.change_set or "", 1),
            )
            for change in found
        ]

    entries = await request.context.read(load)
    following = entries[_SHOWN - 1].change.id if len(entries) > _SHOWN else None
    return request.page("history.html", active="rules", entries=entries[:_SHOWN], name=name or "", following=following)


async def revert_to(request: PageRequest) -> Response:
    version, name = whole_number(request.field("version")), request.field("rule") or None
    wanted = -1 if version is None else version
    editor = request.signed_in.name
    await request.context.write(lambda c: revert_rules(c, wanted, name=name, editor=editor))
    return redirect("/console/rules", "reverted")


async def undo(request: PageRequest) -> Response:
    """Undo one change, and nothing that was changed since."""
    version, editor = whole_number(request.field("version")), request.signed_in.name
    wanted = 0 if version is None else version
    change = await request.context.write(lambda c: undo_change(c, wanted, editor))
    return redirect(f"/console/history?{urlencode({'rule': change.rule})}", "undone")


async def show_undo_of_set(request: PageRequest) -> Response:
    """Show what undoing a change set would change, and what was changed again since."""
    return await _preview(request, request.field("id"))


async def undo_whole_set(request: PageRequest) -> Response:
    """Undo a change set; with `skip_changed` but for what was changed again since."""
    change_set, skips = request.field("id"), bool(request.field("skip_changed"))
    unit = partial(undo_set, change_set=change_set, editor=request.signed_in.name, skip_changed=skips)
    try:
        undone = await request.context.write(unit)
    except ConflictError as error:
        return await _preview(request, change_set, str(error), 409)
    except InvalidInputError as error:
        return await _preview(request, change_set, joined("; ", error.problems), 422)
    if not undone.is_effective:
        return await _preview(request, change_set, status=409)
    return redirect("/console/history", "set-undone")


async def _preview(request: PageRequest, change_set: str, problem: str = "", status: int = 200) -> Response:
    plan = await request.context.read(partial(plan_undo_set, change_set=change_set))
    changes = [one for one in plan.differences if is_effective(one)]
    return request.page("undo_set.html", status=status, active="rules", plan=plan, changes=changes, problem=problem)


def _values(change: RuleChange) -> tuple[Any, ...]:
    if change.before is not None and change.after is not None:
        return change.values
    row = change.after or change.before or {}
    shown = {column: row.get(column) for column in WRITABLE if row.get(column) not in (None, "")}
    empty: dict[str, Any] = {}
    pairs = (empty, shown) if change.after is not None else (shown, empty)
    return tuple(compare_values("", *pairs))
