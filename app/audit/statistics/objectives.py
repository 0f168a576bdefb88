"""Whether rules keep their objectives ("95 % within 3 s"), and how fast each uses up what it may miss.

From the database, so it holds right after a restart. A caller counts who had an agent, to whom nobody came, who gave up
after more than the objective's seconds, or who has been waiting for longer. One who left sooner, or for whom somebody
cancelled, tells nothing of the objective.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from app.audit.lists.latest import latest, names_of_rule, way_of
from app.audit.statistics.dialects import seconds_between
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, routing_rules
from app.db.types import DispatchStatus, Timestamp, format_instant
from app.outbox.states import GAVE_UP, WAITING

MAX_OBJECTIVES: Final = 100
"""Rules whose objectives are looked at, in matching order."""
COUNTED: Final = 10_000
"""Of a rule's dispatches at most, the latest."""


@dataclass(frozen=True, slots=True)
class Attainment:
    """How an objective was kept in the last `hours`: `calls` that count for it, of which `missed` missed it."""

    hours: float
    calls: int
    missed: int
    is_cut: bool
    """Whether there were more dispatches than are counted; it is of the latest then."""
    counted_at: datetime

    @property
    def share(self) -> float | None:
        """Which share of 1 kept it; None without calls."""
        return None if self.calls == 0 else 1 - self.missed / self.calls

    def burn_rate(self, percent: float) -> float | None:
        """Return the missed share ÷ the share that may miss: above 1 the objective is not kept."""
        return None if self.calls == 0 else self.missed / self.calls / (1 - percent / 100)


@dataclass(frozen=True, slots=True)
class Target:
    """What a rule is to reach: `percent` of its callers are to have their agent within `seconds`."""

    rule_id: int
    rule: str
    agent_name: str
    percent: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Objective:
    """A target, and how it was kept in each window, the shortest first; a window not counted yet is not there."""

    target: Target
    attainments: tuple[Attainment, ...]

    @property
    def rule(self) -> str:
        return self.target.rule

    @property
    def percent(self) -> float:
        return self.target.percent

    @property
    def words(self) -> str:
        return objective_text(self.target.percent, self.target.seconds)

    def over(self, hours: float) -> Attainment | None:
        """Return how it was kept over a window; None while that is being counted."""
        return next((one for one in self.attainments if one.hours == hours), None)

    @property
    def is_burning(self) -> bool:
        """Whether it is missed over the longest window, or fast enough in the shortest that it soon will be."""
        if not self.attainments:
            return False
        shortest, longest = self.attainments[0], self.attainments[-1]
        return (longest.burn_rate(self.percent) or 0) > 1 or (
            shortest.missed > 1 and (shortest.burn_rate(self.percent) or 0) > 6
        )

    def to_json(self) -> dict[str, Any]:
        """Return the objective as a JSON object; shares are of 1."""
        return {
            "rule_id": self.target.rule_id,
            "rule": self.target.rule,
            "agent": self.target.agent_name,
            "percent": self.target.percent,
            "seconds": self.target.seconds,
            "windows": [
                {
                    "hours": one.hours,
                    "calls": one.calls,
                    "missed": one.missed,
                    "share": one.share,
                    "burn_rate": one.burn_rate(self.percent),
                    "is_cut": one.is_cut,
                    "counted_at": format_instant(one.counted_at),
                }
                for one in self.attainments
            ],
        }


def objective_text(percent: float, seconds: float) -> str:
    """Return an objective as people say it: `95 % within 3 s`."""
    return f"{percent:g} % within {seconds:g} s"


def objective_targets(
    connection: Connection, *, agent: str | None = None, rule: str | None = None, rule_id: int | None = None
) -> list[Target]:
    """Return the enabled rules that have an objective (of one agent, or one rule, if given) in matching order.

    One more than `MAX_OBJECTIVES` when there are more.
    """
    table = routing_rules.c
    query = (
        select(table.id, table.name, table.agent_name, table.objective_percent, table.objective_s)
        .where(table.objective_s.is_not(None), table.enabled)
        .order_by(table.priority, table.id)
        .limit(MAX_OBJECTIVES + 1)
    )
    if agent is not None:
        query = query.where(table.agent_name == agent)
    if rule is not None:
        query = query.where(table.name == rule)
    if rule_id is not None:
        query = query.where(table.id == rule_id)
    return [Target(*row) for row in connection.execute(query)]


def count_attainment(
    connection: Connection, *, target: Target, now: datetime, windows: Iterable[float]
) -> list[Attainment]:
    """Return how the objective was kept over each of the windows, which are hours before `now`, the shortest first."""
    spans = sorted(set(windows))
    names = names_of_rule(connection, target.rule_id, now - timedelta(hours=spans[-1])) or [target.rule]
    counts = [number or 0 for number in connection.execute(tally(connection, target, names, now, spans)).one()]
    return [
        Attainment(hours, calls, missed, dispatched >= COUNTED, now)
        for hours, (calls, missed, dispatched) in zip(spans, zip(*[iter(counts)] * 3, strict=True), strict=True)
    ]


def tally(
    connection: Connection, target: Target, names: Sequence[str], now: datetime, spans: Sequence[float]
) -> Select[Any]:
    """Return the query of three counts for each span: what counts, what missed, all; its plan is asserted by a test.

    By the rule's id, looked up under each of the `names` that the rule had.
    """
    column = dispatches.c
    waited = seconds_between(
        connection, column.created_at, func.coalesce(column.joined_at, column.ended_at, literal(now, Timestamp))
    )
    nobody_came = column.status.in_([DispatchStatus.NO_SHOW, DispatchStatus.FAILED])
    may_have_missed = or_(
        column.joined_at.is_not(None),
        column.status.in_(sorted(WAITING)),
        column.reason.startswith(GAVE_UP, autoescape=True),
    )
    is_own = column.rule_id == target.rule_id
    missed = or_(and_(column.joined_at.is_(None), nobody_came), and_(may_have_missed, waited > target.seconds))
    columns = (
        column.id,
        and_(is_own, missed).label("missed"),
        and_(is_own, or_(column.joined_at.is_not(None), missed)).label("counts"),
    )
    ways = [way_of(rule=name) for name in names]
    rows = latest(columns, ways, now - timedelta(hours=spans[-1]), COUNTED).c
    figures: list[ColumnElement[Any]] = []
    for hours in spans:
        within = rows.id >= lowest_id_at(now - timedelta(hours=hours))
        figures += [
            func.sum(case((and_(within, rows.counts), 1), else_=0)),
            func.sum(case((and_(within, rows.missed), 1), else_=0)),
            func.sum(case((within, 1), else_=0)),
        ]
    return select(*figures)
