"""Takes back ends that rested on LiveKit not listing a room, once it shows that room alive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.db.types import Cause, DispatchStatus
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.doubt import revived
from app.lifecycle.transition import move
from app.livekit.vocabulary import EventType
from app.outbox.dispatch import Dispatch, Session
from app.outbox.dispatch_store import live_by_intent, read_locked
from app.webhook.event import Event

_LOST = frozenset({DispatchStatus.ENDED, DispatchStatus.CANCELLED})


def revive_for(
    connection: Connection, after: AfterCommit, lost: Collection[str], batch: Sequence[Event], now: datetime
) -> None:
    """Revive what was `lost` in the rooms that the events of `batch` show alive."""
    if not lost:
        return
    finished = {(event.project, event.room_sid) for event in batch if event.type == EventType.ROOM_FINISHED}
    revive(connection, after, lost, {(event.project, event.room_sid) for event in batch} - finished, now)


def revive(
    connection: Connection, after: AfterCommit, lost: Collection[str], sessions: Collection[Session], now: datetime
) -> int:
    """Revive those of the dispatches `lost` that were for these room sessions; return how many there were.

    One whose intent another dispatch has taken on meanwhile stays ended; of several for one intent the latest counts.
    """
    found: dict[str, Dispatch] = {}
    for one in sorted(read_locked(connection, lost).values(), key=lambda dispatch: dispatch.id):
        if one.status in _LOST and one.cause is Cause.ROOM_LOST and one.session in sessions:
            found[one.intent_key] = one
    taken = live_by_intent(connection, found.keys())
    moves = [revived(one, now) for key, one in found.items() if key not in taken]
    move(connection, after, moves, now)
    return len(moves)
