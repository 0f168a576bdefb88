"""Finds participants that LiveKit lists although the node that served them is lost.

A LiveKit with Redis makes such a room again under its SID, with a second `room_started`, and goes on listing who was in
it as ACTIVE. No webhook ever says that they left, and no call can remove them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, exists, func, select

from app.db.any_of import any_of
from app.db.tables import events
from app.db.types import EventSource
from app.livekit.client import SeenParticipant
from app.livekit.vocabulary import EventType
from app.outbox.dispatch import Session

_earlier = events.alias("earlier")
# Compared by LiveKit's clock, in which webhooks are in order however late they come.
_KNOWN_BEFORE = exists().where(
    _earlier.c.room_sid == events.c.room_sid,
    _earlier.c.project == events.c.project,
    _earlier.c.source == EventSource.WEBHOOK,
    _earlier.c.occurred_at < events.c.occurred_at,
)
_RESTARTS = (
    select(events.c.project, events.c.room_sid, func.max(events.c.occurred_at).label("at"))
    .with_hint(events, "INDEXED BY ix_events_room_sid_type", "sqlite")
    .where(any_of(events.c.room_sid, "room_sids"), events.c.type == EventType.ROOM_STARTED, _KNOWN_BEFORE)
    .group_by(events.c.project, events.c.room_sid)
)


def restarts(connection: Connection, sessions: Collection[Session]) -> dict[Session, datetime]:
    """Return by session when LiveKit last made a room again, by LiveKit's clock; no entry if it never did."""
    known = {sid for _, sid in sessions if sid}
    rows = connection.execute(_RESTARTS, {"room_sids": known}).all() if known else []
    return {(row.project, row.room_sid): row.at for row in rows if (row.project, row.room_sid) in sessions}


def ghosts_among(participants: Iterable[SeenParticipant], restarted_at: datetime | None) -> set[str]:
    """Return the SIDs of those who joined before the room was made again; they join anew under another SID."""
    if restarted_at is None:
        return set()
    return {one.sid for one in participants if 0 < one.joined_at < restarted_at.timestamp()}


def living(participants: Sequence[SeenParticipant], restarted_at: datetime | None) -> Sequence[SeenParticipant]:
    """Return the participants without the ghosts among them."""
    ghosts = ghosts_among(participants, restarted_at)
    return [one for one in participants if one.sid not in ghosts] if ghosts else participants
