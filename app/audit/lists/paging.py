"""Pages of long lists, newest first by id: each page costs about as much as the first, whatever is filtered.

Ids are UUIDv7, so the order of ids is the order of time and a time range is a range of ids: one index (column, id)
serves a filter, the range and the order together. Where a second filter remains, at most `MAX_ROWS_CHECKED` rows are
read for one page; the page then says how far it got, and its cursor continues from there. So no combination of filters
makes a query long.
"""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, false, func, select

from app.audit.lists.access_path import AccessPath, BySelectiveCondition, IdRange, IndexPath, ThroughOtherTable
from app.db.record_ids import instant_of_id, lowest_id_at
from app.errors import InvalidInputError, Problem

T = TypeVar("T")

MAX_ROWS_CHECKED = 2_000
"""Rows that are read for one page to apply a filter that no index serves together with the first.

Of ten million, spread over the whole table, this many take about 20 ms on PostgreSQL.
"""

MAX_ROWS_OF_OTHER_TABLE = 400
"""Rows of another table that are read for one page."""

LARGEST_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some entries of a list, newest first; with a cursor it may hold fewer than asked for, even none."""

    items: tuple[T, ...]
    next_cursor: Annotated[str | None, Field(description="ask with this as `cursor` for what follows; null at the end")]
    searched_back_to: Annotated[
        datetime | None,
        Field(
            description="when the search was cut to keep it quick: nothing else is newer than this; go on with the "
            "cursor"
        ),
    ]


@dataclass(frozen=True, slots=True)
class Search:
    """The rows to find in one table: those that any of `paths` finds and for which all of `filters` hold."""

    table: Table
    columns: tuple[str, ...]
    paths: tuple[AccessPath, ...]
    filters: tuple[ColumnElement[bool], ...]
    since: datetime | None
    until: datetime | None


def read_page(
    connection: Connection, search: Search, read: Callable[[Mapping[Any, Any]], T], limit: int, cursor: str | None
) -> Page[T]:
    """Return the page of `search` that begins after `cursor`; raises InvalidInputError for a malformed cursor."""
    limit = max(1, min(limit, LARGEST_PAGE))
    ids = _id_range(search, cursor)
    found = [_read_path(connection, search, path, ids, limit) for path in search.paths]
    # Each path is complete down to its `reach`; below the highest reach another path may have missed rows.
    reach = max((one.reach for one in found), default="")
    rows: list[Mapping[Any, Any]] = []
    for row in heapq.merge(*(one.rows for one in found), key=itemgetter("id"), reverse=True):
        if row["id"] >= reach and not (rows and rows[-1]["id"] == row["id"]):
            rows.append(row)
    if len(rows) > limit:
        return Page(tuple(map(read, rows[:limit])), encode_cursor(rows[limit - 1]["id"]), None)
    if not reach:
        return Page(tuple(map(read, rows)), None, None)
    return Page(tuple(map(read, rows)), encode_cursor(reach), instant_of_id(reach))


def read_all(
    connection: Connection, search: Search, read: Callable[[Mapping[Any, Any]], T], size: int = 500
) -> Iterator[T]:
    """Yield everything that `search` finds, newest first, with one page in memory."""
    cursor: str | None = None
    while True:
        page = read_page(connection, search, read, size, cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


@dataclass(frozen=True, slots=True)
class _Found:
    rows: Sequence[Mapping[Any, Any]]
    reach: str
    """The lowest id that was read while more may follow; empty when there is no more."""


def _read_path(connection: Connection, search: Search, path: AccessPath, ids: IdRange, limit: int) -> _Found:
    key = search.table.c.id
    horizon = ""
    if isinstance(path, ThroughOtherTable):
        first = path.first
        query = _select_ids(first.key, first, IdRange(ids.before)).limit(MAX_ROWS_OF_OTHER_TABLE)
        referred = connection.scalars(query).all()
        if not referred:
            return _Found((), "")
        horizon = referred[-1] if len(referred) == MAX_ROWS_OF_OTHER_TABLE else ""
        path = BySelectiveCondition(path.column.in_(referred), key)
    elif search.filters:
        horizon = connection.scalar(_select_ids(key, path, ids).offset(MAX_ROWS_CHECKED - 1).limit(1)) or ""
    if horizon:
        ids = ids.at_least(horizon)
    rows = (
        connection.execute(
            select(*(search.table.c[name] for name in search.columns))
            .where(*path.conditions(ids), *_filters(search))
            .order_by(*path.order())
            .limit(limit + 1)
        )
        .mappings()
        .all()
    )
    return _Found(rows, rows[-1]["id"] if len(rows) > limit else horizon)


def _filters(search: Search) -> list[ColumnElement[bool]]:
    """Return the filters as one condition that no planner takes for selective.

    A planner that does prefers to read the whole table and sort: it cannot see from the bounds of the range how few
    rows there are.
    """
    return [func.coalesce(and_(*search.filters), false())] if search.filters else []


def _select_ids(key: ColumnElement[str], path: IndexPath, ids: IdRange) -> Select[str]:
    return select(key).where(*path.conditions(ids)).order_by(*path.order())


def _id_range(search: Search, cursor: str | None) -> IdRange:
    """Return the range of ids in which the page lies."""
    before = [] if cursor is None else [decode_cursor(cursor)]
    if search.until is not None:
        before.append(lowest_id_at(search.until))
    return IdRange(min(before, default=None), None if search.since is None else lowest_id_at(search.since))


def encode_cursor(last_id: str) -> str:
    """Return the cursor that continues after `last_id`."""
    return base64.urlsafe_b64encode(f"1{last_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the id that a cursor continues after; raises InvalidInputError for a malformed one."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("1") or not text.isprintable() or len(text) < 2:
        problem = Problem("cursor", "is not a cursor that a list returned; leave it out to begin at the newest", cursor)
        raise InvalidInputError("query", [problem])
    return text[1:]
