"""A call in short: its caller, its state, and what came of its dispatches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from app.audit.records.record_types import EventSummary, decided_because, ignored_by
from app.db.columns.action_types import CallerActionKind, CallerActionStatus
from app.db.types import Cause, DispatchStatus, EventOutcome
from app.json_shape import Instant, JsonShape
from app.livekit.participant.phone import number_in
from app.livekit.participant.role import PHONE_KINDS, Role
from app.outbox.states import WAITING
from app.translation import translatable


class CallState(StrEnum):
    """The state of a call."""

    WAITING = "waiting"  # for an agent, for the answer of a lookup, or to be removed or transferred
    NO_SHOW = "no_show"  # no agent joined
    FAILED = "failed"  # the dispatch could not be made or delivered; without one, the removal or transfer
    ANSWERED = "answered"  # the agent is in the room
    ABANDONED = "abandoned"  # the caller left before an agent joined
    CANCELLED = "cancelled"  # without a dispatch: the caller left before the removal or transfer
    ENDED = "ended"  # the agent joined, and has left
    REMOVED = "removed"  # by a rule, and no agent was dispatched
    TRANSFERRED = "transferred"  # likewise
    NO_MATCH = "no_match"  # no rule matched
    IGNORED = "ignored"


class CallOutcome(StrEnum):
    """What came of the dispatches of a call; a call may have several, and a redrive takes none away."""

    JOINED = "joined"  # an agent joined
    NO_AGENT = "no_agent"  # a dispatch ended without an agent: no show, or failed
    ABANDONED = "abandoned"  # the caller left before an agent joined
    FALLBACK = "fallback"  # the rule's agent did not join, and a fallback was asked
    HANDED_OVER = "handed_over"  # another agent took the call over
    BEING_HANDED_OVER = "being_handed_over"  # an agent has the call until another, which is asked, joins
    LEFT_EARLY = "left_early"  # an agent left before `min_stay_s`


class CallDirection(StrEnum):
    """The numbers of a phone call: who called, and which number was called."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


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
    reason: Annotated[
        str, Field(description="of the dispatch or action that decides the state, or of the event without one")
    ]
    seconds_to_agent: Annotated[float | None, Field(description="from the join to the first agent; null without one")]
    participant_name: Annotated[str | None, Field(description="as the participant shows it; null if it has none")]
    direction: Annotated[CallDirection | None, Field(description="of a phone call; null for others")]
    rules: Annotated[tuple[str, ...], Field(description="by the names they had")]
    asked_agents: Annotated[tuple[str, ...], Field(description="every agent that was asked, those that failed first")]
    outcomes: Annotated[tuple[CallOutcome, ...], Field(description="what came of its dispatches")]
    cause: Annotated[Cause | None, Field(description="of the dispatch that decides the state; null without one")]
    called_number: Annotated[
        str | None, Field(description="the number that was dialled, in E.164 where it can be; null if none is known")
    ]


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
    id: str = ""
    rule: str = ""
    first_agent: str = ""
    """The agent of the rule; `agent` is the one that was asked last."""
    rung: int = 0
    is_handover: bool = False
    left_early: bool = False
    is_own: bool = True
    """Whether it was made for this call; if not, for another caller whose agent serves this one too."""
    waiting_since: datetime | None = None
    """When its caller joined, if that was before the join was received."""
    is_beside: bool = False
    """Whether it was to take over from another dispatch, which has kept the call so far."""

    @property
    def outcomes(self) -> frozenset[CallOutcome]:
        """What came of it; as `audit.statistics.counts` counts it."""
        found: set[CallOutcome] = set()
        if self.joined_at is not None:
            found.add(CallOutcome.JOINED)
        elif self.is_beside:
            if self.status in WAITING:
                found.add(CallOutcome.BEING_HANDED_OVER)
        elif self.status in {DispatchStatus.NO_SHOW, DispatchStatus.FAILED}:
            found.add(CallOutcome.NO_AGENT)
        elif self.status not in WAITING and self.cause is Cause.CALLER_LEFT:
            found.add(CallOutcome.ABANDONED)
        if self.rung:
            found.add(CallOutcome.FALLBACK)
        if self.is_handover and self.joined_at is not None:
            found.add(CallOutcome.HANDED_OVER)
        if self.left_early:
            found.add(CallOutcome.LEFT_EARLY)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class CallAction:
    """One action on the caller, as far as the head of the call needs it."""

    kind: CallerActionKind
    status: CallerActionStatus
    reason: str
    rule: str


