"""Whether rules keep their objectives ("95 % within 3 s"), and how fast each uses up what it may miss.

From the database, so it holds right after a restart. A caller counts who had an agent, to whom nobody came, who gave up
after more than the objective's seconds, or who has been waiting for longer. One who left sooner, or for whom somebody
cancelled, tells nothing of the objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from app.audit.elapsed import seconds_between
from app.audit.paging import first_id
from app.db.tables import dispatches, routing_rules
from app.db.types import DispatchStatus, Timestamp
from app.outbox.states import GAVE_UP, WAITING

MOST: Final = 100
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

    @property
    def share(self) -> float | None:
        """Which share of 1 kept it; None without calls."""
        return None if self.calls == 0 else 1 - self.missed / self.calls

    def burn_rate(self, percent: float) -> float | None:
        """Return the missed share ÷ the share that may miss: above 1 the objective is not kept."""
        return None if self.calls == 0 else self.missed / self.calls / (1 - percent / 100)


@dataclass(frozen=True, slots=True)
class Objective:
    """What a rule is to reach, and how it did in each window, the shortest first."""

    rule_id: int
    rule: str
    agent_name: str
    percent: float
    seconds: float
    attainments: tuple[Attainment, ...]

    @property
    def words(self) -> str:
        return objective_words(self.percent, self.seconds)

    @property
    def is_burning(self) -> bool:
        """Whether it is missed over the longest window, or fast enough in the shortest that it soon will be."""
        shortest, longest = self.attainments[0], self.attainments[-1]
        return (longest.burn_rate(self.percent) or 0) > 1 or (
            shortest.missed > 1 and (shortest.burn_rate(self.percent) or 0) > 6
        )

    def to_json(self) -> dict[str, Any]:
        """Return the objective as a JSON object; shares are of 1."""
        return {
            "rule_id": self.rule_id,
            "rule": self.rule,
            "agent": self.agent_name,
            "percent": self.percent,
            "seconds": self.seconds,
            "windows": [
                {
                    "hours": one.hours,
                    "calls": one.calls,
                    "missed": one.missed,
                    "share": one.share,
                    "burn_rate": one.burn_rate(self.percent),
                    "is_cut": one.is_cut,
                }
                for one in self.attainments
            ],
        }


def objective_words(percent: float, seconds: float) -> str:
    """Return an objective as people say it: `95 % within 3 s`."""
    return f"{percent:g} % within {seconds:g} s"


def objectives(
    connection: Connection,
    now: datetime,
    windows: Sequence[float],
    *,
    agent: str | None = None,
    rule: str | None = None,
) -> list[Objective]:
    """Return the enabled rules that have an objective (of one agent, or one rule, if named) in matching order.

    `windows` are hours before `now`; each is given once, the shortest first.
    """
    table, spans = routing_rules.c, sorted(set(windows))
    query = (
        select(table.id, table.name, table.agent_name, table.objective_percent, table.objective_s)
        .where(table.objective_s.is_not(None), table.enabled)
        .order_by(table.priority, table.id)
        .limit(MOST)
    )
    if agent is not None:
        query = query.where(table.agent_name == agent)
    if rule is not None:
        query = query.where(table.name == rule)
    return [
        Objective(
            row.id,
            row.name,
            row.agent_name,
            row.objective_percent,
            row.objective_s,
            _attainments(connection, row.name, row.objective_s, now, spans),
        )
        for row in connection.execute(query).all()
    ]


def _attainments(
    connection: Connection, rule: str, seconds: float, now: datetime, spans: Sequence[float]
) -> tuple[Attainment, ...]:
    counts = [count or 0 for count in connection.execute(tally(connection, rule, seconds, now, spans)).one()]
    return tuple(
        Attainment(hours, calls, missed, dispatched >= COUNTED)
        for hours, (calls, missed, dispatched) in zip(spans, zip(*[iter(counts)] * 3, strict=True), strict=True)
    )


def tally(connection: Connection, rule: str, seconds: float, now: datetime, spans: Sequence[float]) -> Select[Any]:
    """Return the query of three counts for each span: what counts, what missed, all; its plan is asserted by a test."""
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
    missed = or_(and_(column.joined_at.is_(None), nobody_came), and_(may_have_missed, waited > seconds))
    latest = (
        select(
            column.id,
            missed.label("missed"),
            or_(column.joined_at.is_not(None), missed).label("counts"),
        )
        .where(column.rule_name == rule, column.id >= first_id(now - timedelta(hours=spans[-1])))
        .order_by(column.id.desc())
        .limit(COUNTED)
        .subquery()
    )
    figures: list[ColumnElement[Any]] = []
    for hours in spans:
        within = latest.c.id >= first_id(now - timedelta(hours=hours))
        figures += [
            func.sum(case((and_(within, latest.c.counts), 1), else_=0)),
            func.sum(case((and_(within, latest.c.missed), 1), else_=0)),
            func.sum(case((within, 1), else_=0)),
        ]
    return select(*figures)
