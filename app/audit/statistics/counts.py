"""Figures from the database, so they hold right after a restart.

Every question is bounded: it goes by the latest `SAMPLE` dispatches of a time window, found by the primary key, or the
latest `SAMPLE_OF_ONE` found by (agent_name, id) or (rule_name, id), so that it costs the same with ten thousand rows as
with ten million. What a figure is of is part of the answer (`since`, `is_cut`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from app.audit.lists.access_path import ByKey, ByValue
from app.audit.lists.latest import latest, names_of_rule, way_of
from app.audit.statistics.dialects import asked_for, listed, read_list, seconds_between
from app.db.record_ids import instant_of_id
from app.db.tables import dispatches
from app.db.types import DispatchStatus, format_instant
from app.outbox.states import GAVE_UP, WAITING

SAMPLE: Final = 10_000
SAMPLE_OF_ONE: Final = 5_000
"""Of one agent or rule: its dispatches lie far apart, so each costs twice as much as those that follow each other."""
MOST_NAMES: Final = 500
_TRIED: Final = 20

BUCKET_BOUNDS_S: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Seconds: upper bounds of the histogram's columns; a last one is for all above."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a number of waits in seconds; None when there is none."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Percentiles:
        """Return them by the nearest rank, so that each is a wait that somebody really had."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, None, None, None)
        ranks = [ordered[max(0, math.ceil(len(ordered) * share) - 1)] for share in (0.5, 0.95, 0.99)]
        return cls(len(ordered), *ranks)

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "p50": self.p50, "p95": self.p95, "p99": self.p99}


