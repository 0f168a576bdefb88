"""What is known of participants that webhooks about tracks name by SID and identity only: their stored join says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from app.db.any_of import any_of
from app.db.tables import events
from app.livekit.vocabulary import JOINS
from app.webhook.event import Event
from app.webhook.lookup_answers import with_answers
from app.webhook.parse import prepare
from app.webhook.stored_body import BODY_COLUMNS, body_of

_FROM_JOIN: Final = ("name", "kind", "kindDetails", "metadata", "attributes", "permission", "role", "phone")
"""Fields that a join shows and that hold as long as the participant stays."""

_STORED_JOINS = (
    select(
        *BODY_COLUMNS,
        events.c.project,
        events.c.participant_role,
        events.c.phone_number,
        events.c.lookups,
    )
    .with_hint(events, "INDEXED BY ix_events_participant_sid", "sqlite")
    .where(any_of(events.c.participant_sid, "sids"), events.c.type.in_(JOINS))
    .order_by(events.c.id)
)

_STORED_ANSWERS = (
    select(events.c.participant_sid, events.c.project, events.c.lookups)
    .with_hint(events, "INDEXED BY ix_events_participant_sid", "sqlite")
    .where(any_of(events.c.participant_sid, "sids"), events.c.type.in_(JOINS), events.c.lookups.is_not(None))
    .order_by(events.c.id)
)


@dataclass(frozen=True, slots=True)
class _Join:
    kind: str
    role: str
    phone_number: str | None
    participant: Mapping[str, Any]
    shareable: Mapping[str, Any]
    lookups: Mapping[str, Any] | None = None


def is_incomplete(event: Event) -> bool:
    """Return whether the event has a participant of whom only the SID and the identity are known."""
    return bool(event.participant_sid) and "role" not in event.document["participant"]


def with_joins(connection: Connection, batch: Sequence[Event]) -> list[Event]:
    """Return the events, with what joins say of the participants that are not complete: stored ones, or in `batch`.

    A participant whose join is not known stays without role, metadata and attributes. Without such participants this
    asks the database nothing.
    """
    sids = {event.participant_sid for event in batch if is_incomplete(event)}
    if not sids:
        return list(batch)
    joins = {(project, sid): join for project, sid, join in _stored_joins(connection, sids)}
    completed = []
    for event in batch:
        key = (event.project, event.participant_sid)
        if event.type in JOINS and event.participant_sid in sids:
            participant, shareable = event.document["participant"], event.shareable["participant"]
            joins[key] = _Join(
                event.participant_kind, event.participant_role, event.phone_number, participant, shareable
            )
        elif is_incomplete(event) and key in joins:
            event = _completed(event, joins[key])  # noqa: PLW2901 - the same event, completed
        completed.append(event)
    return completed


def with_answers_of_joins(connection: Connection, batch: Sequence[Event]) -> list[Event]:
    """Return the events; those other than joins with the answers of lookups about their participant, from its join.

    For events in hand, whose documents hold what `USHER_REDACT` keeps out of the stored ones.
    """
    sids = {event.participant_sid for event in batch if event.participant_sid and event.type not in JOINS}
    rows = connection.execute(_STORED_ANSWERS, {"sids": sids}) if sids else ()
    found = {(row.project, row.participant_sid): row.lookups for row in rows}
    return [
        event if event.type in JOINS else with_answers(event, found.get((event.project, event.participant_sid)))
        for event in batch
    ]


def _stored_joins(connection: Connection, sids: set[str]) -> Iterator[tuple[str, str, _Join]]:
    for row in connection.execute(_STORED_JOINS, {"sids": sids}).mappings():
        body = body_of(row)
        if body is None:  # dropped: the participant stays as the webhook shows it
            continue
        participant = prepare(body, row["project"], role=row["participant_role"])["participant"]
        join = _Join(
            row["participant_kind"],
            participant["role"],
            row["phone_number"],
            participant,
            shareable=participant,
            lookups=row["lookups"],
        )
        yield row["project"], row["participant_sid"], join


def _completed(event: Event, join: _Join) -> Event:
    completed = replace(
        event,
        participant_kind=join.kind,
        participant_role=join.role,
        phone_number=join.phone_number,
        document=_with_fields(event.document, join.participant),
        shareable=_with_fields(event.shareable, join.shareable),
    )
    return with_answers(completed, join.lookups)


def _with_fields(document: Mapping[str, Any], participant: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: participant[name] for name in _FROM_JOIN if name in participant}
    return {**document, "participant": {**fields, **document["participant"]}}
