"""What follows when callers, an agent or a room go: pure decisions, each with the move that carries it out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from app.db.types import Cause, DispatchStatus, Recover, Scope
from app.lifecycle.arrival import after_early_leaving
from app.lifecycle.departure import NOT_REPLACED, Departure
from app.lifecycle.handover import is_beside
from app.lifecycle.presence import rest_of_reload
from app.livekit.vocabulary import MOVED, ROOM_OVER, DisconnectReason
from app.observe.finding import Stray
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import ended
from app.outbox.move import Move
from app.outbox.people import People
from app.outbox.states import WAITING
from app.translation import recorded

AGENT_LEAVES_WITHIN_S = 10.0
"""An agent may stay up to this long after its caller left; a caller who arrives meanwhile needs another agent."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Something to take back from LiveKit after the commit; if we die before, the sweep finds it as a stray."""

    project: str
    room_name: str
    room_sid: str
    dispatch_id: str
    livekit_dispatch_id: str | None
    agents: tuple[tuple[str, str], ...] = ()
    """Identity and SID of each agent that is known to have come; another may have taken the same identity since."""
    only_if_alone: bool = False
    """Only when no participant but agents is left in the room (rule `withdraw`, scope `room`)."""
    after_s: float = 0.0
    """How long to wait first: a caller who comes back meanwhile keeps the agent."""
    at_once: bool = False
    """Remove the agent without waiting for it to leave: another is about to join."""
    only_dispatch: bool = False
    """Delete LiveKit's dispatch alone: its agent has left, and another may have the same identity."""
    ghost_sid: str | None = None
    """SID of an agent whose LiveKit node is lost: it is removed from the list, if LiveKit can do that, and no other."""


def withdrawal_of(dispatch: Dispatch, *, only_if_alone: bool = False, after_s: float = 0.0) -> Withdrawal | None:
    """Return how to take back what LiveKit has of `dispatch`; None when no call was made."""
    if not dispatch.may_be_at_livekit:
        return None
    return Withdrawal(
        dispatch.project,
        dispatch.room_name,
        dispatch.room_sid,
        dispatch.id,
        dispatch.livekit_dispatch_id,
        ((dispatch.agent_identity, dispatch.agent_sid or ""),) if dispatch.agent_identity else (),
        only_if_alone,
        after_s,
    )


def withdrawal_of_stray(stray: Stray, seen: RoomObservation) -> Withdrawal:
    """Return how to take back what `seen` showed of a dispatch or agents that are not needed."""
    agents = tuple((agent.identity, agent.sid) for agent in stray.agents)
    livekit_dispatch_id = stray.livekit_dispatch_id or None
    return Withdrawal(seen.project, seen.room_name, seen.room_sid, "", livekit_dispatch_id, agents)


def deletion_of(dispatch: Dispatch) -> Withdrawal | None:
    """Return how to delete the dispatch of an agent that has left, which LiveKit lists until the room closes.

    By that list the next agent of a fixed identity would be taken for the one that left.
    """
    if dispatch.livekit_dispatch_id is None:
        return None
    return Withdrawal(
        dispatch.project, dispatch.room_name, dispatch.room_sid, "", dispatch.livekit_dispatch_id, only_dispatch=True
    )


def room_over(dispatch: Dispatch, cause: Cause, reason: str, now: datetime) -> Move:
    """Return the end of a dispatch whose room session is over."""
    if dispatch.status is DispatchStatus.JOINED:
        return Move(dispatch, DispatchStatus.ENDED, cause, reason, fields=ended(now))
    return Move(dispatch, DispatchStatus.CANCELLED, cause, reason, fields=ended(now))


class NoCallers(Enum):
    """What follows when the last caller of a dispatch has left."""

    CANCEL = auto()
    """No agent yet: give the dispatch up, and take back what LiveKit has of it."""
    WITHDRAW = auto()
    """The rule says so: take the agent out."""
    WITHDRAW_IF_ALONE = auto()
    """Its agent serves the room: take it out unless other people are there."""
    KEEP = auto()


def callers_gone(dispatch: Dispatch) -> NoCallers:
    """Return what follows when none of the callers of `dispatch` is left."""
    if dispatch.status in WAITING:
        return NoCallers.CANCEL
    if not dispatch.withdraw:
        return NoCallers.KEEP
    return NoCallers.WITHDRAW_IF_ALONE if dispatch.scope is Scope.ROOM else NoCallers.WITHDRAW


