"""One step of a timeline, and the sentences that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.audit.calls.duration import duration_text
from app.audit.records.record_types import AttemptRecord, AuditRecord, EventDetail
from app.db.columns.action_types import CallerActionStatus
from app.db.types import AttemptOutcome, DispatchStatus, EventSource
from app.json_shape import Instant, JsonShape
from app.livekit.participant.role import Role
from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.outbox.dispatch import Dispatch

LATE_S = 2.0
"""LiveKit dates most webhooks in whole seconds: a shorter delay cannot be measured."""


class StepKind(StrEnum):
    """What a step is about."""

    EVENT = "event"  # a webhook, or something that the sweep found
    LOOKUP = "lookup"  # an answer about the caller, or that none came
    DECISION = "decision"  # which rules matched
    DISPATCH = "dispatch"  # a dispatch changed state
    CALL = "call"  # to LiveKit
    ACTION = "action"  # a removal or a transfer of the caller changed state


@dataclass(frozen=True, slots=True)
class Step(JsonShape):
    """What happened at one moment, why, and who did it: `livekit`, `usher` or a user.

    `facts` are ids and figures by name. `seconds_since_previous` is null for the first step, `seconds_since_joining`
    for a step before the caller joined.
    """

    at: Instant
    kind: StepKind
    title: str
    reason: str = ""
    by: str = "usher"
    event_id: str | None = None
    dispatch_id: str | None = None
    state: DispatchStatus | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds_since_previous: float | None = None
    seconds_since_joining: float | None = None
    action_state: CallerActionStatus | None = None
    is_internal: Annotated[bool, Field(description="says how Usher went about it, not what came of it")] = False


def event_step(event: EventDetail, agent_name: str = "") -> Step:
    """Return the step of an event: of the caller, of the room, or of an agent of that name."""
    lateness = (event.received_at - event.occurred_at).total_seconds()
    reason = _event_reason(event, lateness)
    facts: dict[str, Any] = {"livekit_id": event.livekit_id, "room_sid": event.room_sid}
    if event.participant_sid:
        facts["participant_sid"] = event.participant_sid
    if lateness > LATE_S:
        facts["seconds_late"] = round(lateness, 3)
    by = "livekit" if event.source is EventSource.WEBHOOK else "usher"
    kept = {name: value for name, value in facts.items() if value}
    return Step(event.received_at, StepKind.EVENT, _event_title(event, agent_name), reason, by, event.id, facts=kept)


def intervention_step(change: AuditRecord) -> Step:
    """Return the step of an action on an event, such as a replay."""
    title = f"the event was {change.to_state}"
    return Step(change.changed_at, StepKind.EVENT, title, change.reason, change.changed_by, change.entity_id)


def _event_title(event: EventDetail, agent_name: str) -> str:
    who = event.participant_identity
    if event.participant_kind == ParticipantKind.AGENT and agent_name:
        who = f"agent {agent_name} ({who})"
    if event.source is EventSource.REPLAY:
        return f"{event.type} of {who or event.room_name} was replayed"
    match event.type:
        case EventType.PARTICIPANT_JOINED if event.source is EventSource.SWEEP:
            return f"{who} was found in room {event.room_name}"
        case EventType.PARTICIPANT_JOINED if event.phone_number and event.participant_role == Role.CALLEE:
            return f"{who} joined room {event.room_name}; {event.phone_number} was called"
        case EventType.PARTICIPANT_JOINED if event.phone_number:
            return f"{who} joined room {event.room_name}, calling from {event.phone_number}"
        case EventType.PARTICIPANT_JOINED:
            return f"{who} joined room {event.room_name}"
        case EventType.PARTICIPANT_UPDATED:
            return f"the metadata or attributes of {who} changed"
        case EventType.PARTICIPANT_LEFT:
            return f"{who} left"
        case EventType.PARTICIPANT_CONNECTION_ABORTED:
            return f"the connection of {who} failed before it was active"
        case EventType.ROOM_STARTED:
            return f"room {event.room_name} was opened"
        case EventType.ROOM_FINISHED:
            return f"room {event.room_name} was closed"
        case _:
            return f"{event.type} of {who}" if who else f"{event.type} in room {event.room_name}"


DISCONNECT_REASONS: dict[str, str] = {
    DisconnectReason.CLIENT_INITIATED: "hung up",
    DisconnectReason.DUPLICATE_IDENTITY: "the same identity joined again",
    DisconnectReason.SERVER_SHUTDOWN: "LiveKit was stopped",
    DisconnectReason.PARTICIPANT_REMOVED: "was removed from the room",
    DisconnectReason.ROOM_DELETED: "the room was deleted",
    DisconnectReason.STATE_MISMATCH: "the state of the connection did not match",
    DisconnectReason.JOIN_FAILURE: "could not connect",
    DisconnectReason.MIGRATION: "moved to another LiveKit node",
    DisconnectReason.SIGNAL_CLOSE: "the connection was closed",
    DisconnectReason.ROOM_CLOSED: "the room was closed",
    DisconnectReason.USER_UNAVAILABLE: "the phone did not answer",
    DisconnectReason.USER_REJECTED: "the phone refused the call",
    DisconnectReason.SIP_TRUNK_FAILURE: "the phone line failed",
    DisconnectReason.CONNECTION_TIMEOUT: "the connection was lost",
    DisconnectReason.MEDIA_FAILURE: "the media connection failed",
    DisconnectReason.AGENT_ERROR: "the agent failed",
}

_AGENT_LEFT = "it left by itself"
"""What CLIENT_INITIATED says of an agent: it shut down, or its entrypoint raised an exception."""

_ROOM_ENDS = {
    "ROOM_END_IDLE_TIMEOUT": "nobody was left in it",
    "ROOM_END_API_DELETE": "it was deleted",
    "ROOM_END_SERVER_SHUTDOWN": "LiveKit was stopped",
    "ROOM_END_OPEN_FAILED": "it could not be opened",
    "ROOM_END_SUPERSEDED": "another session of its name took its place",
}
"""What `roomEndReason` says, which servers send from 1.13.11 on."""


def _event_reason(event: EventDetail, lateness: float) -> str:
    if event.type == EventType.PARTICIPANT_UPDATED:
        return "found by the sweep; LiveKit sends no webhook about changes"
    if event.source is EventSource.SWEEP:
        return f"by the sweep, {duration_text(lateness)} later; no webhook had arrived"
    reasons = []
    if event.body is None:
        reasons.append("details are gone with the body of the webhook (USHER_RETENTION_BODIES_DAYS)")
    body = event.body or {}
    participant = body.get("participant")
    left = participant.get("disconnectReason") if isinstance(participant, Mapping) else None
    if isinstance(left, str):
        is_agent = event.participant_kind == ParticipantKind.AGENT
        text = _AGENT_LEFT if is_agent and left == DisconnectReason.CLIENT_INITIATED else DISCONNECT_REASONS.get(left)
        reasons.append(f"{text} ({left})" if text else left)
    if isinstance(end := body.get("roomEndReason"), str):
        reasons.append(f"{_ROOM_ENDS[end]} ({end})" if end in _ROOM_ENDS else end)
    if lateness > LATE_S and event.source is EventSource.WEBHOOK:
        reasons.append(f"the webhook arrived {duration_text(lateness)} late")
    return "; ".join(reasons)


def call_step(dispatch: Dispatch, attempt: AttemptRecord) -> Step:
    """Return the step of one call to LiveKit."""
    took = ""
    if attempt.finished_at is not None:
        took = f" after {duration_text((attempt.finished_at - attempt.started_at).total_seconds())}"
    error = ": ".join(part for part in (attempt.error_code, attempt.error_text) if part)
    match attempt.outcome:
        case AttemptOutcome.ACCEPTED | AttemptOutcome.NO_SHOW | AttemptOutcome.LEFT_EARLY:
            reason = f"accepted as {attempt.livekit_dispatch_id}{took}"
            if attempt.outcome == AttemptOutcome.NO_SHOW:
                reason += ", but no agent joined"
            elif attempt.outcome == AttemptOutcome.LEFT_EARLY:
                reason += f", but its agent {attempt.error_text}"
        case AttemptOutcome.ADOPTED:
            answer = f"no clear answer{took} ({error}); " if error else ""
            reason = f"{answer}LiveKit already had the dispatch as {attempt.livekit_dispatch_id}"
        case AttemptOutcome.REJECTED:
            reason = f"refused{took}: {error}"
        case AttemptOutcome.UNKNOWN:
            reason = f"no clear answer{took}; LiveKit is checked before a retry: {error}"
        case _:
            reason = "no answer is recorded"
    facts = {
        "attempt": attempt.number,
        "agent": attempt.agent_name,
        "livekit_dispatch_id": attempt.livekit_dispatch_id,
        "job_id": attempt.job_id,
    }
    return Step(
        attempt.started_at,
        StepKind.CALL,
        f"LiveKit is asked to dispatch {attempt.agent_name} (call {attempt.number})"
        if attempt.number
        else f"the access token asked LiveKit to dispatch {attempt.agent_name}",
        reason,
        dispatch_id=dispatch.id,
        facts={name: value for name, value in facts.items() if value},
    )


def change_step(dispatch: Dispatch, change: AuditRecord) -> Step:
    """Return the step of one change of a dispatch's state."""
    agent = dispatch.agent_to_ask
    state = DispatchStatus(change.to_state)
    before = DispatchStatus(change.from_state) if change.from_state else None
    reason = change.reason
    facts: dict[str, Any] = {"agent": agent}
    match before, state:
        case None, DispatchStatus.FAILED:
            title = f"{dispatch.agent_name} cannot be dispatched"
        case None, _:
            title = f"a dispatch of {dispatch.agent_name} is created"
            facts |= {"agent": dispatch.agent_name, "rule": dispatch.rule_name, "scope": str(dispatch.scope)}
        case ((DispatchStatus.FAILED | DispatchStatus.NO_SHOW | DispatchStatus.CANCELLED), _):
            title = "the dispatch is retried"
        case DispatchStatus.JOINED, DispatchStatus.NO_SHOW:
            title = f"{agent} did not stay"
        case _, DispatchStatus.PENDING:
            title = _PENDING.get(before, "the next attempt begins")
        case _, DispatchStatus.SENDING:
            title = "the dispatch is sent" if before is DispatchStatus.PENDING else "the dispatch is checked at LiveKit"
        case DispatchStatus.DISPATCHED, DispatchStatus.DISPATCHED:
            title = "still waiting for the agent"
        case _, DispatchStatus.DISPATCHED:
            title = "waiting for the agent"
            if dispatch.wait_s == dispatch.answer_timeout_s:  # else it depends on which agent was asked then
                reason += f"; it has {dispatch.wait_s} s to join"
        case DispatchStatus.JOINED, DispatchStatus.JOINED:
            title = "the agent of the dispatch is identified"
        case _, DispatchStatus.JOINED:
            title = f"{agent} joined"
            facts |= {"agent_identity": dispatch.agent_identity, "job_id": dispatch.job_id}
        case _:
            title = _ENDS[state].format(agent=agent)
    kept = {name: value for name, value in facts.items() if value}
    step = Step(change.changed_at, StepKind.DISPATCH, title, reason, change.changed_by, None, dispatch.id, state, kept)
    is_internal = change.changed_by == "usher" and before is not None and (before, state) in _INTERNAL
    return replace(step, is_internal=is_internal)


_INTERNAL = {
    (DispatchStatus.PENDING, DispatchStatus.SENDING),
    (DispatchStatus.SENDING, DispatchStatus.SENDING),
    (DispatchStatus.DISPATCHED, DispatchStatus.DISPATCHED),
    (DispatchStatus.JOINED, DispatchStatus.JOINED),
}
"""Changes that say how a dispatch is sent and checked."""

_PENDING: Mapping[DispatchStatus | None, str] = {
    DispatchStatus.SENDING: "the call is retried",
    DispatchStatus.PENDING: "waiting to be sent",  # in a queue, mostly
}
_ENDS = {
    DispatchStatus.ENDED: "the dispatch of {agent} has ended",
    DispatchStatus.CANCELLED: "the dispatch of {agent} is cancelled",
    DispatchStatus.FAILED: "the dispatch of {agent} has failed",
    DispatchStatus.NO_SHOW: "no agent joined",
}
