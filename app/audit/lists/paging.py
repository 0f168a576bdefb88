"""Pages of long lists: newest first, by id, each no dearer than the first, whatever is filtered.

Ids are UUIDv7, so the order of ids is the order of time and a time range is a range of ids: one index (column, id)
serves a filter, the range and the order together. Where a second filter remains, at most `SEARCHED` rows are looked at
for one page; the page then says how far it got, and its cursor goes on from there. So no combination of filters can
make one question long.
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

from app.audit.lists.access_path import ByKey, ByName, ByValue, Span, Through, Way
from app.db.record_ids import instant_of_id, lowest_id_at
from app.errors import InvalidInputError, Problem

T = TypeVar("T")

SEARCHED = 2_000
"""Rows that one page may look at behind a filter that no index serves together with the first.

Of ten million, spread over the whole table, this many take about 20 ms on PostgreSQL.
"""

SEARCHED_THROUGH = 400
"""Rows of another table that one page may go through."""

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
    """What to look for in one table.

    A row is found when any of the `ways` finds it; `remaining` is what must hold besides, checked row by row.
    """

    table: Table
    columns: tuple[str, ...]
    ways: tuple[Way, ...]
    remaining: tuple[ColumnElement[bool], ...]
    since: datetime | None
    until: datetime | None


def read_page(
    connection: Connection, search: Search, read: Callable[[Mapping[Any, Any]], T], limit: int, cursor: str | None
) -> Page[T]:
    """Return the page of `search` that begins after `cursor`; raises InvalidInputError for a cursor that is none."""
    limit = max(1, min(limit, LARGEST_PAGE))
    span = _span(search, cursor)
    answers = [_answer(connection, search, way, span, limit) for way in search.ways]
    # An answer is whole down to its `reach`; below the highest reach another way in may have missed something.
    reach = max((one.reach for one in answers), default="")
    rows: list[Mapping[Any, Any]] = []
    for row in heapq.merge(*(one.rows for one in answers), key=itemgetter("id"), reverse=True):
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
    """Yield everything that `search` finds, newest first, in memory for one page."""
    cursor: str | None = None
    while True:
        page = read_page(connection, search, read, size, cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


@dataclass(frozen=True, slots=True)
class _Answer:
    rows: Sequence[Mapping[Any, Any]]
    reach: str
    """The lowest id looked at while more may follow; empty when there is no more."""


def _answer(connection: Connection, search: Search, way: Way, span: Span, limit: int) -> _Answer:
    key = search.table.c.id
    horizon = ""
    if isinstance(way, Through):
        first = way.first
        named = connection.scalars(_ids(first.key, first, Span(span.ceiling)).limit(SEARCHED_THROUGH)).all()
        if not named:
            return _Answer((), "")
        horizon = named[-1] if len(named) == SEARCHED_THROUGH else ""
        way = ByName(way.column.in_(named), key)
    elif search.remaining:
        horizon = connection.scalar(_ids(key, way, span).offset(SEARCHED - 1).limit(1)) or ""
    if horizon:
        span = span.above(horizon)
    query = (
        select(*(search.table.c[name] for name in search.columns))
        .where(*way.conditions(span), *_remaining(search))
        .order_by(*way.order())
        .limit(limit + 1)
    )
    rows = connection.execute(query).mappings().all()
    return _Answer(rows, rows[-1]["id"] if len(rows) > limit else horizon)


def _remaining(search: Search) -> list[ColumnElement[bool]]:
    """Return what is checked row by row as one condition, of which no planner thinks that hardly any row fulfils it.

    One that does prefers to read the whole table and sort: the bounds of the range do not tell it how few there are.
    """
    return [func.coalesce(and_(*search.remaining), false())] if search.remaining else []


def _ids(key: ColumnElement[str], way: ByKey | ByValue | ByName, span: Span) -> Select[str]:
    return select(key).where(*way.conditions(span)).order_by(*way.order())


def _span(search: Search, cursor: str | None) -> Span:
    """Return the range of ids in which the page lies."""
    ceilings = [] if cursor is None else [decode_cursor(cursor)]
    if search.until is not None:
        ceilings.append(lowest_id_at(search.until))
    return Span(min(ceilings, default=None), None if search.since is None else lowest_id_at(search.since))


def encode_cursor(last_id: str) -> str:
    """Return the cursor that goes on after `last_id`."""
    return base64.urlsafe_b64encode(f"1{last_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the id that a cursor goes on after."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("1") or not text.isprintable() or len(text) < 2:
        problem = Problem("cursor", "is not one that a list has given; leave it out to begin at the newest", cursor)
        raise InvalidInputError("query", [problem])
    return text[1:]