def head_of(
    first: EventSummary,
    latest: EventSummary,
    made: Sequence[CallDispatch],
    left_at: datetime | None,
    name: str | None = None,
    *,
    actions: Sequence[CallAction] = (),
    trunk_number: str | None = None,
    decision: Any = None,
) -> CallHead:
    """Return the head of a call from its first and latest join, its dispatches and its actions, oldest first.

    `trunk_number`: our number, as the trunk spells it; `decision`: that of the latest join, if it was ignored.
    """
    state, reason, cause = _state_of(latest, made, actions, decision)
    ignoring = ignored_by(decision) if state is CallState.IGNORED else ""
    outcomes = frozenset().union(*(one.outcomes for one in made))
    joined_at = min([first.received_at, *(one.waiting_since for one in made if one.is_own and one.waiting_since)])
    arrivals = [max(one.joined_at, joined_at) for one in made if one.joined_at is not None]
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
        joined_at=joined_at,
        left_at=left_at,
        agent_joined_at=agent_joined_at,
        agents=tuple(dict.fromkeys(one.agent for one in made)),
        state=state,
        reason=reason,
        seconds_to_agent=None if agent_joined_at is None else (agent_joined_at - joined_at).total_seconds(),
        participant_name=name or None,
        direction=(direction := _direction_of(latest)),
        rules=tuple(
            dict.fromkeys(filter(None, [*(one.rule for one in made), *(one.rule for one in actions), ignoring]))
        ),
        asked_agents=tuple(dict.fromkeys(each for one in made for each in (one.first_agent, one.agent) if each)),
        outcomes=tuple(one for one in CallOutcome if one in outcomes),
        cause=cause,
        called_number=_called(direction, first.phone_number, trunk_number),
    )


def _called(direction: CallDirection | None, far: str | None, ours: str | None) -> str | None:
    if direction is CallDirection.OUTBOUND:
        return far or None
    return (number_in(ours) or ours) if direction is not None and ours else None


def _direction_of(join: EventSummary) -> CallDirection | None:
    if join.participant_kind not in PHONE_KINDS:
        return None
    return CallDirection.OUTBOUND if join.participant_role == Role.CALLEE else CallDirection.INBOUND


_DECISIVE: tuple[tuple[CallState, frozenset[DispatchStatus]], ...] = (
    (CallState.WAITING, WAITING),
    (CallState.NO_SHOW, frozenset({DispatchStatus.NO_SHOW})),
    (CallState.FAILED, frozenset({DispatchStatus.FAILED})),
    (CallState.ANSWERED, frozenset({DispatchStatus.JOINED})),
    (CallState.ENDED, frozenset({DispatchStatus.ENDED})),
    (CallState.CANCELLED, frozenset({DispatchStatus.CANCELLED})),
)


_DONE = {CallerActionKind.REMOVE: CallState.REMOVED, CallerActionKind.TRANSFER: CallState.TRANSFERRED}
_NOT_DONE = {
    CallerActionStatus.PENDING: CallState.WAITING,
    CallerActionStatus.SENDING: CallState.WAITING,
    CallerActionStatus.FAILED: CallState.FAILED,
    CallerActionStatus.CANCELLED: CallState.CANCELLED,
}


def _state_of(
    joined: EventSummary, made: Sequence[CallDispatch], actions: Sequence[CallAction], decision: Any
) -> tuple[CallState, str, Cause | None]:
    """Return the state of a call, its reason and cause: those of the dispatch that most needs attention.

    One beside another leaves the call with that: its caller does not wait.
    What was done with the caller decides only where there was no dispatch, or where it ended one that was under way.
    """
    done = next((one for one in reversed(actions) if one.status is CallerActionStatus.DONE), None)
    for state, statuses in _DECISIVE:
        for one in reversed(made):
            if one.status in statuses and not (one.is_redriven or one.is_beside):
                gave_up = state is CallState.CANCELLED and one.cause is Cause.CALLER_LEFT
                if gave_up and done is not None:
                    return _DONE[done.kind], done.reason, None
                return (CallState.ABANDONED if gave_up else state), one.reason, one.cause
    if done is not None:
        return _DONE[done.kind], done.reason, None
    if actions:
        return _NOT_DONE[actions[-1].status], actions[-1].reason, None
    if joined.outcome is EventOutcome.NO_MATCH:
        return CallState.NO_MATCH, translatable("no rule matched"), None
    if joined.outcome is EventOutcome.LOOKING_UP:
        return CallState.WAITING, translatable("the answer of a lookup is awaited"), None
    is_callee = joined.participant_role == Role.CALLEE
    otherwise = translatable("no rule matched the phone that was dialled") if is_callee else ""
    return CallState.IGNORED, decided_because(decision) or otherwise, None
