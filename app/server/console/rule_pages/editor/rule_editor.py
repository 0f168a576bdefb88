"""The editor of a rule: its form, the test of a draft, and saving."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.audit import get_event
from app.db.rule_columns import COLUMN
from app.errors import ConflictError, EditedMeanwhileError, Problem
from app.rules.columns import WRITABLE, complete
from app.rules.editing.difference import compare_values
from app.rules.editing.edit_rule import change_rule, create_rule
from app.rules.editing.history import deletion_since
from app.rules.editing.stored_rules import StoredRule, read_stored_rule
from app.rules.warnings.rule_warnings import RuleWarning, saved_rule_warnings
from app.server.caches.objectives_cache import PAGE_WAIT_S, PAGE_WINDOWS
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.console.rule_pages.editor.call_fields import pattern_of_call
from app.server.console.rule_pages.editor.editor_facts import EditorFacts, read_facts, value_options
from app.server.console.rule_pages.editor.editor_state import Results, Shown, trial_values
from app.server.console.rule_pages.editor.hours_form import HoursForm, changed_hours, hours_form, sent_hours
from app.server.console.rule_pages.editor.pattern_form import (
    PatternForm,
    View,
    changed_form,
    form_as_sent,
    pattern_form,
    sent_pattern,
)
from app.server.console.rule_pages.editor.starting_points import STARTING_POINTS, starting_point
from app.server.console.rule_pages.rule_form import (
    FOLDED,
    HINTS,
    Fields,
    changed_values,
    fields_of,
    problems_by_field,
)
from app.server.console.rule_pages.rule_switches import RuleOrder, read_order
from app.server.request_text import whole_number
from app.server.workers.draft_simulation import simulate_form_draft
from app.server.workers.rule_jobs import FormDraft, SentForm, TriedDraft, form_draft, read_form_draft, try_form_draft
from app.translation import translatable
from app.webhook.event import BODY_DROPPED
from app.webhook.parse import prepare

_CHECKED_HERE: Final = 16 * 1024
"""Characters of a draft that are checked without a worker: within 3 ms."""


def rule_editor_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the editor."""
    return [
        page_route(console, "/console/rules/new", show_new, Role.EDITOR, shows_people=True),
        form_route(console, "/console/rules/new", save_new, Role.EDITOR),
        form_route(console, "/console/rules/check", check, Role.EDITOR),
        form_route(console, "/console/rules/part", change_part, Role.EDITOR),
        page_route(console, "/console/rules/values", show_values, Role.EDITOR, shows_people=True),
        page_route(console, "/console/rules/{rule_id:record_id}", show_rule),
        form_route(console, "/console/rules/{rule_id:record_id}", save_rule, Role.EDITOR),
    ]


async def show_new(request: PageRequest) -> Response:
    event_id, start = request.field("from"), starting_point(request.field("start"))
    copied = whole_number(request.field("copy"))
    if copied is not None:
        stored = await request.context.read(lambda connection: read_stored_rule(connection, copied))
        copy = {**stored.row, "name": f"{str(stored.row['name'])[:190]} (copy)"}
        return await _editor_of(request, copy, pattern_form(copy["pattern"]), Shown())
    row: dict[str, Any] = {"name": "", "agent_name": "", "pattern": {}}
    if event_id:
        record = await request.context.read(lambda connection: get_event(connection, event_id))
        if record.body is None:
            raise ConflictError(translatable("%(why)s: no rule can be made from it", why=BODY_DROPPED))
        document = prepare(record.body, record.project)
        pattern, offered = pattern_of_call(document, request.http.query_params.getlist("field"))
        return await _editor_of(request, row, pattern, Shown(call_fields=offered, is_changed=False))
    if start is None:
        return await _editor_of(request, row, pattern_form({}), Shown(is_changed=False))
    pattern = PatternForm(View.ROWS, "{}", start.lines)
    columns = await request.context.read(lambda c: start.columns_beside(request.context.book(c).rules))
    return await _editor_of(request, {**row, **columns}, pattern, Shown(start=start, is_changed=False))


