"""Finds participants that LiveKit lists although the node that served them is lost.

A LiveKit with Redis makes such a room again under its SID, with a second `room_started`, and goes on listing who was in
it as ACTIVE. No webhook ever says that they left, and no call can remove them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from app.db.any_of import any_of, one_of_texts
from app.db.hot_statement import HotStatement
from app.db.tables import IS_OF_ROOM, events
from app.db.types import EventSource
from app.livekit.client import SeenParticipant
from app.livekit.vocabulary import EventType
from app.outbox.dispatch import Session

OPENS_WITHIN_S = 2.0
"""A participant may begin to join a room so long before its `room_started`, whose time is in whole seconds.

The first to join makes LiveKit open the room: seen up to 0.4 s on a busy machine. SDKs are back 2.5 s after a crash.
"""
_NOT_OPENING_S = 5.0
"""So long before its `room_started` nobody has begun to open a room: an earlier one must have been lost."""

_earlier = events.alias("earlier")
# Compared by LiveKit's clock, in which webhooks are in order however late they come.
_EARLIER = (
    select(func.min(_earlier.c.occurred_at))
    .where(
        _earlier.c.room_sid == events.c.room_sid,
        _earlier.c.project == events.c.project,
        one_of_texts(_earlier.c.source, [EventSource.WEBHOOK]),
        _earlier.c.occurred_at < events.c.occurred_at,
    )
    .correlate(events)
)
_STARTS = HotStatement(
    select(
        events.c.project,
        events.c.room_sid,
        events.c.occurred_at,
        _EARLIER.scalar_subquery().label("known_since"),
        _EARLIER.where(one_of_texts(_earlier.c.type, [EventType.ROOM_STARTED]))
        .scalar_subquery()
        .label("started_before"),
    )
    .with_hint(events, "INDEXED BY ix_events_of_room", "sqlite")
    .where(
        any_of(events.c.room_sid, "room_sids"),
        text(IS_OF_ROOM),
        one_of_texts(events.c.type, [EventType.ROOM_STARTED]),
    )
    .order_by(events.c.occurred_at)
)


def restarts(connection: Connection, sessions: Collection[Session]) -> dict[Session, datetime]:
    """Return by session when LiveKit last made a room again, by LiveKit's clock; no entry if it never did."""
    known = {sid for _, sid in sessions if sid}
    rows = _STARTS.rows(connection, {"room_sids": known}) if known else []
    return {
        (project, room_sid): occurred_at
        for project, room_sid, occurred_at, known_since, started_before in rows
        if (project, room_sid) in sessions and _is_again(occurred_at, known_since, started_before)
    }


def _is_again(started: datetime, known_since: datetime | None, started_before: datetime | None) -> bool:
    if started_before is not None:
        return True
    return known_since is not None and started - known_since > timedelta(seconds=_NOT_OPENING_S)


def ghosts_among(participants: Iterable[SeenParticipant], restarted_at: datetime | None) -> set[str]:
    """Return the SIDs of those who joined before the room was made again; they join anew under another SID."""
    if restarted_at is None:
        return set()
    before = restarted_at.timestamp() - OPENS_WITHIN_S
    return {one.sid for one in participants if 0 < one.joined_at < before}


def living(participants: Sequence[SeenParticipant], restarted_at: datetime | None) -> Sequence[SeenParticipant]:
    """Return the participants without the ghosts among them."""
    ghosts = ghosts_among(participants, restarted_at)
    return [one for one in participants if one.sid not in ghosts] if ghosts else participants
