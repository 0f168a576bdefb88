"""Reads dispatches of a long time at a bounded cost: all of them if they are few, else a sample spread over the time.

The time is cut into slices. If more than `MAX_SAMPLED` dispatches are in it, the newest `ROWS_OF_SLICE` of each slice
are read, and their counts are scaled by the share of the slice which they cover.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Label,
    Select,
    Text,
    bindparam,
    case,
    literal_column,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import func

from app.audit.lists.access_path import ByIndexedValue, ByPrimaryKey
from app.db.hot_statement import HotStatement
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
        start = self.since + number * self.step
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
    end = grid.until + timedelta(milliseconds=1)
    whole = Slice(0, lowest_id_at(grid.since), lowest_id_at(end))
    if not any(_ids_after(connection, [whole], paths, MAX_SAMPLED)[0]):
        starts = grid.starts
        ends = [*starts[1:], end]
        pairs = zip(starts, ends, strict=True)
        return [Slice(n, lowest_id_at(low), lowest_id_at(high)) for n, (low, high) in enumerate(pairs)], False
    length = grid.step / SLICES_OF_POINT
    cut: list[Slice] = []
    for point, start in enumerate(grid.starts):
        for part in range(SLICES_OF_POINT):
            low = start + part * length
            if low < grid.until:
                high = min(low + length, end)
                cut.append(Slice(point, lowest_id_at(low), lowest_id_at(high)))
    return _sampled(connection, cut, paths), True


def rows_of_slices(connection: Connection, paths: Sequence[Path], columns: Sequence[ColumnElement[Any]]) -> FromClause:
    """Return the dispatches that any path finds, with `slice`, the number of theirs. Parameters: `values_of`."""
    bounds = _bounds(connection)
    return _merged([_rows_of_path(connection, bounds, path, columns) for path in paths])


def sums_of_slices(
    connection: Connection,
    paths: Sequence[Path],
    columns: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool],
    sums: Callable[[FromClause], Sequence[Label[Any]]],
) -> Select[Any]:
    """Return the query for `slice` and the `sums` of its dispatches that any path finds and for which `where` holds.

    On SQLite the sums are one JSON list. Parameters: `values_of`.
    """
    bounds = _bounds(connection)
    is_wanted = case((where, 1), else_=0)  # a number: no planner takes it for an access path
    if connection.dialect.name != "postgresql":
        parts = [select(*columns).where(_within(path, bounds.c.low, bounds.c.high), is_wanted == 1) for path in paths]
        rows = _merged([part.correlate(bounds) for part in parts])
        added = select(func.json_array(*(one.element for one in sums(rows)))).select_from(rows).correlate(bounds)
        return select(bounds.c.number.label("slice"), added.scalar_subquery().label("sums"))
    # After the limit: a planner that thinks few rows are wanted would sort those of the whole slice.
    rows = _merged([_rows_in_order(bounds, path, [*columns, is_wanted.label("is_wanted")]) for path in paths])
    wanted = select(*sums(rows)).select_from(rows).where(rows.c.is_wanted == 1)
    each = wanted.correlate(bounds).lateral()
    return select(bounds.c.number.label("slice"), *each.c).select_from(bounds.join(each, true()))


def _merged(parts: Sequence[Select[Any]]) -> FromClause:
    return (parts[0] if len(parts) == 1 else union_all(*parts)).subquery("sliced")


def _rows_in_order(bounds: FromClause, path: Path, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return the rows on PostgreSQL: order and limit make it go to the index for each slice, and not read the table."""
    within = _within(path, bounds.c.low, bounds.c.high)
    most = bindparam("most", type_=Integer())
    return select(*columns).where(within).order_by(*path.order()).limit(most).correlate(bounds)