async def save_new(request: PageRequest) -> Response:
    if request.field("part"):
        return await _changed_page(request)
    if request.field("submit") in {"try", "simulate"}:
        return await _tried(request)
    form = await _read_form_draft(request)
    if form.problems:
        return await _tried(request)
    editor = request.signed_in.name
    try:
        rule = await request.context.write(lambda c: create_rule(c, form.draft, editor, why=request.field("why")))
    except ConflictError as error:
        return await _editor(
            request, form.fields, form.pattern, form.hours, Shown(problems=[_of_name(error)], status=409)
        )
    return redirect(f"/console/rules/{rule.id}", "saved")


async def show_rule(request: PageRequest) -> Response:
    def load(connection: Connection) -> tuple[StoredRule, list[RuleWarning], RuleOrder]:
        stored, book = read_stored_rule(connection, rule_id), request.context.book(connection)
        known = book.rule(rule_id)
        traffic = request.context.traffic.read(connection)
        warnings = saved_rule_warnings(book, known, traffic) if known else []
        return stored, warnings, read_order(connection, book, request, stored)

    rule_id = request.http.path_params["rule_id"]
    rule, warnings, order = await request.context.read(load)
    figures, objectives = await asyncio.gather(
        request.context.statistics.get(24, rule_id=rule_id),
        request.context.objectives.get(PAGE_WINDOWS, rule_id=rule_id, wait_at_most_s=PAGE_WAIT_S),
    )
    is_rollout = rule.row.get("rollout_percent") not in {None, 100}
    rollout = await request.context.over_time.rollout(rule_id) if is_rollout else None
    results = Results(figures, objectives, rollout)
    shown = Shown(rule, tried=TriedDraft(warnings), results=results, is_changed=False, order=order)
    return await _editor_of(request, rule.row, pattern_form(rule.row.get("pattern")), shown)


async def save_rule(request: PageRequest) -> Response:
    rule_id, editor = request.http.path_params["rule_id"], request.signed_in.name
    version = whole_number(request.field("version"))
    expected = -1 if version is None else version
    # SQL may give the id of a deleted rule to another one, which this form must not overwrite.
    deleted = await request.context.read(lambda c: deletion_since(c, rule_id, expected) if version else None)
    if deleted is not None:
        return await _editor_with(request, await _read_form_draft(request), Shown(deleted=deleted, status=409))
    stored = await request.context.read(lambda c: read_stored_rule(c, rule_id))
    if request.field("part"):
        return await _changed_page(request, stored)
    if request.field("submit") in {"try", "simulate"}:
        return await _tried(request, stored)
    form = await _read_form_draft(request)
    if form.problems:
        return await _tried(request, stored)

    def unit(connection: Connection) -> StoredRule:
        why = request.field("why")
        return change_rule(connection, rule_id, form.draft, editor, expected, whole=True, why=why)

    try:
        await request.context.write(unit)
    except EditedMeanwhileError as error:
        present = await request.context.read(lambda c: read_stored_rule(c, rule_id))
        other_edit = list(compare_values("", dict(complete(present.row)), complete(form.draft)))
        shown = Shown(present, conflict=str(error), other_edit=other_edit, status=409)
        return await _editor_with(request, form, shown)
    except ConflictError as error:
        return await _editor(
            request, form.fields, form.pattern, form.hours, Shown(stored, [_of_name(error)], status=409)
        )
    return redirect(f"/console/rules/{rule_id}", "saved")


async def check(request: PageRequest) -> Response:
    """Answer the part of the editor that shows mistakes of the draft, or what it would do."""
    form, tried = await _try(request, whole_number(request.field("rule_id")), "/console/rules/check")
    # While the user types, what is required and still empty is no mistake.
    unfinished = form.pattern.unfinished
    missing = [one for one in form.problems if one.path in {"name", "agent_name"} and not form.draft[one.path]]
    wrong = [one for one in form.problems if one not in missing and one.message not in unfinished]
    facts = await read_facts(request, form.fields["agent_name"])
    return request.fragment(
        "rule_check.html",
        as_fragment=True,
        problems=wrong,
        missing=[one.path for one in missing],
        unfinished=unfinished,
        agent_known=facts.agent_known,
        **trial_values(tried),
    )


async def change_part(request: PageRequest) -> Response:
    """Answer the conditions or the hours after a button: another view, or a line or a group more or less."""
    if request.field("part").startswith("hours-"):
        hours, mistakes = changed_hours(_sent(request).hours, request.field("part"))
        return request.fragment("rule_hours.html", hours=hours, hours_problems=mistakes)
    pattern, problems = changed_form(_sent(request).pattern, request.field("part"))
    facts = await read_facts(request, "", pattern)
    return request.fragment("rule_pattern.html", **facts.of_pattern(pattern), pattern_problems=problems)


