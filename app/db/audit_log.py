"""The audit log: one line per change of state, appended in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.db.bulk_insert import insert_new_later
from app.db.tables import audit_log


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of state: of what, from which state to which, when, why, and who made it."""

    entity: str
    entity_id: str
    from_state: str | None
    to_state: str
    reason: str
    changed_at: datetime
    changed_by: str = "usher"


def append(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Add `entries` in their order."""
    rows = [
        {
            "entity": entry.entity,
            "entity_id": entry.entity_id,
            "from_state": entry.from_state,
            "to_state": entry.to_state,
            "reason": entry.reason,
            "changed_at": entry.changed_at,
            "changed_by": entry.changed_by,
        }
        for entry in entries
    ]
    insert_new_later(connection, audit_log, rows)
