"""One call: what is stored of one participant in one room, and its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection, select

from app.audit.records.lookup import Projects, find_event, read_dispatches
from app.audit.records.record_types import AuditRecord, DispatchRecord, EventDetail, EventSummary, columns_of
from app.db.tables import audit_log, dispatch_callers, dispatches, events
from app.db.types import Cause, DispatchStatus, EventOutcome, ReplacesKind
from app.json_shape import Instant, JsonShape
from app.livekit.vocabulary import JOINS, LEAVINGS, EventType
from app.outbox.states import WAITING

MAX_EVENTS = 300
"""Events of one participant that a call shows."""

_MAX_DISPATCHES = 200


class CallState(StrEnum):
    """The state of a call."""

    WAITING = "waiting"  # for an agent, or for the answer of a lookup
    NO_SHOW = "no_show"  # no agent joined
    FAILED = "failed"  # the dispatch could not be made or delivered
    ANSWERED = "answered"  # the agent is in the room
    ABANDONED = "abandoned"  # the caller left before an agent joined
    CANCELLED = "cancelled"
    ENDED = "ended"  # the agent joined, and has left
    NO_MATCH = "no_match"  # no rule matched
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class CallHead(JsonShape):
    """A call in short. `event_id` is its latest join; times are null as long as they have not come."""

    event_id: str
    project: str
    room_name: str
    room_sid: str
    participant_identity: str
    participant_sid: str
    participant_kind: str
    phone_number: str | None
    joined_at: Instant
    left_at: Instant | None
    agent_joined_at: Instant | None
    agents: tuple[str, ...]
    state: CallState
    reason: Annotated[str, Field(description="of the dispatch that decides the state, or of the event without one")]
    seconds_to_agent: Annotated[float | None, Field(description="from the join to the first agent; null without one")]


@dataclass(frozen=True, slots=True)
class CallDispatch:
    """One dispatch of a call, as far as the head of the call needs it."""

    agent: str
    status: DispatchStatus
    cause: Cause
    reason: str
    joined_at: datetime | None
    is_redriven: bool = False
    """Whether an operator has put another in its place: then that one says how the call stands."""


def head_of(
    first: EventSummary, latest: EventSummary, made: Sequence[CallDispatch], left_at: datetime | None
) -> CallHead:
    """Return the head of a call from its first and latest join and its dispatches, oldest first."""
    state, reason = _state_of(latest, made)
    arrivals = [max(one.joined_at, first.received_at) for one in made if one.joined_at is not None]
    agent_joined_at = min(arrivals, default=None)
    return CallHead(
        event_id=latest.id,
        project=latest.project,
        room_name=latest.room_name,
        room_sid=latest.room_sid,
        participant_identity=latest.participant_identity,
        participant_sid=latest.participant_sid,
        participant_kind=latest.participant_kind,
        phone_number=first.phone_number,
        joined_at=first.received_at,
        left_at=left_at,
        agent_joined_at=agent_joined_at,
        agents=tuple(dict.fromkeys(one.agent for one in made)),
        state=state,
        reason=reason,
        seconds_to_agent=None if agent_joined_at is None else (agent_joined_at - first.received_at).total_seconds(),
    )


@dataclass(frozen=True, slots=True)
class CallFacts:
    """The rows of one call, each list oldest first."""

    subject: EventDetail
    """The event that was asked for."""
    events: tuple[EventDetail, ...]
    """Of the participant itself; at most `MAX_EVENTS`."""
    room_events: tuple[EventDetail, ...]
    agent_events: tuple[EventDetail, ...]
    dispatches: tuple[DispatchRecord, ...]
    interventions: tuple[AuditRecord, ...]
    """Actions of users on the events, such as replays."""

    @property
    def head(self) -> CallHead:
        """The call in short."""
        latest = next((one for one in reversed(self.events) if one.type in JOINS), self.subject)
        first = next((one for one in self.events if one.type in JOINS), latest)
        left = next((one for one in self.events if one.type in LEAVINGS), None)
        rows = [record.dispatch for record in self.dispatches]
        replaced = {row.replaces for row in rows if row.replaces_kind is ReplacesKind.REDRIVE}
        own = [
            CallDispatch(row.agent_to_ask, row.status, row.cause, row.reason, row.joined_at, row.id in replaced)
            for row in rows
        ]
        return head_of(first, latest, own, left.received_at if left else None)


_DECISIVE: tuple[tuple[CallState, frozenset[DispatchStatus]], ...] = (
    (CallState.WAITING, WAITING),
    (CallState.NO_SHOW, frozenset({DispatchStatus.NO_SHOW})),
    (CallState.FAILED, frozenset({DispatchStatus.FAILED})),
    (CallState.ANSWERED, frozenset({DispatchStatus.JOINED})),
    (CallState.ENDED, frozenset({DispatchStatus.ENDED})),
    (CallState.CANCELLED, frozenset({DispatchStatus.CANCELLED})),
)


def _state_of(joined: EventSummary, made: Sequence[CallDispatch]) -> tuple[CallState, str]:
    """Return the state of a call and its reason; of several dispatches, the one that most needs attention decides."""
    for state, statuses in _DECISIVE:
        for one in reversed(made):
            if one.status in statuses and not one.is_redriven:
                gave_up = state is CallState.CANCELLED and one.cause is Cause.CALLER_LEFT
                return (CallState.ABANDONED if gave_up else state), one.reason
    if joined.outcome is EventOutcome.NO_MATCH:
        return CallState.NO_MATCH, "no rule matched"
    if joined.outcome is EventOutcome.LOOKING_UP:
        return CallState.WAITING, "the answer of a lookup is awaited"
    return CallState.IGNORED, ""


def read_call(connection: Connection, reference: str, projects: Projects = None) -> CallFacts:
    """Return the rows of the call that `reference` identifies (see `find_event`); raises NotFoundError."""
    subject = find_event(connection, reference, projects)
    project, sid = subject.project, subject.participant_sid
    own = _events_of(connection, project, [sid]) if sid else [subject]
    records = read_dispatches(connection, _dispatch_ids(connection, project, own, sid))
    agents = {record.dispatch.agent_sid for record in records if record.dispatch.agent_sid}
    return CallFacts(
        subject,
        tuple(own),
        tuple(_room_events(connection, project, subject.room_sid)) if subject.room_sid else (),
        tuple(_events_of(connection, project, agents - {sid})),
        tuple(records),
        tuple(_interventions(connection, [one.id for one in own])),
    )


def _events_of(connection: Connection, project: str, participant_sids: Collection[str]) -> list[EventDetail]:
    if not participant_sids:
        return []
    query = (
        select(*(events.c[name] for name in columns_of(EventDetail)))
        .where(events.c.participant_sid.in_(participant_sids), events.c.project == project)
        .order_by(events.c.id)
        .limit(MAX_EVENTS)
    )
    return [EventDetail.from_row(row) for row in connection.execute(query).mappings()]


def _interventions(connection: Connection, event_ids: Sequence[str]) -> list[AuditRecord]:
    query = (
        select(audit_log)
        .where(audit_log.c.entity_id.in_(event_ids), audit_log.c.entity == "event")
        .order_by(audit_log.c.id)
        .limit(MAX_EVENTS)
    )
    return [AuditRecord.from_row(row) for row in connection.execute(query).mappings()]


def _room_events(connection: Connection, project: str, room_sid: str) -> list[EventDetail]:
    query = (
        select(*(events.c[name] for name in columns_of(EventDetail)))
        .where(
            events.c.room_sid == room_sid,
            events.c.project == project,
            events.c.type.in_([EventType.ROOM_STARTED, EventType.ROOM_FINISHED]),
        )
        .order_by(events.c.id)
        .limit(MAX_EVENTS)
    )
    return [EventDetail.from_row(row) for row in connection.execute(query).mappings()]


def _dispatch_ids(connection: Connection, project: str, own: Iterable[EventDetail], participant_sid: str) -> list[str]:
    """Return the dispatches made for the participant, those that serve it with others, and their replacements."""
    made_for = [one.id for one in own]
    query = select(dispatches.c.id, dispatches.c.event_id).where(dispatches.c.event_id.in_(made_for))
    found: dict[str, str] = {row.id: row.event_id for row in connection.execute(query.limit(_MAX_DISPATCHES))}
    if participant_sid:
        serving = (
            select(dispatches.c.id, dispatches.c.event_id)
            .join(dispatch_callers, dispatch_callers.c.dispatch_id == dispatches.c.id)
            .where(dispatch_callers.c.participant_sid == participant_sid, dispatches.c.project == project)
            .limit(_MAX_DISPATCHES)
        )
        found |= {row.id: row.event_id for row in connection.execute(serving)}
    # A replacement keeps the event of the dispatch that it replaces.
    shared = set(found.values()) - set(made_for)
    if shared:
        replacing = (
            select(dispatches.c.id, dispatches.c.event_id, dispatches.c.replaces)
            .where(dispatches.c.event_id.in_(shared), dispatches.c.replaces.is_not(None))
            .order_by(dispatches.c.id)
            .limit(_MAX_DISPATCHES)
        )
        for row in connection.execute(replacing):
            if row.replaces in found:
                found[row.id] = row.event_id
    return sorted(found)