def after_callers_gone(dispatch: Dispatch, left_at: datetime, now: datetime) -> tuple[Move | None, Withdrawal | None]:
    """Return the move and the withdrawal by which `callers_gone` is carried out; `left_at`: when the last one left."""
    match callers_gone(dispatch):
        case NoCallers.CANCEL:
            waited = max(0.0, (left_at - dispatch.waits_since).total_seconds())
            reason = f"the caller gave up after {waited:.1f} s"
            if is_beside(dispatch):
                reason = recorded("the caller left while the call was being handed over")
            move = Move(dispatch, DispatchStatus.CANCELLED, Cause.CALLER_LEFT, reason, fields=ended(now))
            return move, withdrawal_of(dispatch)
        case NoCallers.WITHDRAW:
            return None, withdrawal_of(dispatch, after_s=rest_of_reload(left_at, now))
        case NoCallers.WITHDRAW_IF_ALONE:
            return None, withdrawal_of(dispatch, only_if_alone=True, after_s=rest_of_reload(left_at, now))
        case NoCallers.KEEP:
            return None, None
        case unknown:
            assert_never(unknown)


def after_reload(dispatch: Dispatch, left_at: datetime, now: datetime) -> tuple[Move | None, Withdrawal | None]:
    """Return what follows for a dispatch whose callers left while its agent was on its way, and have not come back."""
    if dispatch.status is DispatchStatus.JOINED and dispatch.joined_at is not None and dispatch.joined_at >= left_at:
        return None, withdrawal_of(dispatch, only_if_alone=dispatch.scope is Scope.ROOM)  # it joined no caller
    return after_callers_gone(dispatch, left_at, now)


def deserted(dispatch: Dispatch, now: datetime) -> Move:
    """Return the end of a joined dispatch whose callers have left: one who came back gets another agent."""
    reason = recorded("its callers had left; one who came back gets another agent")
    return Move(dispatch, DispatchStatus.ENDED, Cause.CALLERS_LEFT, reason, fields=ended(now))


@dataclass(frozen=True, slots=True)
class Remaining:
    """Who is in the room after an agent left."""

    served: bool
    """Whether callers that it served are there."""
    late: bool = False
    """Whether callers are there that are noted as served by it, and joined when it may have been leaving."""
    joined_by: bool = False
    """Whether callers joined after it, while one that it served from the beginning is there."""
    person: bool = False
    """Whether people are there that no dispatch serves: phones that were dialled, and callers who joined after it."""


def remaining_of(
    dispatch: Dispatch, people: People, now: datetime, *, present: Collection[str] | None = None
) -> Remaining:
    """Return who is in the room after the agent of `dispatch` left.

    `present`: the SIDs that LiveKit lists, if it was asked.
    """

    def is_here(sid: str) -> bool:
        return present is None or sid in present

    arrival = dispatch.joined_at or now
    person = any(
        (other.was_dialled or other.joined_at > arrival) and is_here(sid)
        for sid, other in people.others.get(dispatch.session, {}).items()
    )
    callers = people.callers.get(dispatch.id)
    if callers is None:  # it serves the room as such
        return Remaining(served=True, person=person)
    here = [one for one in callers if one.left_at is None and is_here(one.sid)]
    leaving_since = max(arrival, now - timedelta(seconds=AGENT_LEAVES_WITHIN_S))
    late = {one.sid for one in here if one.event_id != dispatch.event_id and one.joined_at > leaving_since}
    known = {one.identity for one in callers if one.joined_at <= arrival}
    newer = {one.sid for one in here if one.joined_at > arrival and one.identity not in known}
    return Remaining(
        served=any(one.sid not in late for one in here),
        late=bool(late),
        joined_by=bool(newer) and any(one.joined_at <= arrival for one in here),
        person=person,
    )


class AgentGone(Enum):
    """What follows when the agent of a joined dispatch has left."""

    NOT_REPLACED = auto()
    LEFT_TO_PERSON = auto()
    """It would be replaced, but a person has taken over the callers."""
    NEXT_ATTEMPT = auto()
    """It left so soon that its attempt counts as failed."""
    REPLACED = auto()
    """Its rule says `recover`, or LiveKit sent it away because its dispatch was deleted as it joined."""
    REPLACED_FOR_LATE = auto()
    """Callers who joined while it was leaving get another agent."""
    BUDGET_SPENT = auto()
    """It would be replaced, but that has been done too often for this call."""

    @property
    def is_replaced(self) -> bool:
        return self in {AgentGone.REPLACED, AgentGone.REPLACED_FOR_LATE}


