"""What was written after a position, oldest first, for a reader that polls."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.audit.records.record_types import AuditRecord, EventDetail, columns_of
from app.db.tables import audit_log, dispatches, events


@dataclass(frozen=True, slots=True)
class DispatchChange:
    """One change of a dispatch's state, and the event that the dispatch was made for."""

    line: AuditRecord
    event_id: str


def events_after(connection: Connection, event_id: str, limit: int = 500) -> list[EventDetail]:
    """Return the events stored after the one of that id ("" for all), oldest first."""
    columns = [events.c[name] for name in columns_of(EventDetail)]
    query = select(*columns).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
    return [EventDetail.from_row(row) for row in connection.execute(query).mappings()]


def changes_after(connection: Connection, line_id: int, limit: int = 500) -> list[DispatchChange]:
    """Return the changes of dispatches after the line of that id in the audit log (0 for all), oldest first."""
    query = (
        select(audit_log, dispatches.c.event_id)
        .join(dispatches, dispatches.c.id == audit_log.c.entity_id)
        .where(audit_log.c.id > line_id)
        .order_by(audit_log.c.id)
        .limit(limit)
    )
    rows = connection.execute(query).mappings()
    return [DispatchChange(AuditRecord.from_row(row), row["event_id"]) for row in rows]
