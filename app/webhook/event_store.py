"""Rows of `events`, in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from app.db.any_of import any_of
from app.db.bulk_insert import insert_new
from app.db.tables import events
from app.db.types import EventSource
from app.errors import NotFoundError
from app.webhook.event import Event
from app.webhook.parse import build_event

GONE = ("participant_left", "participant_connection_aborted")

# Built once: building a statement anew costs SQLAlchemy more than running it.
KNOWN = select(events.c.dedupe_key).where(any_of(events.c.dedupe_key, "keys"))
DEPARTED = select(events.c.participant_sid, events.c.room_sid, events.c.type).where(
    or_(
        any_of(events.c.participant_sid, "participant_sids"),
        any_of(events.c.room_sid, "room_sids") & (events.c.type == "room_finished"),
    )
)


def insert_once(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert `rows` unless their `dedupe_key` is there; return how many are new."""
    return insert_new(connection, events, rows)


@dataclass(frozen=True, slots=True)
class Departures:
    """Participants and room sessions that LiveKit has said to be gone, by SID."""

    participants: set[str]
    rooms: set[str]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], batch: Sequence[Event] = ()) -> Departures:
        """Return who has gone by the rows of `DEPARTED` and by what waits in the same `batch`."""
        gone = cls(
            {event.participant_sid for event in batch if event.type in GONE},
            {event.room_sid for event in batch if event.type == "room_finished"},
        )
        for participant_sid, room_sid, event_type, *_ in rows:
            if event_type == "room_finished":
                gone.rooms.add(room_sid)
            elif event_type in GONE:
                gone.participants.add(participant_sid)
        return gone

    def include(self, event: Event) -> bool:
        """Return whether whom `event` tells of is gone, himself or with his room."""
        return event.room_sid in self.rooms or (
            bool(event.participant_sid) and event.participant_sid in self.participants
        )


def sids_of(told: Sequence[Event]) -> dict[str, set[str]]:
    """Return the parameters of `DEPARTED` that ask for those whom `told` tells of."""
    return {
        "participant_sids": {event.participant_sid for event in told if event.participant_sid},
        "room_sids": {event.room_sid for event in told if event.room_sid},
    }


def departed(connection: Connection, told: Sequence[Event]) -> Departures:
    """Return who of `told` is gone, by what is stored.

    Webhooks of one participant can arrive in the wrong order: SIDs, not arrival, say which came first.
    """
    return Departures.of(connection.execute(DEPARTED, sids_of(told)) if told else ())


def to_row(event: Event) -> dict[str, Any]:
    """Return the columns of `events` that the event itself fills."""
    return {
        "id": event.id,
        "livekit_id": event.livekit_id,
        "dedupe_key": event.dedupe_key,
        "project": event.project,
        "type": event.type,
        "source": event.source,
        "room_name": event.room_name,
        "room_sid": event.room_sid,
        "participant_identity": event.participant_identity,
        "participant_sid": event.participant_sid,
        "participant_kind": event.participant_kind,
        "phone_number": event.phone_number,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "body": event.body,
    }


def stored_event(connection: Connection, event_id: str) -> Event:
    """Return a stored event as it was accepted; raises NotFoundError."""
    row = connection.execute(select(events).where(events.c.id == event_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"no event has the id {event_id!r}")
    return from_row(row)


def from_row(row: Mapping[Any, Any]) -> Event:
    """Return the event in a row: as it was accepted, but without what `USHER_REDACT` had left out of its body."""
    return build_event(
        row["body"],
        project=row["project"],
        source=EventSource(row["source"]),
        received_at=row["received_at"],
        event_id=row["id"],
        dedupe_key=row["dedupe_key"],
    )
