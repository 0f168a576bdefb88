"""What the database knows of some rooms, for the sweep to compare with LiveKit's lists."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.db.any_of import any_of
from app.db.tables import dispatches, events
from app.db.types import LIVE, Cause, DispatchStatus, EventSource
from app.lifecycle.handover import is_beside
from app.lifecycle.retry import LIVEKIT_TROUBLE
from app.livekit.attributes import ANNOUNCED, CALL_STATUS
from app.livekit.client import SeenParticipant
from app.livekit.vocabulary import JOINS, EventType
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import waiting_callers
from app.rules.book.rule_book import RuleBook
from app.webhook.dedupe_keys import event_key, quoted
from app.webhook.stored_body import BODY_COLUMNS, body_of


@dataclass(frozen=True, slots=True)
class LastSeen:
    """`state` is empty if the body of the event is dropped."""

    event_id: str
    state: str


@dataclass(frozen=True, slots=True)
class ServedDispatch:
    """What the sweep needs of a live dispatch of the room."""

    status: DispatchStatus
    agent_sid: str | None
    is_confirmed: bool
    callers: frozenset[str] | None
    was_unlisted: bool
    """Whether lists do not show everybody who is in the room."""


@dataclass(frozen=True, slots=True)
class StoredRooms:
    """What the database knows of the callers in some rooms. `live`: by room session.

    `lost`: ids of dispatches that ended because LiveKit did not list their room, which it does now.
    """

    participants: Mapping[str, LastSeen]
    failed: Sequence[Dispatch]
    live: Mapping[str, Sequence[ServedDispatch]]
    lost: Collection[str]


_REPORTED = (
    select(events.c.id, *BODY_COLUMNS)
    .with_hint(events, "INDEXED BY ix_events_participant_sid", "sqlite")
    .where(
        any_of(events.c.participant_sid, "sids"),
        events.c.type.in_(JOINS),
        events.c.project == bindparam("project"),
    )
    .order_by(events.c.id)
)
# The states are compared in Python: in the condition, SQLite might search all dispatches that ever failed.
_IN_SESSION = (
    select(dispatches)
    .where(
        any_of(dispatches.c.room_sid, "room_sids"),
        dispatches.c.project == bindparam("project"),
    )
    .order_by(dispatches.c.id)
)
_OF_CONCERN = {*LIVE, DispatchStatus.FAILED}


def read_stored_rooms(
    connection: Connection,
    project: str,
    room_sids: Sequence[str],
    sids: Collection[str],
    *,
    unwatched: Collection[str] = (),
) -> StoredRooms:
    """Return what is stored of the room sessions `room_sids` and of the participants `sids` in them.

    `unwatched`: names of attributes whose changes do not count.
    """
    participants: dict[str, LastSeen] = {}
    for row in connection.execute(_REPORTED, {"sids": sids, "project": project}).mappings():
        body = body_of(row)
        state = state_of(body.get("participant") or {}, unwatched) if body else ""
        participants[row["participant_sid"]] = LastSeen(row["id"], state)
    asked = {"room_sids": room_sids, "project": project}
    every = [Dispatch.from_row(row) for row in connection.execute(_IN_SESSION, asked).mappings()]
    found = [one for one in every if one.status in _OF_CONCERN]
    waiting = waiting_callers(connection, [dispatch.id for dispatch in found])
    failed = [
        one
        for one in found
        if one.status is DispatchStatus.FAILED
        and one.cause in LIVEKIT_TROUBLE
        and not is_beside(one)  # the hand-over has failed; the first agent has the call
        and (one.id not in waiting or waiting[one.id].intersection(sids))
    ]
    live: dict[str, list[ServedDispatch]] = defaultdict(list)
    for one in found:
        if one.status is not DispatchStatus.FAILED:
            served = frozenset(waiting[one.id]) if one.id in waiting else None
            live[one.room_sid].append(
                ServedDispatch(
                    one.status, one.agent_sid, one.worker_id is not None, served, one.unlisted_at is not None
                )
            )
    lost = {one.id for one in every if one.cause is Cause.ROOM_LOST and one.status not in LIVE}
    return StoredRooms(participants, failed, live, lost)


def needs_a_check(
    live: Sequence[ServedDispatch], participants: Sequence[SeenParticipant], settled: Collection[str]
) -> bool:
    """Return whether a room needs a check; saves 5,000 quiet rooms the requests for LiveKit's other lists.

    `settled`: SIDs of agents about whom a check has found out all that LiveKit says.
    """
    present = {participant.sid for participant in participants}
    accounted = {one.agent_sid for one in live}.union(settled)
    if any(one.is_agent and one.sid not in accounted for one in participants):
        return True
    return not all(
        one.status is DispatchStatus.JOINED
        and (one.is_confirmed or one.agent_sid in settled)
        and (one.was_unlisted or (one.agent_sid in present and (one.callers is None or one.callers & present)))
        for one in live
    )


def state_of(participant: Mapping[str, Any], unwatched: Collection[str]) -> str:
    """Return, as a text, what may change while a participant is there and rules match: metadata and attributes.

    `unwatched`: names of attributes that do not count.
    """
    attributes = participant.get("attributes") or {}
    watched = {name: value for name, value in attributes.items() if name not in unwatched}
    return json.dumps([participant.get("metadata") or "", watched], sort_keys=True)


def unwatched_attributes(book: RuleBook) -> Collection[str]:
    """Return the attributes whose changes are nothing to report.

    Those are what Usher itself announces, and the status of phone calls unless a rule asks for it: each call that is
    answered changes it, and rules that ask for updates mean those of metadata.
    """
    if not book.index.names_events:
        return (CALL_STATUS, *ANNOUNCED)
    updated, status = json.dumps(EventType.PARTICIPANT_UPDATED), json.dumps(CALL_STATUS)
    asked_for = any(updated in rule.pattern_text and status in rule.pattern_text for rule in book.rules)
    return ANNOUNCED if asked_for else (CALL_STATUS, *ANNOUNCED)


def update_key(project: str, participant_sid: str, last_event_id: str, state: str) -> str:
    """Return the dedupe key of a change of a participant that was last seen in another state."""
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    return event_key(project, "update", quoted(participant_sid), last_event_id, digest)


def receives_webhooks(connection: Connection, project: str) -> bool:
    """Return whether the latest event came by webhook, so that LiveKit sends them again."""
    query = select(events.c.source).where(events.c.project == project).order_by(events.c.id.desc()).limit(1)
    return connection.execute(query).scalar() == EventSource.WEBHOOK
