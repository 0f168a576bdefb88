"""The list of rules in matching order, with hits and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection

from app.agents.agent_limits import is_indefinite
from app.audit import RuleHits, count_rule_hits, last_hits, objective_text
from app.db.columns.action_types import OnNoShow, RuleAction
from app.db.types import OnMatch, Recover
from app.rules.book.rule_book import BadRule, Rule, RuleBook
from app.rules.goal import rule_goal
from app.rules.rows.lines import describe_rows
from app.rules.rows.rows import Rows, rows_of
from app.rules.warnings.rule_warnings import rule_warnings
from app.translation import gettext

PAGE: Final = 50
_LONGEST_DESCRIBED: Final = 2000  # characters of a pattern


@dataclass(frozen=True, slots=True)
class ListedRule:
    """One rule of the page; `hits` counts its dispatches, removals and transfers among the latest of all rules.

    `is_counted`: whether anything was counted, or could be: nothing is stored of a rule that ignores callers.

    `up` and `down` are the rules above which a move by one place puts it, 0 for the last place; None where there is no
    such move. `tied_with`: the rule above, if it has the same priority, so that age decides.
    """

    place: int
    id: int
    name: str
    enabled: bool
    priority: int
    goal: str
    pattern: Any
    conditions: str
    tags: tuple[str, ...]
    hits: int
    last_hit: datetime | None
    warnings: tuple[str, ...]
    is_bad: bool
    is_paused: bool = False
    is_counted: bool = True
    up: int | None = None
    down: int | None = None
    tied_with: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of the list; `counted` is the number of all hits among which theirs are counted."""

    lines: Sequence[ListedRule]
    rules: int
    version: int
    counted: int
    following: int | None


def book_lines(connection: Connection, book: RuleBook, *, start: int, search: str) -> Lines:
    """Return the page that begins at place `start` of the rules with `search` in name, agent or pattern."""
    found = list(islice(_chosen(book, search), start, start + PAGE + 1))
    shown = found[:PAGE]
    names = [rule.name for _, rule in shown]
    order = [] if search else list(islice(book.lines(), start + PAGE + 2))
    hits = count_rule_hits(connection)
    counted = sum(one.count for one in hits.values())
    named = last_hits(connection, names)
    lines = []
    for place, rule in shown:
        own = hits.get(rule.id, RuleHits(0, None))
        line = _line(place, rule, own.count, own.last_at or named.get(rule.name), _warnings(book, rule))
        lines.append(line if search else _with_neighbours(line, order))
    following = start + PAGE if len(found) > PAGE else None
    return Lines(lines, len(book.rules) + len(book.bad), book.version, counted, following)


def _with_neighbours(line: ListedRule, order: Sequence[Rule | BadRule]) -> ListedRule:
    """Return the line with the moves by one place, from its place in the whole order."""
    at = line.place - 1
    above = order[at - 1] if at else None
    tied = above.name if above is not None and above.priority == line.priority else ""
    if line.is_bad:
        return replace(line, tied_with=tied)
    down = None if at + 1 == len(order) else order[at + 2].id if at + 2 < len(order) else 0
    return replace(line, up=None if above is None else above.id, down=down, tied_with=tied)


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


def _line(
    place: int, rule: Rule | BadRule, hits: int, last_hit: datetime | None, warnings: tuple[str, ...]
) -> ListedRule:
    if isinstance(rule, BadRule):
        return ListedRule(
            place,
            rule.id,
            rule.name,
            rule.enabled,
            rule.priority,
            "",
            None,
            "",
            (),
            hits,
            last_hit,
            warnings,
            is_bad=True,
        )
    tags = []
    if rule.on_match is OnMatch.CONTINUE:
        tags.append(gettext("continues"))
    if rule.rollout_percent < 100:
        tags.append(f"{rule.rollout_percent} %")
    if rule.paused_until:
        if is_indefinite(rule.resumes_at):
            tags.append(gettext("paused until it is resumed"))
        else:
            tags.append(gettext("paused until %(time)s", time=rule.paused_until))
    if rule.active_hours:
        tags.append(gettext("hours"))
    tags += [gettext("else %(agent)s", agent=one.agent_name) for one in rule.fallback_agents]
    if rule.on_no_show is not OnNoShow.WAIT:
        tags.append(gettext("else %(agent)s", agent=rule_goal(rule.on_no_show, None, rule.transfer_to)))
    if rule.objective_percent is not None and rule.objective_s is not None:
        tags.append(objective_text(rule.objective_percent, rule.objective_s))
    if rule.recover is not Recover.NEVER:
        tags.append(gettext("recovers %(when)s", when=rule.recover))
    if not rule.withdraw:
        tags.append(gettext("agent stays"))
    if rule.max_calls is not None:
        tags.append(gettext("at most %(calls)s", calls=rule.max_calls))
    return ListedRule(
        place,
        rule.id,
        rule.name,
        rule.enabled,
        rule.priority,
        rule_goal(rule.action, rule.agent_name, rule.transfer_to),
        rule.pattern,
        _conditions(rule),
        tuple(tags),
        hits,
        last_hit,
        warnings,
        is_bad=False,
        is_paused=bool(rule.paused_until),
        is_counted=rule.action is not RuleAction.IGNORE or last_hit is not None,
    )


def _conditions(rule: Rule) -> str:
    """Return the conditions as text; empty where they cannot be shown as rows, or not within a millisecond."""
    found = rows_of(rule.pattern) if len(rule.pattern_text) <= _LONGEST_DESCRIBED else None
    return describe_rows(found) if isinstance(found, Rows) else ""


def _warnings(book: RuleBook, rule: Rule | BadRule) -> tuple[str, ...]:
    found = rule.problems if isinstance(rule, BadRule) else rule_warnings(book, rule)
    return tuple(map(str, found))
