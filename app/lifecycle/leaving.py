"""What follows when callers, an agent or a room go: pure decisions, each with the move that carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import assert_never

from app.db.types import Cause, DispatchStatus, Scope
from app.livekit.vocabulary import CHOSEN, ROOM_OVER, DisconnectReason
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import ended
from app.outbox.move import Move
from app.outbox.states import WAITING

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
    agent_identities: tuple[str, ...] = ()
    only_if_alone: bool = False
    """Only when no participant but agents is left in the room (rule `withdraw`, scope `room`)."""


def withdrawal_of(dispatch: Dispatch, *, only_if_alone: bool = False) -> Withdrawal | None:
    """Return how to take back what LiveKit has of `dispatch`; None when no call was made."""
    if not dispatch.may_be_at_livekit:
        return None
    return Withdrawal(
        dispatch.project,
        dispatch.room_name,
        dispatch.room_sid,
        dispatch.id,
        dispatch.livekit_dispatch_id,
        (dispatch.agent_identity,) if dispatch.agent_identity else (),
        only_if_alone,
    )


def room_over(dispatch: Dispatch, cause: Cause, reason: str, now: datetime) -> Move:
    """Return the end of a dispatch whose room session is over."""
    if dispatch.status is DispatchStatus.JOINED:
        return Move(dispatch, DispatchStatus.ENDED, cause, reason, fields=ended(now))
    return Move(dispatch, DispatchStatus.CANCELLED, cause, reason, fields=ended(now))


class CallersGone(Enum):
    """What follows when the last caller of a dispatch has left."""

    CANCEL = auto()
    """No agent yet: give the dispatch up, and take back what LiveKit has of it."""
    WITHDRAW = auto()
    """The rule says so: take the agent out."""
    WITHDRAW_IF_ALONE = auto()
    """Its agent serves the room: take it out unless other people are there."""
    KEEP = auto()


def callers_gone(dispatch: Dispatch) -> CallersGone:
    """Return what follows when none of the callers of `dispatch` is left."""
    if dispatch.status in WAITING:
        return CallersGone.CANCEL
    if not dispatch.withdraw:
        return CallersGone.KEEP
    return CallersGone.WITHDRAW_IF_ALONE if dispatch.scope is Scope.ROOM else CallersGone.WITHDRAW


def after_callers_gone(dispatch: Dispatch, now: datetime) -> tuple[Move | None, Withdrawal | None]:
    """Return the move and the withdrawal by which `callers_gone` is carried out."""
    match callers_gone(dispatch):
        case CallersGone.CANCEL:
            waited = max(0.0, (now - dispatch.created_at).total_seconds())
            reason = f"the caller gave up after {waited:.1f} s"
            move = Move(dispatch, DispatchStatus.CANCELLED, Cause.CALLER_LEFT, reason, fields=ended(now))
            return move, withdrawal_of(dispatch)
        case CallersGone.WITHDRAW:
            return None, withdrawal_of(dispatch)
        case CallersGone.WITHDRAW_IF_ALONE:
            return None, withdrawal_of(dispatch, only_if_alone=True)
        case CallersGone.KEEP:
            return None, None
        case unknown:
            assert_never(unknown)


@dataclass(frozen=True, slots=True)
class RemainingCallers:
    """Callers still in the room after the agent left; `unserved`: some arrived too late to have been served."""

    any: bool
    unserved: bool


class AgentGone(Enum):
    """Whether an agent that left a call is replaced, and why."""

    NOT_REPLACED = auto()
    BUDGET_SPENT = auto()
    """It would be replaced, but that has been done too often for this call."""
    REPLACED = auto()
    """Its rule says `recover`, or LiveKit sent it away because its dispatch was deleted as it joined."""
    REPLACED_FOR_UNSERVED = auto()
    """Callers who arrived while it was leaving get another agent."""

    @property
    def is_replaced(self) -> bool:
        return self in {AgentGone.REPLACED, AgentGone.REPLACED_FOR_UNSERVED}


def agent_gone(dispatch: Dispatch, disconnect_reason: str, remaining: RemainingCallers, *, budget: int) -> AgentGone:
    """Return whether the agent of a joined dispatch is replaced; at most `budget` times for one call.

    Callers who arrived late were noted as served by this agent while it was leaving, because its own caller had left or
    because we had withdrawn it for that: they get another whatever the rule says.
    """
    on_purpose = disconnect_reason in CHOSEN
    sent_away = dispatch.is_sent_away and remaining.any and disconnect_reason not in ROOM_OVER
    recovered = dispatch.recover and remaining.any and not on_purpose
    withdrawn = dispatch.withdraw and disconnect_reason == DisconnectReason.PARTICIPANT_REMOVED
    unserved = remaining.unserved and (withdrawn or not on_purpose)
    if not (sent_away or recovered or unserved):
        return AgentGone.NOT_REPLACED
    if dispatch.recoveries >= budget:
        return AgentGone.BUDGET_SPENT
    return AgentGone.REPLACED if recovered or sent_away else AgentGone.REPLACED_FOR_UNSERVED


def after_agent_gone(dispatch: Dispatch, disconnect_reason: str, decision: AgentGone, now: datetime) -> Move:
    """Return the end of a dispatch whose agent has left."""
    reason = f"the agent left ({disconnect_reason})" if disconnect_reason else "the agent is gone"
    match decision:
        case AgentGone.NOT_REPLACED:
            pass
        case AgentGone.BUDGET_SPENT:
            reason += f"; not replaced: {dispatch.recoveries} replacements were made for this call already"
        case AgentGone.REPLACED:
            reason += "; it is being replaced"
        case AgentGone.REPLACED_FOR_UNSERVED:
            reason += "; callers who arrived while it was leaving get another"
        case _:
            assert_never(decision)
    return Move(dispatch, DispatchStatus.ENDED, Cause.AGENT_LEFT, reason, fields=ended(now))
