"""What the database takes by table and index, for one call, for one day, and for the retention that is set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import Connection

from app.audit.storage.event_counts import EventCounts, count_events
from app.audit.storage.sizes import Sizes, TableSize, read_sizes
from app.db.tables import events
from app.json_shape import JsonShape

OF_CALLS: Final = ("events", "dispatches", "dispatch_attempts", "dispatch_callers", "audit_log", "caller_actions")
"""Tables that grow with calls, and that the retention empties."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days events and the bodies in them are kept; 0: forever, and as long as their events."""

    days: float
    bodies_days: float = 0.0
    days_of_projects: Mapping[str, float] = field(default_factory=dict)
    """Of projects that do not go by `days`."""

    def of(self, project: str) -> float:
        """Return the days for which events of a project are kept."""
        return self.days_of_projects.get(project, self.days)


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
    bytes_per_call: Annotated[
        float | None, Field(description="of the tables of calls, indexes included, while its bodies are kept")
    ]
    body_bytes_per_call: Annotated[float | None, Field(description="webhook bodies in it, of events that have theirs")]
    calls_per_day: Annotated[float | None, Field(description="of the last day that is stored")]
    bytes_per_day: float | None
    retention_days: Annotated[float, Field(description="USHER_RETENTION_DAYS; 0 = forever")]
    retention_days_of_projects: Annotated[
        Mapping[str, float], Field(description="of projects with a retention of their own; 0 = forever")
    ]
    retention_bodies_days: Annotated[float, Field(description="USHER_RETENTION_BODIES_DAYS; 0 = as their events")]
    retained_bytes: Annotated[
        float | None, Field(description="what calls take once the retention is reached; null if it is forever")
    ]
    costs: Annotated[tuple[TableCost, ...], Field(description="by table, largest first; bodies are in `events`")]


def read_storage(connection: Connection, retention: Retention) -> Storage:
    """Return the report; on SQLite this reads the whole file."""
    sizes = read_sizes(connection)
    counts = count_events(connection)
    per_call = _costs(sizes, counts) if counts.calls else {}
    per_day = counts.calls_per_day
    kept = _kept_days(counts, retention)
    costs = [
        TableCost(
            name,
            whole := facts + body,
            whole * per_day if per_day is not None else None,
            per_day * (kept.events * facts + kept.bodies * body) if per_day is not None and kept is not None else None,
        )
        for name, (facts, body) in per_call.items()
    ]
    return Storage(
        database=connection.dialect.name,
        total_bytes=sizes.total_bytes,
        free_bytes=sizes.free_bytes,
        log_bytes=sizes.log_bytes,
        tables=sizes.tables,
        calls=counts.calls,
        bytes_per_call=_sum(one.bytes_per_call for one in costs),
        body_bytes_per_call=_sum(body for _, body in per_call.values()),
        calls_per_day=per_day,
        bytes_per_day=_sum(one.bytes_per_day for one in costs),
        retention_days=retention.days,
        retention_days_of_projects=retention.days_of_projects,
        retention_bodies_days=retention.bodies_days,
        retained_bytes=_sum(one.retained_bytes for one in costs),
        costs=tuple(sorted(costs, key=lambda one: -one.bytes_per_call)),
    )


def _costs(sizes: Sizes, counts: EventCounts) -> dict[str, tuple[float, float]]:
    """Return by table of calls the bytes of one call without bodies of webhooks, and those of its bodies.

    Gaps that dropped bodies have left in pages count as facts: they come back with the rows around them.
    """
    found = {}
    for table in sizes.tables or ():
        if table.name in OF_CALLS:
            bodies, body = (counts.body_bytes, counts.body_bytes_per_call) if table.name == events.name else (0.0, 0.0)
            found[table.name] = (max(0.0, table.total_bytes - bodies) / counts.calls, body)
    return found


@dataclass(frozen=True, slots=True)
class _KeptDays:
    events: float
    bodies: float


def _kept_days(counts: EventCounts, retention: Retention) -> _KeptDays | None:
    """Return for how long a call of the last day is kept on average; None if some are kept forever."""
    of_events = of_bodies = 0.0
    for project, share in counts.shares_of_last_day.items():
        days = retention.of(project)
        if days <= 0:
            return None
        of_events += share * days
        of_bodies += share * (min(days, retention.bodies_days) if retention.bodies_days > 0 else days)
    return _KeptDays(of_events, of_bodies)


def _sum(amounts: Iterable[float | None]) -> float | None:
    """Return the sum; None if there is nothing to add, or something is not known."""
    found = list(amounts)
    known = [one for one in found if one is not None]
    return sum(known) if known and len(known) == len(found) else None
