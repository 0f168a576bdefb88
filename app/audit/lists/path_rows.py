"""The rows that one access path of a search finds, a bounded number for one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, false, func, select

from app.audit.lists.access_path import (
    AccessPath,
    ByPrefix,
    ByPrimaryKey,
    BySelectiveCondition,
    ByValueAndMinute,
    IdRange,
    IndexPath,
    ThroughNewerRows,
    ThroughOtherTable,
)
from app.db.record_ids import instant_of_id, lowest_id_at

MAX_ROWS_CHECKED = 2_000
"""Rows that are read for one page to apply a filter that no index serves together with the first.

Of ten million, spread over the whole table, this many take about 20 ms on PostgreSQL.
"""

MAX_CHECKED_BY_MINUTE = 500
"""The same where an index has the minute in place of the id, so that PostgreSQL fetches each row to sort its minute.

For 2,000, it would rather read and sort all rows of a name that has some thousand.
"""

MAX_ROWS_OF_OTHER_TABLE = 400
"""Rows of another table that are read for one page."""

MAX_PREFIXED = 5_000
"""Entries of an index that are read and sorted for one prefix: about 5 ms on either database.

Of a prefix that more rows have, the newest rows are searched.
"""


@dataclass(frozen=True, slots=True)
class Search:
    """The rows to find in one table: those that any of `paths` finds and for which all of `filters` hold."""

    table: Table
    columns: tuple[str, ...]
    paths: tuple[AccessPath, ...]
    filters: tuple[ColumnElement[bool], ...]
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class PathRows:
    """The rows that one path found, newest first."""

    rows: Sequence[Mapping[Any, Any]]
    reach: str
    """The lowest id that was read while more may follow; empty when there is no more."""


def rows_of_path(connection: Connection, search: Search, path: AccessPath, ids: IdRange, limit: int) -> PathRows:
    """Return up to `limit` + 1 rows that `path` finds among `ids` and for which the filters hold."""
    key, filters = search.table.c.id, search.filters
    if isinstance(path, ByPrefix) and is_common(connection, path):
        filters = (*filters, path.as_filter())
        path = path.newest
    if isinstance(path, ByPrefix | ThroughNewerRows | ThroughOtherTable):
        most = MAX_ROWS_OF_OTHER_TABLE if filters or not isinstance(path, ByPrefix) else limit + 1
        keys, horizon = _keys(connection, path, ids, most)
        if not keys:
            return PathRows((), horizon)
        column = path.column if isinstance(path, ThroughOtherTable) else key
        path = BySelectiveCondition(column.in_(keys), key)
    else:
        horizon = ""
        if filters:
            most = MAX_CHECKED_BY_MINUTE if isinstance(path, ByValueAndMinute) else MAX_ROWS_CHECKED
            horizon = connection.scalar(_select_ids(key, path, ids).offset(most - 1).limit(1)) or ""
    if horizon:
        ids = ids.at_least(horizon)
    rows = (
        connection.execute(
            select(*(search.table.c[name] for name in search.columns))
            .where(*path.conditions(ids), *_as_one(filters))
            .order_by(*path.order())
            .limit(limit + 1)
        )
        .mappings()
        .all()
    )
    return PathRows(rows, rows[-1]["id"] if len(rows) > limit else horizon)


def is_common(connection: Connection, path: ByPrefix | ByValueAndMinute) -> bool:
    """Return whether the path finds more rows than are read for one page."""
    if isinstance(path, ByPrefix):
        return connection.scalar(path.keys().offset(MAX_PREFIXED).limit(1)) is not None
    keys = select(path.key).where(*path.conditions(IdRange()))
    return connection.scalar(keys.offset(MAX_CHECKED_BY_MINUTE).limit(1)) is not None


def _keys(
    connection: Connection, path: ByPrefix | ThroughNewerRows | ThroughOtherTable, ids: IdRange, most: int
) -> tuple[list[str], str]:
    """Return the keys by which `path` finds rows, newest first, and the lowest id down to which they are complete."""
    if isinstance(path, ByPrefix):
        found = _prefixed(connection, path, ids, most)
        return found, found[-1] if len(found) == most else ""
    if isinstance(path, ThroughOtherTable):
        first = path.first
        if isinstance(first, ByPrefix):
            found = _prefixed(connection, first, IdRange(ids.before), most)
        else:
            found = list(connection.scalars(_select_ids(first.key, first, IdRange(ids.before)).limit(most)))
        return found, found[-1] if len(found) == most else ""
    newer = IdRange(None, ids.least)
    if ids.before is not None and (instant := instant_of_id(ids.before)) is not None:
        newer = IdRange(lowest_id_at(instant + path.delay), ids.least)
    query = select(path.first.key.label("newer"), path.column.label("key"))
    query = query.where(*path.first.conditions(newer)).order_by(*path.first.order()).limit(most)
    rows = connection.execute(query).all()
    # A row that was not read is older than the last that was, and so is the row to which it refers.
    return list(dict.fromkeys(row.key for row in rows)), rows[-1].newer if len(rows) == most else ""


def _prefixed(connection: Connection, path: ByPrefix, ids: IdRange, most: int) -> list[str]:
    keys = path.keys().limit(MAX_PREFIXED).subquery("prefixed")
    bounds = ByPrimaryKey(keys.c.id)
    return list(
        connection.scalars(select(keys.c.id).where(*bounds.conditions(ids)).order_by(keys.c.id.desc()).limit(most))
    )


def _as_one(filters: Sequence[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Return the filters as one condition that no planner takes for selective.

    A planner that does prefers to read the whole table and sort: it cannot see from the bounds of the range how few
    rows there are.
    """
    return [func.coalesce(and_(*filters), false())] if filters else []


def _select_ids(key: ColumnElement[str], path: IndexPath, ids: IdRange) -> Select[str]:
    return select(key).where(*path.conditions(ids)).order_by(*path.order())
