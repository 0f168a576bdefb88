"""Switching rules off and on, pausing and moving them, from the list and from the editor."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.audit import recent_events
from app.db.types import format_instant
from app.errors import ConflictError
from app.rules.book.rule_book import Rule, RuleBook
from app.rules.editing.edit_rule import change_rule, delete_rule
from app.rules.editing.history import deletion_since
from app.rules.editing.rule_order import move_rule
from app.rules.editing.stored_rules import StoredRule, read_stored_rule
from app.rules.simulation.without_rule import WithoutRule, without_rule
from app.server.console.framework import Console, PageRequest, form_route, redirect
from app.server.request_text import whole_number
from app.translation import gettext, translatable

_TRIED: Final = 200  # events, which take some 10 ms
_OFFERED: Final = 300  # rules above which one can be put; of more, those nearby
_LONGEST_PAUSE_H: Final = 24 * 7


@dataclass(frozen=True, slots=True)
class Switched:
    """A rule that was just switched off or paused, what that does, and how it is undone."""

    rule: StoredRule
    text: str
    action: str
    undo: dict[str, str]


@dataclass(frozen=True, slots=True)
class RuleOrder:
    """Where a rule is in the matching order, and what switching it off would do.

    `others` are the rules above which it can be put, without those of a very long list. `is_movable`: it can
    be used, so that it has a place.
    """

    place: int
    rules: int
    others: Sequence[Rule]
    is_movable: bool
    if_off: str
    switched: Switched | None


def rule_switches_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the forms."""
    return [
        form_route(console, "/console/rules/{rule_id:record_id}/switch", switch, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:record_id}/pause", pause, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:record_id}/move", move, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:record_id}/delete", delete, Role.EDITOR),
    ]


async def switch(request: PageRequest) -> Response:
    is_on = request.field("enabled") == "on"
    await _change(request, {"enabled": is_on})
    return _back(request, "switched-on" if is_on else "", off="" if is_on else "off")


async def pause(request: PageRequest) -> Response:
    """Pause a rule for a number of hours from now, or without one end its pause."""
    hours = min(whole_number(request.field("hours")) or 0, _LONGEST_PAUSE_H)
    end = (request.context.now + timedelta(hours=hours)).replace(microsecond=0)
    await _change(request, {"paused_until": format_instant(end) if hours else None})
    return _back(request, "" if hours else "resumed", off="paused" if hours else "")


async def move(request: PageRequest) -> Response:
    """Put a rule above the one in the field `above`, or last."""
    rule_id, editor, above = _rule_id(request), request.signed_in.name, whole_number(request.field("above"))

    def unit(connection: Connection) -> None:
        _refuse_if_deleted(connection, request)
        move_rule(connection, rule_id, above, editor)

    await request.context.write(unit)
    return _back(request, "moved")


async def delete(request: PageRequest) -> Response:
    rule_id, editor = _rule_id(request), request.signed_in.name

    def unit(connection: Connection) -> None:
        _refuse_if_deleted(connection, request)
        delete_rule(connection, rule_id, editor, None)

    await request.context.write(unit)
    return redirect("/console/rules", "deleted")


def read_switched(connection: Connection, book: RuleBook, request: PageRequest, rule_id: int | None) -> Switched | None:
    """Return what the page before has switched off or paused: rule `rule_id`, as the address says."""
    kind = request.http.query_params.get("off")
    if kind not in {"off", "paused"} or rule_id is None or not request.may(Role.EDITOR):
        return None
    stored = read_stored_rule(connection, rule_id)
    found = effect_of_switching_off(connection, book, stored, request.context.now)
    text = f"{found.describe()[:1].upper()}{found.describe()[1:]}."
    if kind == "off":
        return Switched(stored, gettext("It is off. %(effect)s", effect=text), "switch", {"enabled": "on"})
    return Switched(stored, gettext("It is paused. %(effect)s", effect=text), "pause", {"hours": ""})


def read_order(connection: Connection, book: RuleBook, request: PageRequest, rule: StoredRule) -> RuleOrder:
    """Return what the page of a rule shows of its place and its switch."""
    order, known = book.rules, book.rule(rule.id)
    at = 0 if known is None else bisect_left(order, known.rank, key=attrgetter("rank"))
    first = max(0, min(at - _OFFERED // 2, len(order) - _OFFERED))
    others = [one for one in order[first : first + _OFFERED] if one.id != rule.id]
    if_off = effect_of_switching_off(connection, book, rule, request.context.now).describe()
    switched = read_switched(connection, book, request, rule.id)
    return RuleOrder(at + 1, len(order), others, known is not None, if_off, switched)


def effect_of_switching_off(connection: Connection, book: RuleBook, rule: StoredRule, now: datetime) -> WithoutRule:
    """Return what becomes of the latest events without a rule, whether it is switched off already or not."""
    row = {**rule.row, "id": rule.id, "enabled": True, "paused_until": None}
    events = recent_events(connection, rule.row.get("pattern"), _TRIED)
    hours = (now - events[-1].received_at).total_seconds() / 3600 if events else 1.0
    return without_rule(book.updated([row], (), book.version), rule.id, events, hours)


async def _change(request: PageRequest, columns: dict[str, Any]) -> None:
    rule_id, editor = _rule_id(request), request.signed_in.name

    def unit(connection: Connection) -> None:
        _refuse_if_deleted(connection, request)
        change_rule(connection, rule_id, columns, editor, None, whole=False)

    await request.context.write(unit)


def _refuse_if_deleted(connection: Connection, request: PageRequest) -> None:
    """Raise ConflictError if the rule was deleted since the version that the form names.

    SQL may give the id of a deleted rule to another one, which this form is not about.
    """
    version = whole_number(request.field("seen_version"))
    deleted = deletion_since(connection, _rule_id(request), version) if version else None
    if deleted is not None:
        raise ConflictError(
            translatable(
                "rule %(rule)s was deleted meanwhile by %(changed_by)s; nothing was changed",
                rule=repr(deleted.rule),
                changed_by=deleted.changed_by,
            )
        )


def _rule_id(request: PageRequest) -> int:
    return int(request.http.path_params["rule_id"])


def _back(request: PageRequest, done: str, *, off: str = "") -> Response:
    """Return to the page on which the form was: that of the rule, or the same place of the list."""
    rule_id = _rule_id(request)
    query = {"off": off, "done": done}
    if request.field("from_page") == "rule":
        path = f"/console/rules/{rule_id}"
    else:
        path = "/console/rules"
        query |= {
            "after": request.field("after"),
            "search": request.field("search"),
            "rule": str(rule_id) if off else "",
        }
    given = urlencode({name: value for name, value in query.items() if value})
    return redirect(f"{path}?{given}#rule-{rule_id}")
