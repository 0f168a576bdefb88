"""The list of rules in matching order, with hits and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from app.audit import RuleHits, count_rule_hits, last_hits, objective_text
from app.db.columns.action_types import OnNoShow
from app.db.types import OnMatch, Recover
from app.rules.book.rule_book import BadRule, Rule, RuleBook
from app.rules.goal import rule_goal
from app.rules.warnings.rule_warnings import rule_warnings

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One rule of the page; `hits` counts its dispatches among the latest of all rules."""

    place: int
    id: int
    name: str
    enabled: bool
    priority: int
    goal: str
    pattern: Any
    tags: tuple[str, ...]
    hits: int
    last_hit: datetime | None
    warnings: tuple[str, ...]
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of the list; `counted` is the number of dispatches among which hits are counted."""

    lines: Sequence[Line]
    rules: int
    version: int
    counted: int
    following: int | None


def book_lines(connection: Connection, book: RuleBook, *, start: int, search: str) -> Lines:
    """Return the page that begins at place `start` of the rules with `search` in name, agent or pattern."""
    found = list(islice(_chosen(book, search), start, start + PAGE + 1))
    shown = found[:PAGE]
    names = [rule.name for _, rule in shown]
    hits = count_rule_hits(connection)
    counted = sum(one.count for one in hits.values())
    named = last_hits(connection, names)
    lines = []
    for place, rule in shown:
        own = hits.get(rule.id, RuleHits(0, None))
        lines.append(_line(place, rule, own.count, own.last_at or named.get(rule.name), _warnings(book, rule)))
    following = start + PAGE if len(found) > PAGE else None
    return Lines(lines, len(book.rules) + len(book.bad), book.version, counted, following)


def _chosen(book: RuleBook, search: str) -> Any:
    wanted = search.casefold()
    for place, rule in enumerate(book.lines(), start=1):
        text = (
            rule.name
            if isinstance(rule, BadRule)
            else f"{rule.name}\n{rule.agent_name or rule.action}\n{rule.pattern_text}"
        )
        if wanted in text.casefold():
            yield place, rule


def _line(place: int, rule: Rule | BadRule, hits: int, last_hit: datetime | None, warnings: tuple[str, ...]) -> Line:
    if isinstance(rule, BadRule):
        return Line(
            place, rule.id, rule.name, rule.enabled, rule.priority, "", None, (), hits, last_hit, warnings, is_bad=True
        )
    tags = []
    if rule.on_match is OnMatch.CONTINUE:
        tags.append("continues")
    if rule.rollout_percent < 100:
        tags.append(f"{rule.rollout_percent} %")
    if rule.paused_until:
        tags.append(f"paused until {rule.paused_until}")
    if rule.active_hours:
        tags.append("hours")
    tags += [f"else {one.agent_name}" for one in rule.fallback_agents]
    if rule.on_no_show is not OnNoShow.WAIT:
        tags.append(f"else {rule_goal(rule.on_no_show, None, rule.transfer_to)}")
    if rule.objective_percent is not None and rule.objective_s is not None:
        tags.append(objective_text(rule.objective_percent, rule.objective_s))
    if rule.recover is not Recover.NEVER:
        tags.append(f"recovers {rule.recover}")
    if not rule.withdraw:
        tags.append("agent stays")
    if rule.max_calls is not None:
        tags.append(f"at most {rule.max_calls}")
    return Line(
        place,
        rule.id,
        rule.name,
        rule.enabled,
        rule.priority,
        rule_goal(rule.action, rule.agent_name, rule.transfer_to),
        rule.pattern,
        tuple(tags),
        hits,
        last_hit,
        warnings,
        is_bad=False,
    )


def _warnings(book: RuleBook, rule: Rule | BadRule) -> tuple[str, ...]:
    found = rule.problems if isinstance(rule, BadRule) else rule_warnings(book, rule)
    return tuple(map(str, found))
