"""Whether rules meet their objectives ("95 % within 3 s"), and how fast each uses up its error budget.

Counted in the database, so that the result survives a restart. A call counts if an agent joined, if none did, or if the
caller waited longer than the objective's seconds, whether it then left or still waits; waiting for a lookup or in a
queue is waiting. A fallback is a miss of the rule's agent, however soon it came. A call counts neither way if the
caller left sooner or the dispatch was cancelled by hand. A hand-over is no new call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from app.audit.lists.latest_dispatches import latest_dispatches, names_of_rule, path_of_rule
from app.audit.statistics.dialects import seconds_between
from app.db.columns.column_types import Timestamp
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, routing_rules
from app.db.types import Cause, DispatchStatus
from app.json_shape import Instant, JsonShape
from app.outbox.statements import IS_HANDOVER, WAITS_SINCE
from app.outbox.states import WAITING
from app.translation import translatable

MAX_OBJECTIVES: Final = 100
"""Rules whose objectives are counted, the first in matching order."""
MAX_COUNTED: Final = 10_000
"""Dispatches of one rule that are counted, the latest."""


@dataclass(frozen=True, slots=True)
class Attainment:
    """The count of one objective over the last `hours`: `missed` of `calls` missed it."""

    hours: float
    calls: int
    missed: int
    is_cut: bool
    """Whether only the latest dispatches were counted, because there were more."""
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """The objective of a rule: an agent joins `percent` of its callers within `seconds`."""

    rule_id: int
    rule: str
    agent_name: str
    percent: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ObjectiveWindow(JsonShape):
    """How an objective was met over one window."""

    hours: Annotated[float, Field(description="until now: 1, 24, and the hours asked for")]
    calls: Annotated[
        int, Field(description="that count: an agent joined, or none did, or the caller waited longer than `seconds`")
    ]
    missed: int
    share: Annotated[float | None, Field(description="that had their agent in time; null without calls")]
    burn_rate: Annotated[
        float | None, Field(description="missed share ÷ share that may miss; above 1 the objective is missed")
    ]
    is_cut: Annotated[bool, Field(description="whether only the latest dispatches were counted")]
    counted_at: Annotated[
        Instant,
        Field(
            description="counts are kept for some seconds; long windows, where counting them takes long, for minutes"
        ),
    ]

    @classmethod
    def of(cls, counted: Attainment, percent: float) -> Self:
        """Return the window of a count, for an objective of `percent`."""
        missed_share = None if counted.calls == 0 else counted.missed / counted.calls
        return cls(
            hours=counted.hours,
            calls=counted.calls,
            missed=counted.missed,
            share=None if missed_share is None else 1 - missed_share,
            burn_rate=None if missed_share is None else missed_share / (1 - percent / 100),
            is_cut=counted.is_cut,
            counted_at=counted.counted_at,
        )


@dataclass(frozen=True, slots=True)
class Objective(JsonShape):
    """The objective of a rule, and how it was met in each window; a window not counted yet is absent."""

    rule_id: int
    rule: str
    agent: str
    percent: float
    seconds: float
    windows: Annotated[tuple[ObjectiveWindow, ...], Field(description="the shortest first")]

    @classmethod
    def of(cls, target: Target, counted: Iterable[Attainment]) -> Self:
        """Return the objective of a target with its counts, the shortest window first."""
        windows = tuple(ObjectiveWindow.of(one, target.percent) for one in counted)
        return cls(target.rule_id, target.rule, target.agent_name, target.percent, target.seconds, windows)

    @property
    def text(self) -> str:
        return objective_text(self.percent, self.seconds)

    def over(self, hours: float) -> ObjectiveWindow | None:
        """Return how the objective was met over a window; None while that is being counted."""
        return next((one for one in self.windows if one.hours == hours), None)

    @property
    def is_burning(self) -> bool:
        """Whether it is missed over the longest window, or so fast in the shortest that it soon will be."""
        if not self.windows:
            return False
        shortest, longest = self.windows[0], self.windows[-1]
        return (longest.burn_rate or 0) > 1 or (shortest.missed > 1 and (shortest.burn_rate or 0) > 6)


def objective_text(percent: float, seconds: float) -> str:
    """Return an objective such as `95 % within 3 s`."""
    return translatable("%(percent)s %% within %(seconds)s s", percent=_shortest(percent), seconds=_shortest(seconds))


def _shortest(number: float) -> float:
    """Return a number of at most six digits, without a fraction of zero."""
    rounded = float(f"{number:g}")
    return int(rounded) if rounded.is_integer() else rounded


def objective_targets(
    connection: Connection, *, agent: str | None = None, rule: str | None = None, rule_id: int | None = None
) -> list[Target]:
    """Return the enabled rules that have an objective (of one agent, or one rule, if given) in matching order.

    Returns `MAX_OBJECTIVES` + 1 if there are more than `MAX_OBJECTIVES`.
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
    """Return how the objective was met over each window (hours before `now`), the shortest first."""
    spans = sorted(set(windows))
    names = names_of_rule(connection, target.rule_id, now - timedelta(hours=spans[-1])) or [target.rule]
    counts = [number or 0 for number in connection.execute(tally(connection, target, names, now, spans)).one()]
    return [
        Attainment(hours, calls, missed, dispatched >= MAX_COUNTED, now)
        for hours, (calls, missed, dispatched) in zip(spans, zip(*[iter(counts)] * 3, strict=True), strict=True)
    ]


def tally(
    connection: Connection, target: Target, names: Sequence[str], now: datetime, spans: Sequence[float]
) -> Select[Any]:
    """Return the query of three counts for each span: calls that count, missed ones, all; a test asserts its plan.

    Selects by the id of the rule, under each of the `names` that it had.
    """
    column = dispatches.c
    waited = seconds_between(
        connection, WAITS_SINCE, func.coalesce(column.joined_at, column.ended_at, literal(now, Timestamp))
    )
    no_agent_joined = column.status.in_([DispatchStatus.NO_SHOW, DispatchStatus.FAILED])
    may_have_missed = or_(
        column.joined_at.is_not(None),
        column.status.in_(sorted(WAITING)),
        column.cause == Cause.CALLER_LEFT,
    )
    is_own = and_(column.rule_id == target.rule_id, ~IS_HANDOVER)
    missed = or_(
        and_(column.joined_at.is_(None), no_agent_joined),
        and_(may_have_missed, waited > target.seconds),
        and_(column.joined_at.is_not(None), column.rung > 0),
    )
    columns = (
        column.id,
        and_(is_own, missed).label("missed"),
        and_(is_own, or_(column.joined_at.is_not(None), missed)).label("counts"),
    )
    paths = [path_of_rule(name) for name in names]
    rows = latest_dispatches(columns, paths, now - timedelta(hours=spans[-1]), MAX_COUNTED).c
    figures: list[ColumnElement[Any]] = []
    for hours in spans:
        within = rows.id >= lowest_id_at(now - timedelta(hours=hours))
        figures += [
            func.sum(case((and_(within, rows.counts), 1), else_=0)),
            func.sum(case((and_(within, rows.missed), 1), else_=0)),
            func.sum(case((within, 1), else_=0)),
        ]
    return select(*figures)
