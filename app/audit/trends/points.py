"""What became of dispatches over time: how many, how soon agents joined, how many missed, how long the queue was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from app.audit.statistics.figures import Waits
from app.audit.trends.rule_marks import RuleMark, rule_marks
from app.audit.trends.slice_counts import COUNTED, SETTLED, SliceCounts, count_slices, paths_of
from app.audit.trends.time_slices import TimeGrid, grid_of, slices_of
from app.json_shape import Instant, JsonShape


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
    for number, counts in count_slices(connection, grid, slices, agent=agent, rule=rule, projects=projects):
        sums[slices[number].point].add(counts, slices[number].weight)
    _spread_queues(sums, grid)
    marks = rule_marks(connection, grid.since, rule=rule, rule_ids=rule_ids)
    points = tuple(one.point(start) for one, start in zip(sums, grid.starts, strict=True))
    return OverTime(grid.since, as_of, int(grid.step.total_seconds()), is_sampled, points, marks.changes, marks.is_cut)


@dataclass(slots=True)
class _Sum:
    """Adds up the slices of one interval."""

    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0.0))
    seconds: list[float] = field(default_factory=list)
    queued: list[tuple[float, float, float]] = field(default_factory=list)
    """Of callers in a queue: when it began and how long it took, in seconds, and how many callers each stands for."""
    queue_length: float = 0.0

    def add(self, found: SliceCounts, weight: float) -> None:
        for name, count in found.counts.items():
            self.counts[name] += count * weight
        self.seconds += found.seconds
        self.queued += [(begin, seconds, weight) for begin, seconds in found.queued]

    def point(self, at: datetime) -> Point:
        counts = {name: round(number) for name, number in self.counts.items()}
        cancelled = round(self.counts["dispatches"] - sum(self.counts[name] for name in SETTLED))
        decided = counts["arrived"] + counts["no_shows"] + counts["abandoned"]
        waits = Waits.of(self.seconds)
        return Point(
            at=at,
            **counts,
            cancelled=cancelled,
            no_show_share=round(counts["no_shows"] / decided, 4) if decided else None,
            seconds_to_agent=Waits(waits.count, _rounded(waits.p50), _rounded(waits.p95), _rounded(waits.p99)),
            queue_length=round(self.queue_length, 2),
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


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
