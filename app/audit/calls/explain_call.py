"""Why an event got the agents it got: every rule of that moment, what kept each from matching, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.audit.calls.call import read_call
from app.audit.calls.timeline import Timeline, timeline_of
from app.audit.records import EventRecord, columns_of
from app.rules.book.decision import Outcome, Verdict
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import book_at, read_book, read_version
from app.rules.book.rule_book import RuleBook
from app.webhook.event_store import from_row


@dataclass(frozen=True, slots=True)
class TriedRule:
    """One rule as it was then, and its verdict on the event; `agent_name` is None of a rule that could not be used."""

    verdict: Verdict
    priority: int | None
    agent_name: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object, `words` saying it in a sentence."""
        beside = {"priority": self.priority, "agent_name": self.agent_name, "words": self.verdict.words()}
        return {**self.verdict.to_json(), **beside}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why, for one event. `rules` are in the order in which they were tried.

    `doubt` says why this may not be what was decided then; empty when it is. `matching_now` are the rules of the
    present book that would match, None when the book is still the same.
    """

    event: EventRecord
    rules_version: int
    rules: tuple[TriedRule, ...]
    doubt: str
    present_version: int
    matching_now: tuple[TriedRule, ...] | None
    timeline: Timeline

    @property
    def matched(self) -> tuple[TriedRule, ...]:
        """The rules that matched."""
        return tuple(one for one in self.rules if one.verdict.outcome is Outcome.MATCHED)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as a JSON object."""
        now = None if self.matching_now is None else [one.to_json() for one in self.matching_now]
        return {
            "event": self.event.to_json(),
            "rules_version": self.rules_version,
            "matched": [one.verdict.rule_name for one in self.matched],
            "rules": [one.to_json() for one in self.rules],
            "doubt": self.doubt,
            "present_version": self.present_version,
            "matching_now": now,
            "timeline": self.timeline.to_json(),
        }


def explain(connection: Connection, reference: str) -> Explanation:
    """Return why the event, dispatch or participant that `reference` means got what it got; raises NotFoundError.

    `reference` is as for `timeline`. Takes time in proportion to the number of rules.
    """
    facts = read_call(connection, reference)
    record = facts.subject
    book = book_at(connection, record.rules_version)
    event = from_row({name: getattr(record, name) for name in columns_of(EventRecord)})
    tried = _tried(book, evaluate(book, event, explain=True).verdicts or ())
    present_version = read_version(connection)
    now: tuple[TriedRule, ...] | None = None
    if present_version != record.rules_version:
        present = read_book(connection)
        decision = evaluate(present, event)
        now = _tried(present, [Verdict(rule.id, rule.name, Outcome.MATCHED) for rule in decision.matched])
    return Explanation(
        event=record,
        rules_version=record.rules_version,
        rules=tried,
        doubt=_doubt(record.decision or {}, tried),
        present_version=present_version,
        matching_now=now,
        timeline=timeline_of(facts),
    )


def _tried(book: RuleBook, verdicts: Any) -> tuple[TriedRule, ...]:
    tried = []
    for verdict in verdicts:
        rule = book.rule(verdict.rule_id)
        bad = book.bad.get(verdict.rule_id)
        line = rule or bad
        tried.append(TriedRule(verdict, line.priority if line else None, rule.agent_name if rule else None))
    return tuple(tried)


def _doubt(decision: Mapping[str, Any], tried: tuple[TriedRule, ...]) -> str:
    stored = decision.get("matched")
    if not isinstance(stored, list) or "matched_in_all" in decision:
        return ""
    then = [str(one.get("rule")) for one in stored if isinstance(one, Mapping)]
    again = [one.verdict.rule_name for one in tried if one.verdict.outcome is Outcome.MATCHED]
    if then == again:
        return ""
    return (
        f"when the event came, {_names(then)} matched, and of the stored event {_names(again)}: the stored event lacks "
        "what USHER_REDACT leaves out, or another version of Usher judged it"
    )


def _names(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names) or "no rule"
