"""Writes changes of state: the row and its audit line in one transaction, noted for what follows the commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.db.audit_log import AuditEntry, append
from app.db.types import DispatchStatus
from app.lifecycle.after_commit import AfterCommit
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import inherit_callers, insert_dispatches, write_moves
from app.outbox.move import Move


def move(connection: Connection, after: AfterCommit, moves: Sequence[Move], now: datetime) -> None:
    """Carry out `moves` and write an audit line for each; a move to the same state only notes its reason."""
    if not moves:
        return
    write_moves(connection, moves)
    append(
        connection,
        [
            AuditEntry("dispatch", one.dispatch.id, one.dispatch.status, one.status, one.reason, now, one.by)
            for one in moves
        ],
    )
    after.moves += moves
    after.note_due((one.fields.get("next_attempt_at") for one in moves if one.status is DispatchStatus.PENDING), now)


def create(connection: Connection, after: AfterCommit, dispatches: Sequence[Dispatch], now: datetime) -> set[str]:
    """Insert dispatches with an audit line each; return the ids of those whose intent no other dispatch has."""
    ids = insert_dispatches(connection, dispatches)
    created = [one for one in dispatches if one.id in ids]
    append(connection, [AuditEntry("dispatch", one.id, None, one.status, one.reason, now) for one in created])
    after.created += created
    after.note_due((one.next_attempt_at for one in created if one.status is DispatchStatus.PENDING), now)
    return ids


def replace(connection: Connection, after: AfterCommit, replacements: Sequence[Dispatch], now: datetime) -> None:
    """Insert dispatches that replace others (`replaces`); they take over the callers that have not left."""
    if not replacements:
        return
    created = create(connection, after, replacements, now)
    inherit_callers(connection, {one.replaces: one.id for one in replacements if one.replaces and one.id in created})
