"""Why a caller got an agent or none: every rule as it was then, its verdict, and what happened next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field
from sqlalchemy import Connection

from app.audit.calls.call import read_call
from app.audit.calls.timeline import Timeline, timeline_of
from app.audit.records.find_records import Projects
from app.audit.records.record_types import EventDetail, columns_of
from app.db.columns.action_types import RuleAction
from app.json_shape import JsonShape
from app.rules.book.decision import Outcome, Verdict
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import book_at, read_book, read_version
from app.rules.book.rule_book import RuleBook
from app.rules.goal import rule_goal
from app.rules.rule import BadRule, Rule
from app.rules.rule_projects import may_match
from app.translation import listed, translatable
from app.webhook.event import BODY_DROPPED
from app.webhook.event_store import from_row

_BODY_DROPPED: Final = translatable("%(why)s: no rule can be tried on it", why=BODY_DROPPED)


def _is_none(value: object) -> bool:
    return value is None


_Absent = Field(exclude_if=_is_none)


@dataclass(frozen=True, slots=True)
class TriedRule(JsonShape):
    """One rule as it was then, and its verdict on the event; keys that do not apply to the outcome are absent."""

    __pydantic_config__ = ConfigDict(json_schema_serialization_defaults_required=False)

    rule_id: int
    rule: str
    outcome: Outcome
    words: Annotated[str, Field(description="the verdict as a sentence")]
    priority: int | None
    agent_name: Annotated[
        str | None, Field(description="null for a rule that could not be used, or that dispatches no agent")
    ]
    action: Annotated[RuleAction | None, Field(description="null for a rule that could not be used")]
    goal: Annotated[str, Field(description="the agent, or the action in words")]
    path: Annotated[str | None, _Absent] = None
    expected: Annotated[str | None, _Absent] = None
    found: Annotated[tuple[str, ...] | None, _Absent] = None
    held: Annotated[int | None, Field(exclude_if=_is_none, description="how many conditions of its pattern held")] = (
        None
    )
    conditions: Annotated[int | None, Field(exclude_if=_is_none, description="how many its pattern has")] = None
    shadowed_by: Annotated[str | None, _Absent] = None
    detail: Annotated[str | None, _Absent] = None

    @classmethod
    def of(cls, verdict: Verdict, line: Rule | BadRule | None = None) -> Self:
        """Return the verdict on a rule in this shape."""
        rule = line if isinstance(line, Rule) else None
        mismatch = verdict.mismatch
        return cls(
            rule_id=verdict.rule_id,
            rule=verdict.rule_name,
            outcome=verdict.outcome,
            words=verdict.describe(),
            priority=line.priority if line else None,
            agent_name=rule.agent_name if rule else None,
            action=rule.action if rule else None,
            goal=rule_goal(rule.action, rule.agent_name, rule.transfer_to) if rule else "",
            path=mismatch.path if mismatch else None,
            expected=mismatch.expected if mismatch else None,
            found=mismatch.found if mismatch else None,
            held=mismatch.held if mismatch else None,
            conditions=mismatch.conditions if mismatch else None,
            shadowed_by=verdict.shadowed_by,
            detail=verdict.detail or None,
        )


@dataclass(frozen=True, slots=True)
class RulesTried(JsonShape):
    """How the rules decided about an event, and what the present ones would decide."""

    event: EventDetail
    rules_version: Annotated[int, Field(description="of the rule book that decided")]
    matched: Annotated[tuple[str, ...], Field(description="names of the rules that matched")]
    rules: Annotated[tuple[TriedRule, ...], Field(description="every rule of that book in matching order")]
    doubt: Annotated[str, Field(description="why this may not be what was decided then; empty when it is")]
    present_version: int
    matching_now: Annotated[
        tuple[TriedRule, ...] | None, Field(description="of the present rule book, when it is another")
    ]


@dataclass(frozen=True, slots=True)
class Explanation(RulesTried):
    """Why a caller got the agents it got, or none."""

    timeline: Timeline


def explain(connection: Connection, reference: str, projects: Projects = None) -> Explanation:
    """Return the explanation of the call that `reference` identifies (as for `timeline`); raises NotFoundError.

    Takes time in proportion to the number of rules.
    """
    facts = read_call(connection, reference, projects)
    record = facts.subject
    book = book_at(connection, record.rules_version)
    event = from_row({name: getattr(record, name) for name in columns_of(EventDetail)})
    # Without the body, rules would be tried on what the columns say, and nearly none would match.
    tried = _tried(book, evaluate(book, event, explain=True).verdicts or (), projects) if event.has_body else ()
    present_version = read_version(connection)
    now: tuple[TriedRule, ...] | None = None
    if present_version != record.rules_version and event.has_body:
        present = read_book(connection)
        decision = evaluate(present, event)
        now = _tried(present, [Verdict(rule.id, rule.name, Outcome.MATCHED) for rule in decision.matched], projects)
    return Explanation(
        event=record,
        rules_version=record.rules_version,
        matched=_matched(tried) if event.has_body else tuple(_matched_then(record.decision or {})),
        rules=tried,
        doubt=_doubt(record.decision or {}, tried) if event.has_body else _BODY_DROPPED,
        present_version=present_version,
        matching_now=now,
        timeline=timeline_of(facts),
    )


def _tried(book: RuleBook, verdicts: Any, projects: Projects) -> tuple[TriedRule, ...]:
    tried = []
    for verdict in verdicts:
        rule = book.rule(verdict.rule_id)
        if projects is not None and (rule is None or not may_match(json.loads(rule.pattern_text), projects)):
            continue  # it is a rule of other projects
        tried.append(TriedRule.of(verdict, rule or book.bad.get(verdict.rule_id)))
    return tuple(tried)


def _matched(tried: Iterable[TriedRule]) -> tuple[str, ...]:
    return tuple(one.rule for one in tried if one.outcome is Outcome.MATCHED)


def _doubt(decision: Mapping[str, Any], tried: tuple[TriedRule, ...]) -> str:
    stored = decision.get("matched")
    if not isinstance(stored, list) or "matched_in_all" in decision:
        return ""
    then = _matched_then(decision)
    again = list(_matched(tried))
    if then == again:
        return ""
    return translatable(
        "%(then)s matched when the event arrived, %(again)s matches the stored event: that lacks what USHER_REDACT "
        "leaves out and what was erased or hashed since, or another version of Usher evaluated it",
        then=_names(then),
        again=_names(again),
    )


def _matched_then(decision: Mapping[str, Any]) -> list[str]:
    return [str(one.get("rule")) for one in decision.get("matched") or () if isinstance(one, Mapping)]


def _names(names: list[str]) -> str:
    return listed(repr(name) for name in names) or translatable("no rule")
