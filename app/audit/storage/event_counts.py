"""How many calls are stored, how many of their webhooks have a body still, and how many calls come in a day.

PostgreSQL is asked for a sample of pages once the table is large: to count all would take minutes there, and a
statement may take 30 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, Text, func, literal, select, text, type_coerce

from app.db.record_ids import instant_of_id, lowest_id_at
from app.db.tables import IS_CALL, events

SAMPLED_PAGES: Final = 20_000
"""About 160 MB of PostgreSQL: a second's work, and more than 50,000 calls."""
_DAY_S: Final = 86_400.0
_LEAST_S: Final = 600.0
"""A shorter time says nothing of a day."""
_EMPTY_BODY: Final = 12
"""Bytes of a body that was dropped, which is JSON null; every other one takes more."""
_PAGES: Final = text("SELECT pg_relation_size('events') / current_setting('block_size')::int")


@dataclass(frozen=True, slots=True)
class EventCounts:
    """What is counted in `events`."""

    calls: int
    """Joins of callers; an estimate where a sample was read."""
    body_bytes: float
    """Of all bodies that are stored."""
    body_bytes_per_call: float
    """Of a call whose bodies are all kept."""
    calls_per_day: float | None
    """In the last day that is stored; None if calls are stored for less than ten minutes."""
    shares_of_last_day: Mapping[str, float]
    """By project, its share of those calls."""


def count_events(connection: Connection, sampled_pages: int = SAMPLED_PAGES) -> EventCounts:
    """Return the counts; on SQLite all rows are read, on PostgreSQL about `sampled_pages` pages."""
    first, last = connection.execute(select(func.min(events.c.id), func.max(events.c.id))).one()
    began, ended = (instant_of_id(one) if one else None for one in (first, last))
    if began is None or ended is None:
        return EventCounts(0, 0.0, 0.0, None, {})
    stored_s = (ended - began).total_seconds()
    since = lowest_id_at(max(began, ended - timedelta(seconds=_DAY_S)))
    table, share = _sample(connection, sampled_pages)
    size = _size_of_body(connection, table)
    is_call = text(IS_CALL)
    rows = connection.execute(
        select(
            table.c.project,
            func.count().label("events"),
            func.count().filter(is_call).label("calls"),
            func.count().filter(is_call, table.c.id >= literal(since)).label("of_last_day"),
            func.count().filter(size > _EMPTY_BODY).label("bodies"),
            func.coalesce(func.sum(size).filter(size > _EMPTY_BODY), 0).label("body_bytes"),
        ).group_by(table.c.project)
    ).all()
    counted = {name: sum(getattr(row, name) for row in rows) for name in ("events", "calls", "of_last_day", "bodies")}
    body_bytes = float(sum(row.body_bytes for row in rows))
    calls, latest = counted["calls"], counted["of_last_day"]
    per_call = body_bytes / counted["bodies"] * counted["events"] / calls if calls and counted["bodies"] else 0.0
    return EventCounts(
        calls=round(calls / share),
        body_bytes=body_bytes / share,
        body_bytes_per_call=per_call,
        calls_per_day=latest / share * _DAY_S / min(stored_s, _DAY_S) if stored_s >= _LEAST_S else None,
        shares_of_last_day={row.project: row.of_last_day / latest for row in rows if row.of_last_day},
    )


def _sample(connection: Connection, most_pages: int) -> tuple[FromClause, float]:
    """Return what to read in place of `events`, and what share of it that is."""
    pages = connection.scalar(_PAGES) or 0 if connection.dialect.name == "postgresql" else 0
    if pages <= most_pages:
        return events, 1.0
    share = most_pages / pages
    return events.tablesample(func.system(share * 100), name="sampled", seed=literal(0)), share


def _size_of_body(connection: Connection, table: FromClause) -> ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return func.pg_column_size(table.c.body)
    return func.length(type_coerce(table.c.body, Text))
