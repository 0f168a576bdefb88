"""One step of a timeline, and the sentences that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.audit.calls.change_reasons import earlier_attempt, early_leaving_of, error_of, reason_of_change
from app.audit.calls.duration import duration_text
from app.audit.records.record_types import AttemptRecord, AuditRecord, DispatchRecord, EventDetail
from app.db.columns.action_types import CallerActionStatus
from app.db.types import AttemptOutcome, DispatchStatus, EventSource
from app.json_shape import Instant, JsonShape
from app.livekit.participant.role import Role
from app.livekit.vocabulary import DisconnectReason, EventType, ParticipantKind
from app.translation import gettext, translatable

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
    title = gettext("the event was %(state)s", state=gettext(change.to_state))
    reason = change.reason
    if reason.startswith(begin := "as event "):
        reason = gettext("as event %(id)s", id=reason.removeprefix(begin))
    return Step(change.changed_at, StepKind.EVENT, title, reason, change.changed_by, change.entity_id)


def _event_title(event: EventDetail, agent_name: str) -> str:
    who = event.participant_identity
    if event.participant_kind == ParticipantKind.AGENT and agent_name:
        who = gettext("agent %(agent)s (%(identity)s)", agent=agent_name, identity=who)
    if event.source is EventSource.REPLAY:
        return gettext("%(event)s of %(who)s was replayed", event=event.type, who=who or event.room_name)
    room = event.room_name
    match event.type:
        case EventType.PARTICIPANT_JOINED:
            return _join_title(event, who)
        case EventType.PARTICIPANT_UPDATED:
            return gettext("the metadata or attributes of %(who)s changed", who=who)
        case EventType.PARTICIPANT_LEFT:
            return gettext("%(who)s left", who=who)
        case EventType.PARTICIPANT_CONNECTION_ABORTED:
            return gettext("the connection of %(who)s failed before it was active", who=who)
        case EventType.ROOM_STARTED:
            return gettext("room %(room)s was opened", room=room)
        case EventType.ROOM_FINISHED:
            return gettext("room %(room)s was closed", room=room)
        case _:
            if who:
                return gettext("%(event)s of %(who)s", event=event.type, who=who)
            return gettext("%(event)s in room %(room)s", event=event.type, room=room)


def _join_title(event: EventDetail, who: str) -> str:
    if event.source is EventSource.SWEEP:
        text = translatable("%(who)s was found in room %(room)s")
    elif not event.phone_number:
        text = translatable("%(who)s joined room %(room)s")
    elif event.participant_role == Role.CALLEE:
        text = translatable("%(who)s joined room %(room)s; %(number)s was called")
    else:
        text = translatable("%(who)s joined room %(room)s, calling from %(number)s")
    return gettext(text, who=who, room=event.room_name, number=event.phone_number)


DISCONNECT_REASONS: dict[str, str] = {
    DisconnectReason.CLIENT_INITIATED: translatable("hung up"),
    DisconnectReason.DUPLICATE_IDENTITY: translatable("the same identity joined again"),
    DisconnectReason.SERVER_SHUTDOWN: translatable("LiveKit was stopped"),
    DisconnectReason.PARTICIPANT_REMOVED: translatable("was removed from the room"),
    DisconnectReason.ROOM_DELETED: translatable("the room was deleted"),
    DisconnectReason.STATE_MISMATCH: translatable("the state of the connection did not match"),
    DisconnectReason.JOIN_FAILURE: translatable("could not connect"),
    DisconnectReason.MIGRATION: translatable("moved to another LiveKit node"),
    DisconnectReason.SIGNAL_CLOSE: translatable("the connection was closed"),
    DisconnectReason.ROOM_CLOSED: translatable("the room was closed"),
    DisconnectReason.USER_UNAVAILABLE: translatable("the phone did not answer"),
    DisconnectReason.USER_REJECTED: translatable("the phone refused the call"),
    DisconnectReason.SIP_TRUNK_FAILURE: translatable("the phone line failed"),
    DisconnectReason.CONNECTION_TIMEOUT: translatable("the connection was lost"),
    DisconnectReason.MEDIA_FAILURE: translatable("the media connection failed"),
    DisconnectReason.AGENT_ERROR: translatable("the agent failed"),
}

_AGENT_LEFT = translatable("it left by itself")
"""What CLIENT_INITIATED says of an agent: it shut down, or its entrypoint raised an exception."""

_ROOM_ENDS = {
    "ROOM_END_IDLE_TIMEOUT": translatable("nobody was left in it"),
    "ROOM_END_API_DELETE": translatable("it was deleted"),
    "ROOM_END_SERVER_SHUTDOWN": translatable("LiveKit was stopped"),
    "ROOM_END_OPEN_FAILED": translatable("it could not be opened"),
    "ROOM_END_SUPERSEDED": translatable("another session of its name took its place"),
}
"""What `roomEndReason` says, which servers send from 1.13.11 on."""


def _event_reason(event: EventDetail, lateness: float) -> str:
    if event.type == EventType.PARTICIPANT_UPDATED:
        return gettext("found by the sweep; LiveKit sends no webhook about changes")
    if event.source is EventSource.SWEEP:
        late = duration_text(lateness)
        return gettext("by the sweep, %(time)s later; no webhook had arrived", time=late)
    reasons = []
    if event.body is None:
        reasons.append(gettext("details are gone with the body of the webhook (USHER_RETENTION_BODIES_DAYS)"))
    body = event.body or {}
    participant = body.get("participant")
    left = participant.get("disconnectReason") if isinstance(participant, Mapping) else None
    if isinstance(left, str):
        is_agent = event.participant_kind == ParticipantKind.AGENT
        text = _AGENT_LEFT if is_agent and left == DisconnectReason.CLIENT_INITIATED else DISCONNECT_REASONS.get(left)
        reasons.append(f"{gettext(text)} ({left})" if text else left)
    if isinstance(end := body.get("roomEndReason"), str):
        reasons.append(f"{gettext(_ROOM_ENDS[end])} ({end})" if end in _ROOM_ENDS else end)
    if lateness > LATE_S and event.source is EventSource.WEBHOOK:
        reasons.append(gettext("the webhook arrived %(time)s late", time=duration_text(lateness)))
    return "; ".join(reasons)


def call_step(record: DispatchRecord, attempt: AttemptRecord) -> Step:
    """Return the step of one call to LiveKit."""
    took = ""
    if attempt.finished_at is not None:
        took = gettext(
            " after %(time)s", time=duration_text((attempt.finished_at - attempt.started_at).total_seconds())
        )
    error = error_of(attempt)
    match attempt.outcome:
        case AttemptOutcome.ACCEPTED | AttemptOutcome.NO_SHOW | AttemptOutcome.LEFT_EARLY:
            reason = gettext("accepted as %(id)s%(took)s", id=attempt.livekit_dispatch_id, took=took)
            if attempt.outcome == AttemptOutcome.NO_SHOW:
                reason += gettext(", but no agent joined")
            elif attempt.outcome == AttemptOutcome.LEFT_EARLY:
                reason += gettext(", but its agent %(error)s", error=early_leaving_of(record, attempt))
        case AttemptOutcome.ADOPTED:
            reason = gettext("LiveKit already had the dispatch as %(id)s", id=attempt.livekit_dispatch_id)
            if error:
                reason = f"{gettext('no clear answer%(took)s (%(error)s)', took=took, error=error)}; {reason}"
        case AttemptOutcome.REJECTED:
            reason = gettext("refused%(took)s: %(error)s", took=took, error=error)
        case AttemptOutcome.UNKNOWN:
            text = translatable("no clear answer%(took)s; LiveKit is checked before a retry: %(error)s")
            reason = gettext(text, took=took, error=error)
        case _:
            reason = gettext("no answer is recorded")
    facts = {
        "attempt": attempt.number,
        "agent": attempt.agent_name,
        "livekit_dispatch_id": attempt.livekit_dispatch_id,
        "job_id": attempt.job_id,
    }
    return Step(
        attempt.started_at,
        StepKind.CALL,
        gettext(
            "LiveKit is asked to dispatch %(agent)s (call %(number)s)", agent=attempt.agent_name, number=attempt.number
        )
        if attempt.number
        else gettext("the access token asked LiveKit to dispatch %(agent)s", agent=attempt.agent_name),
        reason,
        dispatch_id=record.dispatch.id,
        facts={name: value for name, value in facts.items() if value},
    )


def change_step(record: DispatchRecord, change: AuditRecord) -> Step:
    """Return the step of one change of a dispatch's state."""
    dispatch = record.dispatch
    agent = dispatch.agent_to_ask
    state = DispatchStatus(change.to_state)
    before = DispatchStatus(change.from_state) if change.from_state else None
    reason = reason_of_change(record, change)
    facts: dict[str, Any] = {"agent": agent}
    match before, state:
        case None, DispatchStatus.FAILED:
            title = gettext("%(agent)s cannot be dispatched", agent=dispatch.agent_name)
        case None, _:
            title = gettext("a dispatch of %(agent)s is created", agent=dispatch.agent_name)
            facts |= {"agent": dispatch.agent_name, "rule": dispatch.rule_name, "scope": str(dispatch.scope)}
        case ((DispatchStatus.FAILED | DispatchStatus.NO_SHOW | DispatchStatus.CANCELLED), _):
            title = gettext("the dispatch is retried")
        case DispatchStatus.JOINED, DispatchStatus.NO_SHOW:
            title = gettext("%(agent)s did not stay", agent=agent)
        case _, DispatchStatus.PENDING:
            title = gettext(_PENDING.get(before, translatable("the next attempt begins")))
        case _, DispatchStatus.SENDING:
            checked = gettext("the dispatch is checked at LiveKit")
            title = gettext("the dispatch is sent") if before is DispatchStatus.PENDING else checked
        case DispatchStatus.DISPATCHED, DispatchStatus.DISPATCHED:
            title = gettext("still waiting for the agent")
        case _, DispatchStatus.DISPATCHED:
            title = gettext("waiting for the agent")
            if dispatch.wait_s == dispatch.answer_timeout_s:  # else it depends on which agent was asked then
                reason += gettext("; it has %(seconds)s s to join", seconds=dispatch.wait_s)
        case DispatchStatus.JOINED, DispatchStatus.JOINED:
            title = gettext("the agent is with the caller")
        case _, DispatchStatus.JOINED:
            facts |= _facts_of_joining(record, change)
            title = gettext("%(agent)s joined", agent=facts["agent"])
        case _:
            title = gettext(_ENDS[state], agent=agent)
    kept = {name: value for name, value in facts.items() if value}
    step = Step(change.changed_at, StepKind.DISPATCH, title, reason, change.changed_by, None, dispatch.id, state, kept)
    is_internal = change.changed_by == "usher" and before is not None and (before, state) in _INTERNAL
    return replace(step, is_internal=is_internal)


