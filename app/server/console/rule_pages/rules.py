"""The page Rules: the list in matching order, and the editor with its test of a draft."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.audit import DispatchStatistics, get_event
from app.errors import ConflictError, EditedMeanwhileError, Problem
from app.rules.columns import WRITABLE, complete
from app.rules.editing.difference import compare_values
from app.rules.editing.edit_rule import change_rule, create_rule, delete_rule
from app.rules.editing.stored_rules import StoredRule, read_stored_rule
from app.rules.warnings.rule_warnings import RuleWarning, saved_rule_warnings
from app.server.caches.objectives_cache import PAGE_WAIT_S, PAGE_WINDOWS, Objectives
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.console.rule_pages.rule_form import (
    SECTIONS,
    Fields,
    fields_of,
    new_fields,
    problems_by_field,
    read_draft,
)
from app.server.console.rule_pages.rule_list import book_lines
from app.server.request_text import whole_number
from app.server.workers.rule_jobs import FormDraft, TriedDraft, read_form_draft, try_form_draft
from app.webhook.parse import prepare

_CHECKED_HERE: Final = 16 * 1024
"""Characters of a draft that are checked without a worker: within 3 ms."""


def rules_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Rules."""
    return [
        page_route(console, "/console/rules", show_rules),
        page_route(console, "/console/rules/new", show_new, Role.EDITOR, shows_people=True),
        form_route(console, "/console/rules/new", save_new, Role.EDITOR),
        form_route(console, "/console/rules/check", check, Role.EDITOR),
        page_route(console, "/console/rules/{rule_id:int}", show_rule),
        form_route(console, "/console/rules/{rule_id:int}", save_rule, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:int}/switch", switch, Role.EDITOR),
        form_route(console, "/console/rules/{rule_id:int}/delete", delete, Role.EDITOR),
    ]


async def show_rules(request: PageRequest) -> Response:
    start, search = whole_number(request.field("after")) or 0, request.field("search").strip()
    found = await request.context.read(lambda c: book_lines(c, request.context.book(c), start=start, search=search))
    return request.page("rules.html", active="rules", found=found, search=search)


async def show_new(request: PageRequest) -> Response:
    event_id, fields = request.field("from"), new_fields()
    if event_id:
        record = await request.context.read(lambda connection: get_event(connection, event_id))
        fields = new_fields(prepare(record.body, record.project))
    return _editor(request, fields)


async def save_new(request: PageRequest) -> Response:
    if request.field("submit") == "try":
        return await _tried(request)
    form = await _read_form_draft(request)
    if form.problems:
        return await _tried(request)
    draft = form.draft
    editor = request.signed_in.name
    try:
        rule = await request.context.write(lambda c: create_rule(c, draft, editor, why=request.field("why")))
    except ConflictError as error:
        return _editor(request, form.fields, problems=[Problem("name", str(error))], status=409)
    return redirect(f"/console/rules/{rule.id}", "saved")


async def show_rule(request: PageRequest) -> Response:
    def load(connection: Connection) -> tuple[StoredRule, list[RuleWarning]]:
        stored, book = read_stored_rule(connection, rule_id), request.context.book(connection)
        known = book.rule(rule_id)
        traffic = request.context.traffic.read(connection)
        return stored, saved_rule_warnings(book, known, traffic) if known else []

    rule_id = request.http.path_params["rule_id"]
    (rule, warnings), figures, objectives = await asyncio.gather(
        request.context.read(load),
        request.context.statistics.get(24, rule_id=rule_id),
        request.context.objectives.get(PAGE_WINDOWS, rule_id=rule_id, wait_at_most_s=PAGE_WAIT_S),
    )
    shown = _Results(figures, objectives)
    return _editor(request, fields_of(rule.row), rule=rule, tried=TriedDraft(warnings), results=shown)


