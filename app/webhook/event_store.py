"""Rows of `events`, in the caller's open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, or_, select, text

from app.db.any_of import any_of, one_of_texts
from app.db.bulk_insert import insert_unseen
from app.db.hot_statement import HotStatement
from app.db.tables import IS_OF_ROOM, events
from app.db.types import EventSource
from app.errors import NotFoundError
from app.livekit.attributes import TRUNK_ID, TRUNK_NUMBER
from app.livekit.participant.role import PHONE_KINDS
from app.livekit.vocabulary import JOINS, LEAVINGS, EventType
from app.webhook.event import Event
from app.webhook.lookup_answers import with_answers
from app.webhook.parse import NAME_MAX, prepare
from app.webhook.stored_body import body_of, without_columns
from app.webhook.trimmed import with_joins

# Built once: building a statement anew costs SQLAlchemy more than running it.
KNOWN = select(events.c.dedupe_key).where(any_of(events.c.dedupe_key, "keys"))
DEPARTED = select(events.c.participant_sid, events.c.room_sid, events.c.type, events.c.project).where(
    or_(
        any_of(events.c.participant_sid, "participant_sids"),
        and_(
            any_of(events.c.room_sid, "room_sids"),
            text(IS_OF_ROOM),
            one_of_texts(events.c.type, [EventType.ROOM_FINISHED]),
        ),
    )
)

_DEPARTED = HotStatement(DEPARTED)
_LEAVINGS = select(events).where(
    any_of(events.c.participant_sid, "participant_sids"), events.c.type.in_(sorted(LEAVINGS))
)


def insert_events(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, whose keys are not stored; the transaction runs again if another replica stores one meanwhile."""
    insert_unseen(connection, events, rows)


@dataclass(frozen=True, slots=True)
class Gone:
    """Participants that have left and room sessions that have closed, each as project and SID."""

    participants: set[tuple[str, str]]
    rooms: set[tuple[str, str]]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]], batch: Sequence[Event] = ()) -> Gone:
        """Return the departures in the rows of `DEPARTED` and in the events of `batch`, which are not stored yet."""
        gone = cls(
            {(event.project, event.participant_sid) for event in batch if event.type in LEAVINGS},
            {(event.project, event.room_sid) for event in batch if event.type == EventType.ROOM_FINISHED},
        )
        for participant_sid, room_sid, event_type, project, *_ in rows:
            if event_type == EventType.ROOM_FINISHED:
                gone.rooms.add((project, room_sid))
            elif event_type in LEAVINGS:
                gone.participants.add((project, participant_sid))
        return gone

    def include(self, event: Event) -> bool:
        """Return whether the event's participant has left, or its room has closed."""
        return self.include_room(event) or (
            bool(event.participant_sid) and (event.project, event.participant_sid) in self.participants
        )

    def include_room(self, event: Event) -> bool:
        """Return whether the room of the event has closed."""
        return (event.project, event.room_sid) in self.rooms


def sids_of(reported: Sequence[Event]) -> dict[str, set[str]]:
    """Return the parameters with which `DEPARTED` finds the departures of these events' participants and rooms.

    It also finds those of other projects that have the same SIDs; `Gone` keeps the project with each SID.
    """
    return {
        "participant_sids": {event.participant_sid for event in reported if event.participant_sid},
        "room_sids": {event.room_sid for event in reported if event.room_sid},
    }


def departed(connection: Connection, reported: Sequence[Event]) -> Gone:
    """Return the stored departures of the participants and rooms of these events.

    Webhooks of one participant can arrive in the wrong order: SIDs, not the order of arrival, say which came first.
    """
    return Gone.of(_DEPARTED.rows(connection, sids_of(reported)) if reported else ())


