"""What the database takes by table and index, for one call, for one day, and for the retention that is set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import Connection, Text, func, select, text, type_coerce

from app.audit.storage.sizes import Sizes, TableSize, read_sizes
from app.db.record_ids import instant_of_id, lowest_id_at
from app.db.tables import IS_CALL, events
from app.json_shape import JsonShape

OF_CALLS: Final = ("events", "dispatches", "dispatch_attempts", "dispatch_callers", "audit_log", "caller_actions")
"""Tables that grow with calls, and that the retention empties."""
_SAMPLED: Final = 2_000  # events whose bodies are measured
_DAY_S: Final = 86_400.0
_LEAST_S: Final = 600.0
"""A shorter time says nothing of a day."""


@dataclass(frozen=True, slots=True)
class TableCost(JsonShape):
    """What calls cost in one table, indexes included."""

    name: str
    bytes_per_call: float
    bytes_per_day: Annotated[float | None, Field(description="null if calls are stored for less than ten minutes")]
    retained_bytes: Annotated[float | None, Field(description="once the retention is reached; null if it is forever")]


@dataclass(frozen=True, slots=True)
class Storage(JsonShape):
    """What is stored now, and what it comes to; a figure is null where nothing is stored that it could rest on."""

    database: str
    total_bytes: int
    free_bytes: Annotated[int | None, Field(description="SQLite: pages that are used before the file grows")]
    log_bytes: Annotated[
        int | None, Field(description="SQLite: the write-ahead log beside the file, not in the total; it is reused")
    ]
    tables: Annotated[
        tuple[TableSize, ...] | None,
        Field(description="largest first; null where SQLite was built without DBSTAT"),
    ]
    calls: Annotated[int, Field(description="joins of callers that are stored")]
    bytes_per_call: Annotated[float | None, Field(description="of the tables of calls, indexes included")]
    body_bytes_per_call: Annotated[float | None, Field(description="webhook bodies in it, of the latest events")]
    calls_per_day: Annotated[float | None, Field(description="of the last day that is stored")]
    bytes_per_day: float | None
    retention_days: Annotated[float, Field(description="USHER_RETENTION_DAYS; 0 = forever")]
    retention_bodies_days: Annotated[float, Field(description="USHER_RETENTION_BODIES_DAYS; 0 = as their events")]
    retained_bytes: Annotated[
        float | None, Field(description="what calls take once the retention is reached; null if it is forever")
    ]
    costs: Annotated[tuple[TableCost, ...], Field(description="by table, largest first; bodies are in `events`")]


def read_storage(connection: Connection, retention_days: float, retention_bodies_days: float) -> Storage:
    """Return the report; counts all calls, and on SQLite reads the whole file."""
    sizes = read_sizes(connection)
    calls = connection.scalar(select(func.count()).select_from(events).where(text(IS_CALL))) or 0
    per_call = sum(cost for _, cost in _costs(sizes, calls)) if calls and sizes.tables is not None else None
    body = _body_bytes(connection) * _events_per_call(sizes, calls) if per_call is not None else None
    per_day = _calls_per_day(connection)
    costs = tuple(
        TableCost(
            name,
            cost,
            cost * per_day if per_day is not None else None,
            _retained(cost, body if name == events.name else 0.0, per_day, retention_days, retention_bodies_days),
        )
        for name, cost in _costs(sizes, calls)
    )
    return Storage(
        connection.dialect.name,
        sizes.total_bytes,
        sizes.free_bytes,
        sizes.log_bytes,
        sizes.tables,
        calls,
        per_call,
        body,
        per_day,
        per_call * per_day if per_call is not None and per_day is not None else None,
        retention_days,
        retention_bodies_days,
        _retained(per_call, body, per_day, retention_days, retention_bodies_days),
        costs,
    )


def _costs(sizes: Sizes, calls: int) -> list[tuple[str, float]]:
    """Return the bytes for one call of each table of calls, largest first."""
    return [(one.name, one.total_bytes / calls) for one in sizes.tables or () if calls and one.name in OF_CALLS]


def _events_per_call(sizes: Sizes, calls: int) -> float:
    rows = next((one.rows for one in sizes.tables or () if one.name == "events"), 0)
    return (rows or 0) / calls


def _body_bytes(connection: Connection) -> float:
    """Return the average size of a body among the latest events."""
    latest = select(events.c.body.label("body")).order_by(events.c.id.desc()).limit(_SAMPLED).subquery()
    if connection.dialect.name == "postgresql":
        size = func.pg_column_size(latest.c.body)
    else:
        size = func.length(type_coerce(latest.c.body, Text))
    return float(connection.scalar(select(func.avg(size)).select_from(latest)) or 0)


def _calls_per_day(connection: Connection) -> float | None:
    """Return the calls of the last day that is stored; of a shorter time, what they come to in a day."""
    first, last = connection.execute(select(func.min(events.c.id), func.max(events.c.id))).one()
    began, ended = (instant_of_id(one) if one else None for one in (first, last))
    if began is None or ended is None or (ended - began).total_seconds() < _LEAST_S:
        return None
    began = max(began, ended - timedelta(seconds=_DAY_S))
    of_that_time = select(func.count()).select_from(events).where(text(IS_CALL), events.c.id >= lowest_id_at(began))
    return (connection.scalar(of_that_time) or 0) * _DAY_S / (ended - began).total_seconds()


def _retained(
    per_call: float | None, body: float | None, per_day: float | None, days: float, bodies_days: float
) -> float | None:
    if per_call is None or per_day is None or days <= 0:
        return None
    without = max(0.0, days - bodies_days) if bodies_days > 0 else 0.0
    return per_day * (days * per_call - without * (body or 0.0))