async def save_rule(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    stored = await request.context.read(lambda c: read_stored_rule(c, rule_id))
    if request.field("submit") == "try":
        return await _tried(request, stored)
    form = await _read_form_draft(request)
    if form.problems:
        return await _tried(request, stored)
    fields, draft = form.fields, form.draft
    version = whole_number(request.field("version"))
    expected = -1 if version is None else version

    def unit(connection: Connection) -> StoredRule:
        why = request.field("why")
        return change_rule(connection, rule_id, draft, editor, expected, whole=True, why=why)

    try:
        await request.context.write(unit)
    except EditedMeanwhileError as error:
        present = await request.context.read(lambda c: read_stored_rule(c, rule_id))
        other_edit = list(compare_values("", dict(complete(present.row)), complete(draft)))
        return _editor(request, fields, rule=present, conflict=str(error), other_edit=other_edit, status=409)
    except ConflictError as error:
        return _editor(request, fields, rule=stored, problems=[Problem("name", str(error))], status=409)
    return redirect(f"/console/rules/{rule_id}", "saved")


async def switch(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    columns = {"enabled": request.field("enabled") == "on"}
    await request.context.write(lambda c: change_rule(c, rule_id, columns, editor, None, whole=False))
    return redirect("/console/rules", "saved")


async def delete(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    await request.context.write(lambda c: delete_rule(c, rule_id, editor, None))
    return redirect("/console/rules", "deleted")


async def check(request: PageRequest) -> Response:
    """Answer the part of the editor that shows mistakes of the draft, or what it would do."""
    form, tried = await _try(request, whole_number(request.field("rule_id")), "/console/rules/check")
    # While the user types, a required field that is still empty is no mistake.
    missing = [one for one in form.problems if one.path in {"name", "agent_name"} and not form.draft[one.path]]
    wrong = [one for one in form.problems if one not in missing]
    return request.fragment("rule_check.html", problems=wrong, missing=[one.path for one in missing], **_shown(tried))


async def _tried(request: PageRequest, rule: StoredRule | None = None) -> Response:
    form, tried = await _try(request, rule.id if rule else None, "/console/rules/" if rule else "/console/rules/new")
    status = 422 if form.problems else 200
    return _editor(request, form.fields, rule=rule, problems=form.problems, tried=tried, status=status)


@dataclass(frozen=True, slots=True)
class _Results:
    """The figures of the saved rule."""

    figures: DispatchStatistics
    objectives: Objectives


async def _read_form_draft(request: PageRequest) -> FormDraft:
    sent = _sent(request)
    if sum(map(len, sent.values())) <= _CHECKED_HERE:
        return FormDraft(*read_draft(sent.__getitem__))
    return await request.context.workers.run(request.signed_in.id, read_form_draft, sent)


async def _try(request: PageRequest, replaces: int | None, operation: str) -> tuple[FormDraft, TriedDraft]:
    # In turn: while a draft is checked, its author types on.
    run = request.context.workers.run
    form, tried = await run(request.signed_in.id, try_form_draft, _sent(request), replaces, in_turn=True)
    if tried.events:
        await request.note_read(operation)
    return form, tried


def _sent(request: PageRequest) -> Fields:
    return {column: request.field(column) for column in WRITABLE}


def _shown(tried: TriedDraft | None) -> dict[str, Any]:
    tried = tried or TriedDraft([])
    return {
        "tried": tried.events is not None,
        "warnings": tried.warnings,
        "events": tried.events or 0,
        "matching": tried.matching,
        "matches": tried.matches,
        "served": tried.served,
        "others": tried.others,
        "sample": tried.sample,
    }


def _editor(
    request: PageRequest,
    fields: Fields,
    *,
    rule: StoredRule | None = None,
    problems: list[Problem] | None = None,
    tried: TriedDraft | None = None,
    results: _Results | None = None,
    conflict: str = "",
    other_edit: list[Any] | None = None,
    status: int = 200,
) -> Response:
    by_field = problems_by_field(problems or [])
    return request.page(
        "rule.html",
        status=status,
        active="rules",
        sections=SECTIONS,
        fields=fields,
        rule=rule,
        problems=problems or [],
        by_field=by_field,
        conflict=conflict,
        other_edit=other_edit or [],
        missing=[],
        why=request.field("why"),
        results=results,
        **_shown(tried),
    )