def agent_gone(dispatch: Dispatch, departure: Departure, remaining: Remaining, *, budget: int) -> AgentGone:
    """Return what follows when the agent of a joined dispatch has left; replaced at most `budget` times for one call.

    | the agent                                                   | is replaced                                       |
    |-------------------------------------------------------------|---------------------------------------------------|
    | left with its room or its callers, or goes on under a SID   | no                                                |
    | was sent away because we deleted its dispatch as it joined  | yes                                               |
    | left only callers who joined while it was leaving           | yes, unless it was removed by somebody else       |
    | was done, or was removed                                    | no                                                |
    | stayed less than `min_stay_s`                               | by the next attempt, as after a no-show           |
    | was lost                                                    | with `recover` lost or always, or for late callers|
    | left by itself                                              | with `recover` always                             |

    The last three only while no other person is there, who then has the callers.
    """
    if departure.disconnect_reason in ROOM_OVER | MOVED or not (remaining.served or remaining.late):
        return AgentGone.NOT_REPLACED
    decision = _of_those_left_alone(dispatch, departure, remaining)
    if decision.is_replaced and dispatch.recoveries >= budget:
        return AgentGone.BUDGET_SPENT
    return decision


def _of_those_left_alone(dispatch: Dispatch, departure: Departure, remaining: Remaining) -> AgentGone:
    was_removed = departure.disconnect_reason == DisconnectReason.PARTICIPANT_REMOVED
    if dispatch.is_sent_away and not departure.is_done:
        return AgentGone.REPLACED
    if not remaining.served and (dispatch.withdraw or not was_removed):
        return AgentGone.REPLACED_FOR_LATE
    if departure.is_done or was_removed:
        return AgentGone.NOT_REPLACED
    if departure.is_early(dispatch):
        return AgentGone.LEFT_TO_PERSON if remaining.person else AgentGone.NEXT_ATTEMPT
    if not departure.is_lost:
        if dispatch.recover is not Recover.ALWAYS:
            return AgentGone.NOT_REPLACED
        # It may have handed its caller over to somebody who joined after it.
        return AgentGone.LEFT_TO_PERSON if remaining.person or remaining.joined_by else AgentGone.REPLACED
    if dispatch.recover is Recover.NEVER:
        decision = AgentGone.REPLACED_FOR_LATE if remaining.late else AgentGone.NOT_REPLACED
    else:
        decision = AgentGone.REPLACED
    return AgentGone.LEFT_TO_PERSON if decision.is_replaced and remaining.person else decision


def after_agent_gone(dispatch: Dispatch, departure: Departure, decision: AgentGone, now: datetime) -> Move:
    """Return the end of a dispatch whose agent has left, or the start of its next attempt."""
    reason = (
        f"the agent left ({departure.disconnect_reason})"
        if departure.disconnect_reason
        else recorded("the agent is gone")
    )
    if departure.is_done:
        reason += "; " + recorded("it was done")
    match decision:
        case AgentGone.NEXT_ATTEMPT:
            return after_early_leaving(dispatch, early_leaving(dispatch, departure), now)
        case AgentGone.NOT_REPLACED:
            pass
        case AgentGone.LEFT_TO_PERSON:
            reason += f"; {NOT_REPLACED}: {recorded('somebody else is there for the caller')}"
        case AgentGone.BUDGET_SPENT:
            reason += f"; {NOT_REPLACED}: {dispatch.recoveries} replacements were made for this call already"
        case AgentGone.REPLACED:
            reason += "; " + recorded("it is being replaced")
        case AgentGone.REPLACED_FOR_LATE:
            reason += "; " + recorded("callers who arrived while it was leaving get another")
        case _:
            assert_never(decision)
    return Move(dispatch, DispatchStatus.ENDED, Cause.AGENT_LEFT, reason, fields=ended(now))


def early_leaving(dispatch: Dispatch, departure: Departure) -> str:
    """Return in words how an agent left before `min_stay_s`."""
    why = f" ({departure.disconnect_reason})" if departure.disconnect_reason else ""
    return f"left after {departure.stayed_s:.1f} s of at least {dispatch.min_stay_s}{why}"