def _rows_of_path(
    connection: Connection, bounds: FromClause, path: Path, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    number = bounds.c.number.label("slice")
    if connection.dialect.name != "postgresql":
        within = _within(path, bounds.c.low, bounds.c.high)
        return select(number, *columns).select_from(bounds.join(dispatches, within))
    found = _rows_in_order(bounds, path, columns).lateral()
    return select(number, *found.c).select_from(bounds.join(found, true()))


def _sampled(connection: Connection, slices: Sequence[Slice], paths: Sequence[Path]) -> list[Slice]:
    """Return the slices, each from the oldest of its newest `ROWS_OF_SLICE` dispatches on."""
    found = _ids_after(connection, slices, paths, ROWS_OF_SLICE // len(paths) - 1)
    return [_cut(one, max(filter(None, ids), default=None)) for one, ids in zip(slices, found, strict=True)]


def _ids_after(
    connection: Connection, slices: Sequence[Slice], paths: Sequence[Path], skipped: int
) -> list[Sequence[str | None]]:
    """Return for each slice the id that each path finds after `skipped` newer ones; None if it finds no more."""
    columns = (path.key if isinstance(path, ByPrimaryKey) else path.column for path in paths)
    key = (connection.dialect.name, *(column.name for column in columns))
    statement = _IDS_AFTER.get(key)
    if statement is None:
        statement = _IDS_AFTER[key] = _statement_of_ids(connection, paths)
    values = {**values_of(connection, slices, paths), "skipped": skipped}
    found = {number: ids for number, *ids in statement.rows(connection, values)}
    return [found[number] for number in range(len(slices))]


_IDS_AFTER: Final[dict[tuple[str, ...], HotStatement]] = {}
"""By the database, and the indexes that paths use."""


def _statement_of_ids(connection: Connection, paths: Sequence[Path]) -> HotStatement:
    """Return the statement for the number of each slice, and the id after `skipped` newer ones by each path."""
    bounds = _bounds(connection)
    ids = []
    for place, path in enumerate(paths):
        found = (
            select(path.key)
            .where(_within(path, bounds.c.low, bounds.c.high))
            .order_by(*path.order())
            .offset(bindparam("skipped", type_=Integer()))
            .limit(1)
            .correlate(bounds)
        )
        ids.append(found.scalar_subquery().label(f"id_{place}"))
    return HotStatement(select(bounds.c.number, *ids))


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
    value = bindparam("path_value", type_=path.column.type)
    pair = tuple_(path.column, path.key)
    condition = (pair >= tuple_(value, low)) & (pair < tuple_(value, high))
    for one in path.where:
        condition &= one
    return condition


def _bounds(connection: Connection) -> FromClause:
    """Return a table with `number`, `low` and `high`; the statement is the same for any number of slices."""
    if connection.dialect.name == "postgresql":
        numbers = bindparam("numbers", type_=ARRAY(BigInteger))
        lows, highs = (bindparam(name, type_=ARRAY(Text)) for name in ("lows", "highs"))
        return func.unnest(numbers, lows, highs).table_valued("number", "low", "high").alias("bounds").render_derived()
    listed = func.json_each(bindparam("bounds", type_=Text())).table_valued("key", "value")
    low, high = (func.json_extract(listed.c.value, literal_column(f"'$[{place}]'")) for place in (0, 1))
    return select(listed.c.key.label("number"), low.label("low"), high.label("high")).subquery("bounds")


def values_of(connection: Connection, slices: Sequence[Slice], paths: Sequence[Path]) -> dict[str, Any]:
    """Return the parameters of statements about slices; all paths have the same value."""
    # No more than there are: before release 18, PostgreSQL does not stop at `low`, but reads on to the oldest.
    most = ROWS_OF_SLICE // len(paths) if any(one.weight > 1 for one in slices) else MAX_SAMPLED
    values: dict[str, Any] = {"path_value": getattr(paths[0], "value", None), "most": most}
    if connection.dialect.name == "postgresql":
        lows, highs = [one.low for one in slices], [one.high for one in slices]
        return {**values, "numbers": list(range(len(slices))), "lows": lows, "highs": highs}
    return {**values, "bounds": json.dumps([[one.low, one.high] for one in slices])}