@dataclass(slots=True)
class Figures:
    """What became of some dispatches.

    `seconds_to_agent` of those whose agent came (for phone calls: how long the caller heard ringing);
    `seconds_given_up` of those whose callers left first.
    """

    dispatches: int = 0
    waiting: int = 0
    arrived: int = 0
    no_shows: int = 0
    failed: int = 0
    abandoned: int = 0
    cancelled: int = 0
    fallbacks: int = 0
    seconds_to_agent: list[float] = field(default_factory=list)
    seconds_given_up: list[float] = field(default_factory=list)

    def add(self, fate: str, count: int, fallbacks: int, seconds: Sequence[float]) -> None:
        """Count so many dispatches of one fate, which is the name of a field; `seconds` are what they took."""
        self.dispatches += count
        self.fallbacks += fallbacks
        setattr(self, fate, getattr(self, fate) + count)
        if fate == "arrived":
            self.seconds_to_agent += seconds
        elif fate == "abandoned":
            self.seconds_given_up += seconds

    def share(self, count: int) -> float | None:
        """Return `count` as a share of those that are decided: arrived, no show, failed or abandoned."""
        decided = self.arrived + self.no_shows + self.failed + self.abandoned
        return count / decided if decided else None

    def histogram(self) -> list[int]:
        """Return how many waits fall below each of `BUCKET_BOUNDS_S` but not below the one before; last, all others."""
        ordered = sorted(self.seconds_to_agent)
        reached = [bisect_right(ordered, bound) for bound in BUCKET_BOUNDS_S]
        return [after - before for before, after in pairwise((0, *reached, len(ordered)))]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as a JSON object; shares are of 1."""
        return {
            "dispatches": self.dispatches,
            "waiting": self.waiting,
            "arrived": self.arrived,
            "no_shows": self.no_shows,
            "failed": self.failed,
            "abandoned": self.abandoned,
            "cancelled": self.cancelled,
            "fallbacks": self.fallbacks,
            "no_show_share": self.share(self.no_shows),
            "abandoned_share": self.share(self.abandoned),
            "fallback_share": self.fallbacks / self.dispatches if self.dispatches else None,
            "seconds_to_agent": Percentiles.of(self.seconds_to_agent).to_json(),
            "seconds_given_up": Percentiles.of(self.seconds_given_up).to_json(),
            "histogram": [
                {"up_to_seconds": bound, "count": count}
                for bound, count in zip((*BUCKET_BOUNDS_S, None), self.histogram(), strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the dispatches made since `since`: altogether, by agent and by rule.

    `is_cut`: there were more than `SAMPLE`; they are of the latest then, and `since` is when the first of those began.
    """

    since: datetime
    as_of: datetime
    """When they were looked up: they may have been kept for some time."""
    is_cut: bool
    overall: Figures
    by_agent: Mapping[str, Figures]
    by_rule: Mapping[str, Figures]

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as a JSON object."""
        return {
            "since": format_instant(self.since),
            "as_of": format_instant(self.as_of),
            "is_cut": self.is_cut,
            "overall": self.overall.to_json(),
            "agents": [{"agent": name, **one.to_json()} for name, one in sorted(self.by_agent.items())],
            "rules": [{"rule": name, **one.to_json()} for name, one in sorted(self.by_rule.items())],
        }


@dataclass(frozen=True, slots=True)
class LastUse:
    """An agent or rule that dispatches name, and when the latest of them was made."""

    name: str
    last_at: datetime | None


def dispatch_statistics(
    connection: Connection,
    since: datetime,
    as_of: datetime,
    *,
    agent: str | None = None,
    rule: str | None = None,
    rule_id: int | None = None,
) -> Statistics:
    """Return the figures of the dispatches made since `since`, as they stand at `as_of`, which is now.

    Of one agent, of what was made under the name of a rule, or of one rule whatever it was called, if given.
    """
    names = [rule] if rule_id is None else names_of_rule(connection, rule_id, since)
    if not names:
        return Statistics(since, as_of, is_cut=False, overall=Figures(), by_agent={}, by_rule={})
    is_of_all = agent is None and rule is None and rule_id is None
    most = SAMPLE if is_of_all else SAMPLE_OF_ONE
    ways = [way_of(agent=agent, rule=name) for name in names]
    rows = connection.execute(sums(connection, ways, since, most)).all()
    overall = Figures()
    by_agent: dict[str, Figures] = {}
    by_rule: dict[str, Figures] = {}
    for row in rows:
        if rule_id is not None and row.rule_id != rule_id:
            continue  # another rule, which bears or bore the name
        seconds = read_list(row.seconds)
        for figures in (
            overall,
            by_agent.setdefault(row.agent_name, Figures()),
            by_rule.setdefault(row.rule_name, Figures()),
        ):
            figures.add(row.fate, row.dispatches, row.fallbacks, seconds)
    for figures in (overall, *by_agent.values(), *by_rule.values()):
        figures.seconds_to_agent.sort()  # once, for all who look
    is_cut = sum(row.dispatches for row in rows) >= most
    reach = instant_of_id(min(row.oldest for row in rows)) if is_cut else None
    return Statistics(reach or since, as_of, is_cut, overall, by_agent, by_rule)


def sums(connection: Connection, ways: Sequence[ByKey | ByValue], since: datetime, most: int) -> Select[Any]:
    """Return the query of what became of the latest `most` dispatches, by agent, rule and fate.

    Its plan is asserted by a test. Waits are put into lists by the database: rows cost ten times as much to fetch.
    """
    column = dispatches.c
    gave_up = column.reason.startswith(GAVE_UP, autoescape=True)
    fate = case(
        (column.joined_at.is_not(None), "arrived"),
        (column.status.in_(sorted(WAITING)), "waiting"),
        (column.status == DispatchStatus.NO_SHOW, "no_shows"),
        (column.status == DispatchStatus.FAILED, "failed"),
        (gave_up, "abandoned"),
        else_="cancelled",
    )
    seconds = case(
        (column.joined_at.is_not(None), seconds_between(connection, column.created_at, column.joined_at)),
        (gave_up, seconds_between(connection, column.created_at, column.ended_at)),
    )
    fell_back = case((column.asked_agent_name != column.agent_name, 1), else_=0)
    columns = (
        column.id,
        column.agent_name,
        column.rule_name,
        column.rule_id,
        fate.label("fate"),
        fell_back.label("fell_back"),
        seconds.label("seconds"),
    )
    rows = latest(columns, ways, since, most).c
    group = (rows.agent_name, rows.rule_name, rows.rule_id, rows.fate)
    return select(
        *group,
        func.count().label("dispatches"),
        func.sum(rows.fell_back).label("fallbacks"),
        listed(connection, rows.seconds).label("seconds"),
        func.min(rows.id).label("oldest"),
    ).group_by(*group)


def known_agents(connection: Connection) -> list[LastUse]:
    """Return every agent that a dispatch was ever made for, and when last; at most `MOST_NAMES`, by name."""
    return _seen(connection, dispatches.c.agent_name, names(connection, dispatches.c.agent_name))


def last_hits(connection: Connection, rules: Sequence[str]) -> dict[str, datetime | None]:
    """Return when each of these rules last made a dispatch."""
    return {one.name: one.last_at for one in _seen(connection, dispatches.c.rule_name, rules)}


def names(connection: Connection, column: ColumnElement[str]) -> list[str]:
    """Return the distinct values of an indexed column, by leaps from each to the next: a DISTINCT would read it all."""
    leaps = select(func.min(column).label("name")).cte("leaps", recursive=True)
    further = select(func.min(column)).where(column > leaps.c.name).correlate(leaps).scalar_subquery()
    leaps = leaps.union_all(select(further).where(leaps.c.name.is_not(None)))
    query = select(leaps.c.name).where(leaps.c.name.is_not(None)).limit(MOST_NAMES)
    return list(connection.scalars(query))


def absent_agents(connection: Connection, agents: Sequence[str]) -> dict[str, int]:
    """Return those of the agents that came to none of their latest dispatches, with how many of these they missed."""
    column, asked = dispatches.c, asked_for(connection, agents)
    recent = (
        select(column.joined_at, column.status)
        .where(column.agent_name >= asked.c.name, column.agent_name <= asked.c.name)
        .order_by(column.agent_name.desc(), column.id.desc())
        .limit(_TRIED)
        .correlate(asked)
        .subquery()
    )
    missed = func.sum(case((recent.c.status == DispatchStatus.NO_SHOW, 1), else_=0))
    verdict = select(case((func.count(recent.c.joined_at) == 0, missed), else_=0)).scalar_subquery()
    rows = connection.execute(select(asked.c.name, verdict.label("missed")))
    return {row.name: row.missed for row in rows if row.missed}


def _seen(connection: Connection, column: ColumnElement[str], wanted: Sequence[str]) -> list[LastUse]:
    if not wanted:
        return []
    # One statement; the inner look-up reads one entry of the index for each name. By a range, see `ways`.
    asked = asked_for(connection, wanted[:MOST_NAMES])
    last = (
        select(dispatches.c.id)
        .where(column >= asked.c.name, column <= asked.c.name)
        .order_by(column.desc(), dispatches.c.id.desc())
        .limit(1)
        .correlate(asked)
        .scalar_subquery()
    )
    found = {row.name: row.latest for row in connection.execute(select(asked.c.name, last.label("latest")))}
    return [LastUse(name, instant_of_id(found[name]) if found.get(name) else None) for name in wanted[:MOST_NAMES]]