async def show_values(request: PageRequest) -> Response:
    """Answer the values that recent events have in a field."""
    return request.fragment("rule_values.html", value_suggestions=await value_options(request, request.field("field")))


async def _changed_page(request: PageRequest, rule: StoredRule | None = None) -> Response:
    sent, part = _sent(request), request.field("part")
    if part.startswith("hours-"):
        hours, problems = changed_hours(sent.hours, part)
        return await _editor(request, sent.fields, form_as_sent(sent.pattern), hours, Shown(rule, problems))
    pattern, problems = changed_form(sent.pattern, part)
    return await _editor(request, sent.fields, pattern, sent.hours, Shown(rule, problems))


async def _tried(request: PageRequest, rule: StoredRule | None = None) -> Response:
    form, tried = await _try(request, rule.id if rule else None, "/console/rules/" if rule else "/console/rules/new")
    status, found = 422 if form.problems else 200, None
    if request.field("submit") == "simulate" and not form.problems:
        since, replaces = request.context.now - timedelta(hours=24), rule.id if rule else None
        run, sent = request.context.workers.run, _sent(request)
        found = await run(request.signed_in.id, simulate_form_draft, sent, replaces, since, in_turn=True)
    return await _editor_with(request, form, Shown(rule, form.problems, tried, status=status, simulation=found))


async def _read_form_draft(request: PageRequest) -> FormDraft:
    sent = _sent(request)
    if sent.size <= _CHECKED_HERE:
        return form_draft(sent)
    return await request.context.workers.run(request.signed_in.id, read_form_draft, sent, in_turn=True)


async def _try(request: PageRequest, replaces: int | None, operation: str) -> tuple[FormDraft, TriedDraft]:
    # In turn: its author may have opened other rules in other tabs.
    run = request.context.workers.run
    form, tried = await run(request.signed_in.id, try_form_draft, _sent(request), replaces, in_turn=True)
    if tried.events:
        await request.note_read(operation)
    return form, tried


def _sent(request: PageRequest) -> SentForm:
    fields = {column: request.field(column) for column in WRITABLE}

    def every(name: str) -> Sequence[str]:
        return request.form.get(name, ())

    return SentForm(fields, sent_pattern(request.field, every), sent_hours(request.field, every))


def _of_name(error: ConflictError) -> Problem:
    return Problem("name", str(error))


async def _editor_with(request: PageRequest, form: FormDraft, shown: Shown) -> Response:
    return await _editor(request, form.fields, form.pattern, form.hours, shown)


async def _editor_of(request: PageRequest, row: Mapping[str, Any], pattern: PatternForm, shown: Shown) -> Response:
    fields = fields_of(row)
    return await _editor(request, fields, pattern, hours_form(fields["active_hours"]), shown)


async def _editor(
    request: PageRequest, fields: Fields, pattern: PatternForm, hours: HoursForm, shown: Shown
) -> Response:
    facts: EditorFacts = await read_facts(request, fields["agent_name"], pattern)
    by_field = problems_by_field(list(shown.problems))
    return request.page(
        "rule.html",
        status=shown.status,
        active="rules",
        folded=FOLDED,
        columns=COLUMN,
        hints=HINTS,
        changed_values=changed_values,
        fields=fields,
        rule=shown.rule,
        problems=list(shown.problems),
        by_field=by_field,
        pattern_problems=by_field.get("pattern", []),
        hours=hours,
        hours_problems=by_field.get("active_hours", []),
        opened="active_hours" if request.field("part").startswith("hours-") else "",
        call_fields=shown.call_fields,
        simulation=shown.simulation,
        call_id=request.http.query_params.get("from", ""),
        conflict=shown.conflict,
        other_edit=shown.other_edit,
        deleted=shown.deleted,
        missing=[],
        unfinished=[],
        why=request.field("why"),
        results=shown.results,
        start=shown.start,
        starts=STARTING_POINTS if shown.rule is None and not shown.is_changed else (),
        is_changed=shown.is_changed,
        order=shown.order,
        switched=shown.order.switched if shown.order else None,
        agents=facts.agents,
        agent_known=facts.agent_known,
        now=request.context.now,
        **facts.of_pattern(pattern),
        **trial_values(shown.tried),
    )
