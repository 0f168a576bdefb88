"""Reads dispatches of a long time at a bounded cost: all of them if they are few, else a sample spread over the time.

The time is cut into slices. If more than `MAX_SAMPLED` dispatches are in it, the newest `ROWS_OF_SLICE` of each slice
are read, and their counts are scaled by the share of the slice which they cover.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    Text,
    literal,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import func

from app.audit.lists.access_path import ByIndexedValue, ByPrimaryKey, IdRange
from app.db.record_ids import instant_of_id, lowest_id_at
from app.db.tables import dispatches

MAX_POINTS: Final = 60
"""Whole intervals of one picture; one more has begun."""
SLICES_OF_POINT: Final = 4
"""Where an interval is sampled, each of its slices is: traffic changes within it."""
ROWS_OF_SLICE: Final = 40
MAX_SAMPLED: Final = (MAX_POINTS + 1) * SLICES_OF_POINT * ROWS_OF_SLICE
"""Dispatches that are read at most: 9,760, about as many as for the figures of a time window."""
_STEPS_S: Final = (
    60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
"""Lengths of intervals in seconds: those in which people think, and each divides a day."""

Path = ByPrimaryKey | ByIndexedValue


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Intervals of `step` from `since`; the last has begun and lasts until `until`."""

    since: datetime
    until: datetime
    step: timedelta

    @property
    def starts(self) -> list[datetime]:
        """When each interval begins."""
        count = -(-(self.until - self.since) // self.step)
        return [self.since + number * self.step for number in range(max(1, count))]

    def seconds_of(self, number: int) -> float:
        """Return how long the interval is; the last one, so far, but at least a second."""
        start = self.starts[number]
        return max(1.0, (min(start + self.step, self.until) - start).total_seconds())


def grid_of(hours: float, until: datetime, most: int = MAX_POINTS) -> TimeGrid:
    """Return at most `most` whole intervals that cover the last `hours`, and the one that has begun."""
    span = timedelta(hours=hours)
    step = timedelta(seconds=next((one for one in _STEPS_S if span.total_seconds() <= one * most), _STEPS_S[-1]))
    midnight = datetime(until.year, until.month, until.day, tzinfo=UTC)
    begun = midnight + (until - midnight) // step * step
    return TimeGrid(begun - span // step * step, until, step)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an interval: the dispatches with ids from `low`, up to `high` which is not in it."""

    point: int
    low: str
    high: str
    weight: float = 1.0
    """By how much counts of its rows are multiplied."""


def slices_of(connection: Connection, grid: TimeGrid, paths: Sequence[Path]) -> tuple[list[Slice], bool]:
    """Return the slices to read, and whether they are samples."""
    whole = IdRange(lowest_id_at(grid.until + timedelta(milliseconds=1)), lowest_id_at(grid.since))
    if not any(_has_more(connection, path, whole) for path in paths):
        starts = grid.starts
        ends = [*starts[1:], grid.until + timedelta(milliseconds=1)]
        pairs = zip(starts, ends, strict=True)
        return [Slice(n, lowest_id_at(low), lowest_id_at(high)) for n, (low, high) in enumerate(pairs)], False
    length = grid.step / SLICES_OF_POINT
    cut: list[Slice] = []
    for point, start in enumerate(grid.starts):
        for part in range(SLICES_OF_POINT):
            low = start + part * length
            if low < grid.until:
                high = min(low + length, grid.until + timedelta(milliseconds=1))
                cut.append(Slice(point, lowest_id_at(low), lowest_id_at(high)))
    return _sampled(connection, cut, paths), True


def rows_of_slices(
    connection: Connection, slices: Sequence[Slice], paths: Sequence[Path], columns: Sequence[ColumnElement[Any]]
) -> Subquery:
    """Return the dispatches in the slices that any path finds, with `slice`, the number of theirs."""
    bounds = _bounds(connection, slices)
    parts = [_rows_of_path(connection, bounds, path, columns) for path in paths]
    return (parts[0] if len(parts) == 1 else union_all(*parts)).subquery("sliced")


def _rows_of_path(
    connection: Connection, bounds: FromClause, path: Path, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    within = _within(path, bounds.c.low, bounds.c.high)
    number = bounds.c.number.label("slice")
    if connection.dialect.name != "postgresql":
        return select(number, *columns).select_from(bounds.join(dispatches, within))
    # Order and limit make PostgreSQL go to the index for each slice; for a join it would rather read the whole table.
    found = select(*columns).where(within).order_by(*path.order()).limit(MAX_SAMPLED).correlate(bounds).lateral()
    return select(number, *found.c).select_from(bounds.join(found, true()))


def _has_more(connection: Connection, path: Path, ids: IdRange) -> bool:
    query = select(path.key).where(*path.conditions(ids)).order_by(*path.order()).offset(MAX_SAMPLED).limit(1)
    return connection.scalar(query) is not None


def _sampled(connection: Connection, slices: Sequence[Slice], paths: Sequence[Path]) -> list[Slice]:
    """Return the slices, each from the oldest of its newest `ROWS_OF_SLICE` dispatches on."""
    bounds = _bounds(connection, slices)
    oldest: list[ColumnElement[Any]] = []
    for place, path in enumerate(paths):
        found = (
            select(path.key)
            .where(_within(path, bounds.c.low, bounds.c.high))
            .order_by(*path.order())
            .offset(ROWS_OF_SLICE // len(paths) - 1)
            .limit(1)
            .correlate(bounds)
        )
        oldest.append(found.scalar_subquery().label(f"oldest_{place}"))
    cuts: Mapping[int, str | None] = {
        row[0]: max(filter(None, row[1:]), default=None) for row in connection.execute(select(bounds.c.number, *oldest))
    }
    return [_cut(one, cuts.get(number)) for number, one in enumerate(slices)]


def _cut(one: Slice, oldest: str | None) -> Slice:
    if oldest is None:
        return one
    low, first, high = (instant_of_id(identity) for identity in (one.low, oldest, one.high))
    if low is None or first is None or high is None:
        return one
    covered = max((high - first).total_seconds(), 0.001)
    return Slice(one.point, oldest, one.high, max(1.0, (high - low).total_seconds() / covered))


def _within(path: Path, low: ColumnElement[str], high: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition of a range of the path's index; a pair is found in the index of both columns only."""
    if isinstance(path, ByPrimaryKey):
        return (path.key >= low) & (path.key < high)
    value = literal(path.value, path.column.type)
    pair = tuple_(path.column, path.key)
    condition = (pair >= tuple_(value, low)) & (pair < tuple_(value, high))
    for one in path.where:
        condition &= one
    return condition


def _bounds(connection: Connection, slices: Sequence[Slice]) -> FromClause:
    """Return a table with `number`, `low` and `high`; the statement is the same for any number of slices."""
    if connection.dialect.name == "postgresql":
        numbers = literal(list(range(len(slices))), ARRAY(BigInteger))
        lows, highs = (literal([getattr(one, name) for one in slices], ARRAY(Text)) for name in ("low", "high"))
        return func.unnest(numbers, lows, highs).table_valued("number", "low", "high").alias("bounds").render_derived()
    listed = func.json_each(json.dumps([[one.low, one.high] for one in slices])).table_valued("key", "value")
    low, high = (func.json_extract(listed.c.value, f"$[{place}]") for place in (0, 1))
    return select(listed.c.key.label("number"), low.label("low"), high.label("high")).subquery("bounds")
