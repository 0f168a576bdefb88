"""What became of dispatches over time: how many, how soon agents joined, how many missed, how long the queue was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from app.audit.lists.access_path import ByIndexedValue, ByPrimaryKey
from app.audit.lists.latest_dispatches import paths_of_agent
from app.audit.statistics.dialects import listed, read_list, seconds_between
from app.audit.statistics.figures import Waits
from app.audit.trends.rule_marks import RuleMark, rule_marks
from app.audit.trends.time_slices import Path, Slice, TimeGrid, grid_of, rows_of_slices, slices_of
from app.db.columns.column_types import Timestamp
from app.db.tables import dispatch_attempts, dispatches
from app.db.types import Cause, DispatchStatus
from app.json_shape import Instant, JsonShape
from app.outbox.statements import COUNTS_FOR_RULE, IS_BESIDE, WAITS_SINCE
from app.outbox.states import WAITING

_QUEUED_OVER_S = 1.0
"""Seconds until LiveKit has a dispatch; a longer time is looked into, since the caller may have been in a queue."""


_COUNTS: Final = ("calls", "dispatches", "waiting", "arrived", "no_shows", "abandoned", "cancelled", "fallbacks")


@dataclass(frozen=True, slots=True)
class Point(JsonShape):
    """What became of the dispatches that were created within one interval; if sampled, counts are estimates."""

    at: Annotated[Instant, Field(description="when the interval begins")]
    calls: Annotated[int, Field(description="with a dispatch")]
    dispatches: int
    waiting: Annotated[int, Field(description="an agent is awaited now")]
    arrived: int
    no_shows: Annotated[int, Field(description="no agent joined, or LiveKit or the rule's metadata failed")]
    abandoned: Annotated[int, Field(description="the caller left before an agent joined")]
    cancelled: int
    fallbacks: Annotated[int, Field(description="a fallback was asked, since the rule's agent did not join")]
    no_show_share: Annotated[float | None, Field(description="of those decided: arrived, no-shows and abandoned")]
    seconds_to_agent: Waits
    queue_length: Annotated[float, Field(description="callers in queues for an agent, on average")]


@dataclass(frozen=True, slots=True)
class OverTime(JsonShape):
    """Figures of dispatches over time, oldest interval first, and the changes of rules within that time."""

    since: Instant
    as_of: Annotated[Instant, Field(description="when the figures were looked up; they are kept for some seconds")]
    step_s: Annotated[int, Field(description="length of an interval; the last one has only begun")]
    is_sampled: Annotated[bool, Field(description="whether counts are estimates, from a sample of each interval")]
    points: tuple[Point, ...]
    changes: Annotated[tuple[RuleMark, ...], Field(description="of rules, those made together as one, oldest first")]
    changes_are_cut: Annotated[bool, Field(description="whether only the latest changes are listed")]


def over_time(
    connection: Connection,
    hours: float,
    as_of: datetime,
    *,
    agent: str | None = None,
    rule: str | None = None,
    projects: Collection[str] | None = None,
    rule_ids: Collection[int] | None = None,
) -> OverTime:
    """Return the figures of the last `hours` until `as_of`, the present instant.

    At most `MAX_SAMPLED` rows of each access path are read. Restricted to one agent (the dispatches for which it was
    asked), to the name that a rule had, or to both. `projects`: only dispatches of these among those read; `rule_ids`:
    only changes of these rules (None: of all).
    """
    grid = grid_of(hours, as_of)
    paths = paths_of(agent, rule)
    slices, is_sampled = slices_of(connection, grid, paths)
    sums = [_Sum() for _ in grid.starts]
    query = counts_query(connection, grid, slices, paths, agent=agent, rule=rule, projects=projects)
    for row in connection.execute(query):
        if row.is_own:
            sums[slices[row.slice].point].add(row, slices[row.slice].weight)
    _spread_queues(sums, grid)
    marks = rule_marks(connection, grid.since, rule=rule, rule_ids=rule_ids)
    points = tuple(one.point(start) for one, start in zip(sums, grid.starts, strict=True))
    return OverTime(grid.since, as_of, int(grid.step.total_seconds()), is_sampled, points, marks.changes, marks.is_cut)


def paths_of(agent: str | None, rule: str | None) -> list[Path]:
    """Return the access paths to the dispatches of an agent or of a rule; to all if neither is given."""
    if agent is not None:
        return [*paths_of_agent(agent)]
    column = dispatches.c
    return [ByPrimaryKey(column.id) if rule is None else ByIndexedValue(column.rule_name, rule, column.id)]


@dataclass(slots=True)
class _Sum:
    """Adds up the slices of one interval."""

    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0.0))
    seconds: list[float] = field(default_factory=list)
    queued: list[tuple[float, float, float]] = field(default_factory=list)
    """Of callers in a queue: when it began and how long it took, in seconds, and how many callers each stands for."""
    queue_length: float = 0.0

    def add(self, row: Any, weight: float) -> None:
        for name in _COUNTS:
            self.counts[name] += getattr(row, name) * weight
        self.seconds += read_list(row.seconds)
        waits = zip(read_list(row.queued_from), read_list(row.queued), strict=True)
        self.queued += [(begin, seconds, weight) for begin, seconds in waits]

    def point(self, at: datetime) -> Point:
        counts = {name: round(number) for name, number in self.counts.items()}
        decided = counts["arrived"] + counts["no_shows"] + counts["abandoned"]
        return Point(
            at=at,
            **counts,
            no_show_share=round(counts["no_shows"] / decided, 4) if decided else None,
            seconds_to_agent=Waits.of(round(one, 3) for one in self.seconds),
            queue_length=round(self.queue_length, 2),
        )


def _spread_queues(sums: Sequence[_Sum], grid: TimeGrid) -> None:
    """Write the mean length of the queues: the time that all callers spent in them, per length of the interval."""
    step = grid.step.total_seconds()
    spent = [0.0] * len(sums)
    for begin, seconds, weight in (each for one in sums for each in one.queued):
        end = begin + seconds
        for place in range(int(begin // step), min(int(end // step) + 1, len(sums))):
            spent[place] += (min(end, (place + 1) * step) - max(begin, place * step)) * weight
    for number, one in enumerate(sums):
        one.queue_length = spent[number] / grid.seconds_of(number)


def counts_query(
    connection: Connection,
    grid: TimeGrid,
    slices: Sequence[Slice],
    paths: Sequence[Path],
    *,
    agent: str | None = None,
    rule: str | None = None,
    projects: Collection[str] | None = None,
) -> Select[Any]:
    """Return the query that counts the dispatches of each slice; a test asserts how many rows it reads.

    With `agent`, a dispatch whose fallback was asked next counts as a no-show of the agent; one that it was not asked
    for, as it was out of service, does not count. Without, a hand-over does not count: it is no new call,
    unless it left the caller without any agent.
    """
    column, since, now = dispatches.c, grid.since, grid.until
    is_asked, is_missed = _asked_and_missed(agent)
    is_call = COUNTS_FOR_RULE if agent is None else literal(1) == 1
    is_of_rule = literal(1) == 1 if rule is None else column.rule_name == rule
    waits = and_(is_asked, column.status.in_(sorted(WAITING)))
    came = and_(is_asked, column.joined_at.is_not(None))
    missed = and_(
        column.joined_at.is_(None), column.status.in_([DispatchStatus.NO_SHOW, DispatchStatus.FAILED]), is_asked
    )
    left = and_(is_asked, column.joined_at.is_(None), column.cause == Cause.CALLER_LEFT, ~waits, ~missed, ~IS_BESIDE)
    flags: dict[str, ColumnElement[bool]] = {
        "waiting": and_(waits, column.joined_at.is_(None)),
        "arrived": came,
        "no_shows": or_(missed, is_missed),
        "abandoned": left,
        "fallbacks": and_(column.rung > 0, or_(is_asked, is_missed)),
    }
    begun = func.coalesce(column.dispatched_at, column.ended_at, literal(now, Timestamp))
    first_call = (
        select(dispatch_attempts.c.started_at)
        .where(dispatch_attempts.c.dispatch_id == column.id, dispatch_attempts.c.number >= 1)
        .order_by(dispatch_attempts.c.number)
        .limit(1)
        .correlate(dispatches)
        .scalar_subquery()
    )
    never_called = func.coalesce(column.ended_at, literal(now, Timestamp))
    in_queue = seconds_between(connection, column.created_at, func.coalesce(first_call, never_called))
    columns = (
        *(case((flag, 1), else_=0).label(name) for name, flag in flags.items()),
        case((and_(or_(is_asked, is_missed), is_of_rule, is_call), 1), else_=0).label("counts"),
        case((column.replaces.is_(None), column.event_id)).label("call"),
        case((came, seconds_between(connection, WAITS_SINCE, column.joined_at))).label("seconds"),
        case((seconds_between(connection, column.created_at, begun) > _QUEUED_OVER_S, in_queue)).label("queued"),
        seconds_between(connection, literal(since, Timestamp), column.created_at).label("queued_from"),
        (literal(1) if projects is None else case((column.project.in_(projects), 1), else_=0)).label("is_own"),
    )
    rows = rows_of_slices(connection, slices, paths, columns).c
    was_queued = rows.queued > _QUEUED_OVER_S
    sums: dict[str, ColumnElement[int]] = {name: func.sum(rows[name]) for name in flags}
    settled = sum((sums[name] for name in ("waiting", "arrived", "no_shows", "abandoned")), start=literal(0))
    return (
        select(
            rows.slice,
            rows.is_own,
            func.count(rows.call.distinct()).label("calls"),
            func.count().label("dispatches"),
            *(total.label(name) for name, total in sums.items()),
            (func.count() - settled).label("cancelled"),
            listed(connection, rows.seconds).label("seconds"),
            # In the same order, as both go through the rows of the group once.
            listed(connection, case((was_queued, rows.queued_from))).label("queued_from"),
            listed(connection, case((was_queued, rows.queued))).label("queued"),
        )
        .where(rows.counts == 1)
        .group_by(rows.slice, rows.is_own)
    )


def _asked_and_missed(agent: str | None) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions that the agent (None: any) is the last that was asked, and that it was asked before."""
    column = dispatches.c
    if agent is None:
        return literal(1) == 1, literal(1) == 0
    asked = func.coalesce(column.asked_agent_name, column.agent_name)
    return asked == agent, and_(column.agent_name == agent, column.rung > 0, asked != agent)
