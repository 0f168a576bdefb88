"""Writes actions on callers: the row and its audit line in one transaction, noted for what follows the commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.db.audit_log import AuditEntry, append
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.caller_actions import ActionMove
from app.outbox.caller_action import CallerAction
from app.outbox.caller_action_store import insert_actions, write_actions

ENTITY = "caller_action"
"""What lines of the audit log about actions on callers are about."""


def create_actions(
    connection: Connection, after: AfterCommit, actions: Sequence[CallerAction], now: datetime
) -> set[str]:
    """Insert actions with an audit line each; return the ids of those that were not made before."""
    ids = insert_actions(connection, actions)
    created = [one for one in actions if one.id in ids]
    append(connection, [AuditEntry(ENTITY, one.id, None, one.status, one.reason, now) for one in created])
    after.actions += created
    after.has_due_actions = after.has_due_actions or any(one.is_live for one in created)
    return ids


def move_actions(connection: Connection, after: AfterCommit, moves: Sequence[ActionMove], now: datetime) -> None:
    """Carry out `moves` and write an audit line for each."""
    write_actions(connection, [{"id": one.action.id, **one.columns} for one in moves])
    entries = [AuditEntry(ENTITY, one.action.id, one.action.status, one.status, one.reason, now) for one in moves]
    append(connection, entries)
    after.actions += [one.result for one in moves]