def leavings_of(connection: Connection, reported: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """Return the stored events by which the participants of these events left, by project and SID."""
    if not any(map(departed(connection, reported).include, reported)):  # as nearly always
        return {}
    sids = {"participant_sids": sids_of(reported)["participant_sids"]}
    left = [from_row(row) for row in connection.execute(_LEAVINGS, sids).mappings()]
    return {(event.project, event.participant_sid): event for event in left}


def to_row(event: Event) -> dict[str, Any]:
    """Return the columns of `events` that the event itself fills."""
    row = {
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
        "participant_role": event.participant_role,
        "phone_number": event.phone_number,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "participant_name": name_in(event.body) if event.type in JOINS else None,
        "trunk_number": trunk_number_in(event.body, event.participant_kind) if event.type in JOINS else None,
    }
    return {**row, "body": without_columns(event.body, row)}


def from_row(row: Mapping[Any, Any]) -> Event:
    """Return the event in a row of `events`, prepared for matching again; it is not immediate any more.

    What `USHER_REDACT` left out of the stored body and answers is missing from the document too, and so is all but the
    columns once the body is dropped. `webhook.trimmed.with_joins` completes trimmed participants.
    """
    stored = body_of(row)
    body = remains_of(row) if stored is None else stored
    document = prepare(body, row["project"], role=row["participant_role"])
    event = Event(
        id=row["id"],
        livekit_id=row["livekit_id"],
        dedupe_key=row["dedupe_key"],
        project=row["project"],
        type=row["type"],
        source=EventSource(row["source"]),
        room_name=row["room_name"],
        room_sid=row["room_sid"],
        participant_identity=row["participant_identity"],
        participant_sid=row["participant_sid"],
        participant_kind=row["participant_kind"],
        participant_role=row["participant_role"] or _role_in(document),
        phone_number=row["phone_number"],
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        body=body,
        document=document,
        shareable=document,
        has_exact_room="\ufffd" not in row["room_name"],
        is_immediate=False,
        has_body=stored is not None,
    )
    return with_answers(event, row["lookups"])


def name_in(body: Mapping[str, Any]) -> str | None:
    """Return the participant's name in a webhook; None if it has none."""
    participant = body.get("participant")
    name = participant.get("name") if isinstance(participant, Mapping) else None
    return name if isinstance(name, str) and name else None


def trunk_number_in(body: Mapping[str, Any], participant_kind: str) -> str | None:
    """Return our own number in the join of a phone participant; None if it has none, or a hidden one."""
    return _of_phone(body, participant_kind, TRUNK_NUMBER)


def trunk_id_in(body: Mapping[str, Any], participant_kind: str) -> str | None:
    """Return LiveKit's id of the trunk of a phone participant; None if it has none."""
    return _of_phone(body, participant_kind, TRUNK_ID)


def _of_phone(body: Mapping[str, Any], participant_kind: str, attribute: str) -> str | None:
    if participant_kind not in PHONE_KINDS:
        return None  # any other caller can choose its attributes
    participant = body.get("participant")
    attributes = participant.get("attributes") if isinstance(participant, Mapping) else None
    value = attributes.get(attribute) if isinstance(attributes, Mapping) else None
    return value if isinstance(value, str) and 0 < len(value) <= NAME_MAX else None


def remains_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what the columns of a row say of a webhook whose body is dropped."""
    body: dict[str, Any] = {"event": row["type"], "id": row["livekit_id"]}
    if row["room_name"] or row["room_sid"]:
        body["room"] = {"sid": row["room_sid"], "name": row["room_name"]}
    if row["participant_sid"] or row["participant_identity"]:
        participant = {"sid": row["participant_sid"], "identity": row["participant_identity"]}
        more = {"name": row["participant_name"], "kind": row["participant_kind"]}
        body["participant"] = participant | {name: value for name, value in more.items() if value}
    return body


def _role_in(document: Mapping[str, Any]) -> str:
    """Return the role that a document shows: of an event that was stored when roles were not."""
    return str((document.get("participant") or {}).get("role", ""))


def stored_event(connection: Connection, event_id: str) -> Event:
    """Return the stored event of that id; raises NotFoundError."""
    row = connection.execute(select(events).where(events.c.id == event_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"no event has the id {event_id!r}")
    return with_joins(connection, [from_row(row)])[0]
