"""The jobs of workers: each is given the state of its worker and what a user sent, and returns what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from app.audit import recent_events
from app.db.columns.action_types import RuleAction
from app.errors import InvalidInputError, Problem
from app.flows.rule_trial import MOST_EVENTS, Trial, draft_warnings, require_good_rule, try_rule
from app.rules.book.rule_book import RuleBook
from app.rules.check import check_rule
from app.rules.columns import complete
from app.rules.editing import rule_set
from app.rules.editing.file_tables import FILE_TABLES
from app.rules.editing.rules_file import RulesFile, read_rules_file
from app.rules.editing.stored_rules import read_rules, rule_named
from app.rules.simulation.simulate import Simulation, draft_rows, simulate
from app.rules.simulation.traffic import read_traffic
from app.rules.warnings.rule_warnings import RuleWarning
from app.server.api.figures.statistics import MAX_HOURS
from app.server.api.framework.endpoint import load_json, require_object
from app.server.console.rule_pages.editor.hours_form import HoursForm, text_of_hours
from app.server.console.rule_pages.editor.pattern_form import PatternForm, SentPattern, form_as_sent, json_of
from app.server.console.rule_pages.rule_form import Fields, read_draft
from app.server.problems import problem_json
from app.server.workers.rule_worker import WorkerState

MAX_EVENTS: Final = 50_000
"""The most events that one web request goes through, which takes some seconds; the command line has no limit."""
_TRIALS_SHOWN: Final = 12
_TRIED_FIELDS: Final = ("pattern", "metadata", "attributes", "active", "time")
"""Beginnings of the fields without which a draft cannot be tested."""
_APPLY_OPTIONS: Final = {
    "delete": bool,
    "dry_run": bool,
    "expected_version": int,
    "expected_lookups_version": int,
    "expected_agents_version": int,
}
_FILE_KEYS: Final = tuple(table.key for table in FILE_TABLES)


def simulate_order(state: WorkerState, raw: bytes, now: datetime, projects: frozenset[str] | None = None) -> Simulation:
    """Return what the draft in a request of the API would have changed for events of `projects` (None: of all)."""
    order = require_object(load_json(raw))
    known = {"rules", "delete", "hours"}
    problems = [Problem(name, "is not a field of this request") for name in order if name not in known]
    hours, delete = order.get("hours", 24), order.get("delete", False)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_HOURS:
        problems.append(Problem("hours", f"must be a number of hours, at most {MAX_HOURS}", hours))
    if not isinstance(delete, bool):
        problems.append(Problem("delete", "must be true or false", delete))
    if problems:
        raise InvalidInputError("body", problems)
    since = now - timedelta(hours=hours)
    return _simulate(state, _file_of(order).rules, delete=delete, since=since, projects=projects)


def simulate_text(
    state: WorkerState, text: str, delete: bool, since: datetime, projects: frozenset[str] | None = None
) -> Simulation:
    """Return what the draft in a text, YAML or JSON, would have changed for the events received from `since` on.

    Only for those of `projects` (None: of all).
    """
    return _simulate(state, read_rules_file(text).rules, delete=delete, since=since, projects=projects)


def check_draft(state: WorkerState, raw: bytes) -> dict[str, Any]:
    """Return every problem and every warning of a draft of a rule."""
    draft = require_object(load_json(raw))
    problems = check_rule(draft)

    def load(connection: Connection) -> list[RuleWarning]:
        replaces = rule_named(connection, draft.get("name"))
        return draft_warnings(state.book(connection), draft, replaces=replaces, traffic=state.traffic.read(connection))

    return {
        "valid": not problems,
        "errors": [problem_json(problem) for problem in problems],
        "warnings": [one.to_json() for one in state.read(load)],
    }


def try_draft(state: WorkerState, raw: bytes) -> dict[str, Any]:
    """Return what a draft of a rule does with recent events."""
    order = require_object(load_json(raw))
    problems = [
        Problem(name, "is not a field of this request") for name in order if name not in {"rule", "replaces", "limit"}
    ]
    draft, replaces, limit = order.get("rule"), order.get("replaces"), order.get("limit", MOST_EVENTS)
    if not isinstance(draft, dict):
        problems.append(Problem("rule", "is required: the draft, an object"))
    if replaces is not None and not _is_count(replaces, 2**53):
        problems.append(Problem("replaces", "must be the id of a rule", replaces))
    if not _is_count(limit, MOST_EVENTS):
        problems.append(Problem("limit", f"must be a whole number from 1 to {MOST_EVENTS}", limit))
    if problems or not isinstance(draft, dict):
        raise InvalidInputError("body", problems)
    good = require_good_rule(draft)
    trials = state.read(lambda connection: _trials(state, connection, good, replaces, limit))
    return {
        "events": len(trials),
        "matches": sum(trial.matches for trial in trials),
        "served": sum(trial.served for trial in trials),
        "items": [trial.to_json() for trial in trials],
    }


@dataclass(frozen=True, slots=True)
class SentForm:
    """The form of a rule as it was sent: the columns, and the pattern in one of its forms."""

    fields: Fields
    pattern: SentPattern
    hours: HoursForm

    @property
    def size(self) -> int:
        """Characters in it."""
        lines = sum(len(line.field) + len(line.values) + 20 for line in self.pattern.lines)
        return lines + len(self.pattern.text) + sum(map(len, self.fields.values()))


@dataclass(frozen=True, slots=True)
class FormDraft:
    """The form of a rule as it was sent, the draft that it makes, and all problems of that."""

    fields: Fields
    pattern: PatternForm
    hours: HoursForm
    draft: dict[str, Any]
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class TriedDraft:
    """What a draft does with recent events; `events` is None if a field that the test needs has a mistake."""

    warnings: list[RuleWarning]
    events: int | None = None
    matches: int = 0
    served: int = 0
    matching: Sequence[Trial] = ()
    """The first that match, and of `others` that do not."""
    others: Sequence[Trial] = ()
    sample: Trial | None = None


def read_form_draft(_state: WorkerState, sent: SentForm) -> FormDraft:
    """Return the draft in the form of a rule."""
    return form_draft(sent)


def form_draft(sent: SentForm) -> FormDraft:
    """Return the draft that a form makes."""
    text, unreadable, _ = json_of(sent.pattern)
    hours, mistakes = text_of_hours(sent.hours)
    fields = {**sent.fields, "pattern": text, "active_hours": hours}
    _, draft, problems = read_draft(lambda name: fields.get(name, ""))
    return FormDraft(fields, form_as_sent(sent.pattern), sent.hours, draft, unreadable + mistakes + problems)


def try_form_draft(state: WorkerState, sent: SentForm, replaces: int | None) -> tuple[FormDraft, TriedDraft]:
    """Return the draft in the form of a rule, and what it would do."""
    form = form_draft(sent)
    draft = form.draft
    usable = {**complete(draft), "name": draft["name"] or "this rule"}
    if usable["action"] == RuleAction.DISPATCH:
        usable["agent_name"] = usable["agent_name"] or "agent"
    cannot_be_tried = any(problem.path.startswith(_TRIED_FIELDS) for problem in form.problems)

    def load(connection: Connection) -> TriedDraft:
        warnings = draft_warnings(
            state.book(connection), draft, replaces=replaces, traffic=state.traffic.read(connection)
        )
        if cannot_be_tried:
            return TriedDraft(warnings)
        try:
            found = _trials(state, connection, usable, replaces, MOST_EVENTS)
        except InvalidInputError:
            return TriedDraft(warnings)  # of another field, whose mistake is listed
        matching = [trial for trial in found if trial.matches]
        return TriedDraft(
            warnings,
            len(found),
            len(matching),
            sum(trial.served for trial in found),
            matching[:_TRIALS_SHOWN],
            [trial for trial in found if not trial.matches][:_TRIALS_SHOWN],
            next((trial for trial in matching if trial.metadata or trial.failure), None),
        )

    return form, state.read(load)


@dataclass(frozen=True, slots=True)
class RulesOrder:
    """A request to apply a rules file, which is checked; for a dry run with the answer."""

    wanted: RulesFile
    delete: bool
    expected: rule_set.ExpectedVersions
    answer: dict[str, Any] | None = None


def read_rules_order(state: WorkerState, raw: bytes, editor: str) -> RulesOrder:
    """Return the file to apply; a dry run is carried out."""
    order = require_object(load_json(raw))
    problems = [
        Problem(name, f"must be {'a whole number, or null' if kind is int else 'true or false'}", order[name])
        for name, kind in _APPLY_OPTIONS.items()
        if name in order and type(order[name]) is not kind and not (kind is int and order[name] is None)
    ]
    problems += [
        Problem(name, "is not a known field") for name in order if name not in _FILE_KEYS and name not in _APPLY_OPTIONS
    ]
    if problems:
        raise InvalidInputError("body", problems)
    wanted, delete = _file_of(order), order.get("delete", False)
    expected = rule_set.ExpectedVersions(
        order.get("expected_version"), order.get("expected_lookups_version"), order.get("expected_agents_version")
    )
    if not order.get("dry_run", False):
        return RulesOrder(wanted, delete, expected)

    def load(connection: Connection) -> dict[str, Any]:
        edit = rule_set.apply_file(connection, wanted, delete=delete, editor=editor, dry_run=True)
        return edit_answer(edit, edit.warnings(state.book(connection), state.traffic.read(connection)))

    return RulesOrder(wanted, delete, expected, state.read(load))


def try_revert(state: WorkerState, to_version: int, name: str | None, editor: str) -> dict[str, Any]:
    """Return what going back to a version would change."""

    def load(connection: Connection) -> dict[str, Any]:
        edit = rule_set.revert_rules(connection, to_version, name=name, editor=editor, dry_run=True)
        return edit_answer(edit, edit.warnings(state.book(connection), state.traffic.read(connection)))

    answer: dict[str, Any] = state.read(load)
    return answer


def edit_answer(edit: rule_set.RuleSetEdit, warnings: Sequence[RuleWarning]) -> dict[str, Any]:
    """Return the API's answer to an edit of many rules."""
    found = [{"rule": one.rule_name, **one.to_json()} for one in warnings]
    return {**edit.to_json(), "written": edit.written, "warnings": found}


def _simulate(
    state: WorkerState,
    wanted: Sequence[Mapping[str, Any]],
    *,
    delete: bool,
    since: datetime,
    projects: frozenset[str] | None,
) -> Simulation:
    def load(connection: Connection) -> Simulation:
        draft = RuleBook.build(draft_rows(read_rules(connection), wanted, delete=delete), 0)
        traffic = islice(read_traffic(connection, since, projects=projects), MAX_EVENTS)
        return simulate(draft, traffic, current=state.book(connection), metadata_max_bytes=state.metadata_max_bytes)

    simulation: Simulation = state.read(load)
    return simulation


def _trials(
    state: WorkerState, connection: Connection, row: Mapping[str, Any], replaces: int | None, limit: int
) -> list[Trial]:
    traffic = recent_events(connection, row["pattern"], limit)
    most = state.metadata_max_bytes
    return try_rule(state.book(connection), row, traffic, replaces=replaces, metadata_max_bytes=most)


def _file_of(order: Mapping[str, Any]) -> RulesFile:
    tables = {key: order[key] for key in _FILE_KEYS if order.get(key) is not None}
    return read_rules_file(json.dumps({"rules": None, **tables}), format_="json")


def _is_count(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
