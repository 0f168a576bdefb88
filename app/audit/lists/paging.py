"""Pages of long lists, newest first by id: each page costs about as much as the first, whatever is filtered.

The order of ids is the order of time and a time range is a range of ids: one index (column, id)
serves a filter, the range and the order together. Where a second filter remains, at most `MAX_ROWS_CHECKED` rows are
read for one page; the page then says how far it got, and its cursor continues from there. So no combination of filters
makes a query long.
"""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field
from sqlalchemy import Connection

from app.audit.lists.access_path import IdRange
from app.audit.lists.path_rows import Search, rows_of_path
from app.db.record_ids import instant_of_id, lowest_id_at
from app.errors import InvalidInputError, Problem
from app.translation import translatable

T = TypeVar("T")

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


def read_page(
    connection: Connection, search: Search, read: Callable[[Mapping[Any, Any]], T], limit: int, cursor: str | None
) -> Page[T]:
    """Return the page of `search` that begins after `cursor`; raises InvalidInputError for a malformed cursor."""
    return read_merged(connection, (search,), read, limit, cursor)


def read_merged(
    connection: Connection,
    searches: Iterable[Search],
    read: Callable[[Mapping[Any, Any]], T],
    limit: int,
    cursor: str | None,
) -> Page[T]:
    """Return the page of what any of the searches finds, in the order of all their ids; otherwise as `read_page`."""
    limit = max(1, min(limit, LARGEST_PAGE))
    found = [
        rows_of_path(connection, search, path, _id_range(search, cursor), limit)
        for search in searches
        for path in search.paths
    ]
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
        problem = Problem(
            "cursor", translatable("is not a cursor that a list returned; leave it out to begin at the newest"), cursor
        )
        raise InvalidInputError("query", [problem])
    return text[1:]