def _facts_of_joining(record: DispatchRecord, change: AuditRecord) -> dict[str, Any]:
    """Return which agent joined; the columns of the dispatch name the latest, not one before that left early."""
    attempt = earlier_attempt(record, change)
    if attempt is not None:
        return {"agent": attempt.agent_name, "job_id": attempt.job_id}
    dispatch = record.dispatch
    return {"agent": dispatch.agent_to_ask, "agent_identity": dispatch.agent_identity, "job_id": dispatch.job_id}


_INTERNAL = {
    (DispatchStatus.PENDING, DispatchStatus.SENDING),
    (DispatchStatus.SENDING, DispatchStatus.SENDING),
    (DispatchStatus.DISPATCHED, DispatchStatus.DISPATCHED),
    (DispatchStatus.JOINED, DispatchStatus.JOINED),
}
"""Changes that say how a dispatch is sent and checked."""

_PENDING: Mapping[DispatchStatus | None, str] = {
    DispatchStatus.SENDING: translatable("the call is retried"),
    DispatchStatus.PENDING: translatable("waiting to be sent"),  # in a queue, mostly
}
_ENDS = {
    DispatchStatus.ENDED: translatable("the dispatch of %(agent)s has ended"),
    DispatchStatus.CANCELLED: translatable("the dispatch of %(agent)s is cancelled"),
    DispatchStatus.FAILED: translatable("the dispatch of %(agent)s has failed"),
    DispatchStatus.NO_SHOW: translatable("no agent joined"),
}
