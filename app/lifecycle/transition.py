"""Writes changes of state: the row and its audit line in one transaction, noted for what follows the commit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.db.audit_log import AuditEntry, append
from app.db.types import LIVE, Cause, DispatchStatus
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.unserved_callers import act_on_unserved
from app.lifecycle.handover import moves_of_partners, partners_of
from app.lifecycle.leaving import withdrawal_of
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import (
    inherit_callers,
    insert_dispatches,
    insert_unseen_dispatches,
    read_locked,
    write_moves,
)
from app.outbox.move import Move


def move(connection: Connection, after: AfterCommit, moves: Sequence[Move], now: datetime) -> None:
    """Carry out `moves`, and write an audit line for each that is news."""
    if not moves:
        return
    write_moves(connection, moves)
    append(
        connection,
        [
            AuditEntry("dispatch", one.dispatch.id, one.dispatch.status, one.status, one.reason, now, one.by)
            for one in moves
            if one.is_news
        ],
    )
    after.moves += moves
    _settle_handovers(connection, after, moves, now)
    act_on_unserved(connection, after, [one.result for one in moves if one.status not in LIVE], now)
    after.note_due((one.fields.get("next_attempt_at") for one in moves if one.status is DispatchStatus.PENDING), now)


def _settle_handovers(connection: Connection, after: AfterCommit, moves: Sequence[Move], now: datetime) -> None:
    concerned = partners_of(moves)
    if not concerned:
        return
    following = moves_of_partners(concerned, read_locked(connection, concerned), now)
    for one in following:
        if one.cause is Cause.HANDED_OVER:
            after.withdraw(withdrawal_of(one.dispatch))
        elif one.cause is not Cause.HANDOVER_FAILED and one.dispatch.replaces is not None:
            inherit_callers(connection, {one.dispatch.replaces: one.dispatch.id})
    move(connection, after, following, now)


def create(connection: Connection, after: AfterCommit, dispatches: Sequence[Dispatch], now: datetime) -> None:
    """Insert dispatches whose intents this transaction found not to be live, with an audit line each."""
    insert_unseen_dispatches(connection, dispatches)
    _note_created(connection, after, dispatches, now)


def replace(
    connection: Connection, after: AfterCommit, replacements: Sequence[Dispatch], now: datetime, by: str = "usher"
) -> set[str]:
    """Insert dispatches that replace others (`replaces`); they take over the callers that have not left.

    Return the ids of those whose intent no other dispatch has.
    """
    if not replacements:
        return set()
    ids = insert_dispatches(connection, replacements)
    _note_created(connection, after, [one for one in replacements if one.id in ids], now, by)
    inherit_callers(connection, {one.replaces: one.id for one in replacements if one.replaces and one.id in ids})
    return ids


def _note_created(
    connection: Connection, after: AfterCommit, created: Sequence[Dispatch], now: datetime, by: str = "usher"
) -> None:
    append(connection, [AuditEntry("dispatch", one.id, None, one.status, one.reason, now, by) for one in created])
    after.created += created
    after.note_due((one.next_attempt_at for one in created if one.status is DispatchStatus.PENDING), now)
