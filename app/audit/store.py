"""Appending to the audit log, in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from app.audit.entry import AuditEntry
from app.db.many import insert_new
from app.db.tables import audit_log


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
    insert_new(connection, audit_log, rows)
