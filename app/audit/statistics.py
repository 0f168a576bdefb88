"""Figures from the database, so they hold right after a restart.

Every question is bounded: it goes by the latest `SAMPLE` dispatches of a time window, found by the primary key or by
(agent_name, id), (rule_name, id), so that it costs the same with ten thousand rows as with ten million. What a figure
is of is part of the answer (`since`, `is_cut`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, union_all

from app.audit.elapsed import seconds_between
from app.audit.objectives import Objective
from app.audit.paging import first_id, instant_of
from app.db.tables import dispatches
from app.db.types import DispatchStatus, format_instant
from app.outbox.states import GAVE_UP, WAITING

SAMPLE: Final = 10_000
MOST_NAMES: Final = 500

BOUNDS: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)
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

    def note(self, row: Any) -> None:
        """Count one row of the sample."""
        self.dispatches += 1
        self.fallbacks += bool(row.fell_back)
        status = row.status
        if row.seconds_to_agent is not None:
            self.arrived += 1
            self.seconds_to_agent.append(max(0.0, float(row.seconds_to_agent)))
        elif status in WAITING:
            self.waiting += 1
        elif status == DispatchStatus.NO_SHOW:
            self.no_shows += 1
        elif status == DispatchStatus.FAILED:
            self.failed += 1
        elif row.gave_up:
            self.abandoned += 1
            self.seconds_given_up.append(max(0.0, float(row.seconds_to_end or 0.0)))
        else:
            self.cancelled += 1

    def share(self, count: int) -> float | None:
        """Return `count` as a share of those that are decided: arrived, no show, failed or abandoned."""
        decided = self.arrived + self.no_shows + self.failed + self.abandoned
        return count / decided if decided else None

    def histogram(self) -> list[int]:
        """Return how many waits fall below each of `BOUNDS` but not below the one before; last, all others."""
        counts = [0] * (len(BOUNDS) + 1)
        for seconds in self.seconds_to_agent:
            place = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
            counts[place] += 1
        return counts

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
                for bound, count in zip((*BOUNDS, None), self.histogram(), strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of the dispatches made since `since`: altogether, by agent and by rule; and how objectives were kept.

    `is_cut`: there were more than `SAMPLE`; they are of the latest then, and `since` is when the first of those began.
    """

    since: datetime
    is_cut: bool
    overall: Figures
    by_agent: Mapping[str, Figures]
    by_rule: Mapping[str, Figures]
    objectives: Sequence[Objective] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as a JSON object."""
        return {
            "since": format_instant(self.since),
            "is_cut": self.is_cut,
            "overall": self.overall.to_json(),
            "agents": [{"agent": name, **one.to_json()} for name, one in sorted(self.by_agent.items())],
            "rules": [{"rule": name, **one.to_json()} for name, one in sorted(self.by_rule.items())],
            "objectives": [one.to_json() for one in self.objectives],
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """An agent or rule that dispatches name, and when the latest of them was made."""

    name: str
    last_at: datetime | None


def statistics(
    connection: Connection, since: datetime, *, agent: str | None = None, rule: str | None = None
) -> Statistics:
    """Return the figures of the dispatches made since `since`, of one agent or one rule if named."""
    rows = connection.execute(sample(connection, since, agent=agent, rule=rule)).all()
    is_cut = len(rows) == SAMPLE
    overall = Figures()
    by_agent: dict[str, Figures] = {}
    by_rule: dict[str, Figures] = {}
    for row in rows:
        overall.note(row)
        by_agent.setdefault(row.agent_name, Figures()).note(row)
        by_rule.setdefault(row.rule_name, Figures()).note(row)
    reach = instant_of(rows[-1].id) if is_cut else None
    return Statistics(reach or since, is_cut, overall, by_agent, by_rule)


def sample(
    connection: Connection, since: datetime, *, agent: str | None = None, rule: str | None = None
) -> Select[Any]:
    """Return the query of the latest dispatches since `since`, newest first; its plan is asserted by a test."""
    column = dispatches.c
    query = select(
        column.id,
        column.agent_name,
        column.rule_name,
        column.status,
        column.reason.startswith(GAVE_UP, autoescape=True).label("gave_up"),
        (column.asked_agent_name != column.agent_name).label("fell_back"),
        seconds_between(connection, column.created_at, column.joined_at).label("seconds_to_agent"),
        seconds_between(connection, column.created_at, column.ended_at).label("seconds_to_end"),
    ).where(column.id >= first_id(since))
    if agent is not None:
        query = query.where(column.agent_name == agent)
    if rule is not None:
        query = query.where(column.rule_name == rule)
    return query.order_by(column.id.desc()).limit(SAMPLE)


def known_agents(connection: Connection) -> list[Seen]:
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


def count_waiting(connection: Connection) -> int:
    """Return how many dispatches wait for their agent now."""
    query = select(func.count()).select_from(dispatches).where(dispatches.c.status.in_(sorted(WAITING)))
    return connection.scalar(query) or 0


def _seen(connection: Connection, column: ColumnElement[str], wanted: Sequence[str]) -> list[Seen]:
    if not wanted:
        return []
    # One statement; the inner look-up reads one entry of the index for each name.
    asked = union_all(*(select(literal(name).label("name")) for name in wanted[:MOST_NAMES])).subquery("asked")
    latest = select(func.max(dispatches.c.id)).where(column == asked.c.name).correlate(asked).scalar_subquery()
    found = {row.name: row.latest for row in connection.execute(select(asked.c.name, latest.label("latest")))}
    return [Seen(name, instant_of(found[name]) if found.get(name) else None) for name in wanted[:MOST_NAMES]]
