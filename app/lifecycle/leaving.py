"""What follows when a caller, an agent or a room goes: pure decisions about rows that are locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.clock import new_id
from app.db.types import DispatchStatus, Scope
from app.livekit.vocabulary import CHOSEN, ROOM_OVER, DisconnectReason
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move
from app.outbox.states import GAVE_UP, WAITING

RETURN_S = 6.0
"""How long a caller waits for an agent that may come back by itself (5 s seen) before another is asked for."""

NEWS_S = 2.0
"""What is older than this proves no presence: LiveKit is asked whether the caller is still there before a call."""

LEAVING_S = 10.0
"""How long an agent may take to leave after its participant: who comes meanwhile was served by one that was going."""


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


@dataclass(slots=True)
class Consequences:
    """What a flow decided, in the order it has to be written."""

    moves: list[Move]
    rows: list[dict[str, Any]]
    withdrawals: list[Withdrawal]
    rooms_to_look_at: set[tuple[str, str]]

    @classmethod
    def none(cls) -> Consequences:
        return cls([], [], [], set())


def room_over(dispatch: Dispatch, reason: str, now: datetime) -> Move:
    """Return the end of a dispatch whose room session is over."""
    if dispatch.status is DispatchStatus.JOINED:
        return Move(dispatch, DispatchStatus.ENDED, reason, fields=ended(now))
    return Move(dispatch, DispatchStatus.CANCELLED, reason, fields=ended(now))


def callers_gone(dispatch: Dispatch, now: datetime) -> tuple[Move | None, Withdrawal | None]:
    """Return what follows when nobody is left whom `dispatch` serves."""
    if dispatch.status in WAITING:
        waited = max(0.0, (now - dispatch.created_at).total_seconds())
        reason = f"{GAVE_UP} after {waited:.1f} s"
        return Move(dispatch, DispatchStatus.CANCELLED, reason, fields=ended(now)), withdrawal_of(dispatch)
    if dispatch.withdraw:
        return None, withdrawal_of(dispatch, only_if_alone=dispatch.scope is Scope.ROOM)
    return None, None


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


@dataclass(frozen=True, slots=True)
class Left:
    """Whom an agent that is gone has left: somebody at all, and somebody whom it can hardly have served."""

    callers: bool
    newcomers: bool


def agent_gone(
    dispatch: Dispatch, disconnect_reason: str, left: Left, *, budget: int, now: datetime
) -> tuple[Move, dict[str, Any] | None]:
    """Return the end of a joined dispatch and the row of the one that replaces it, if one does.

    It is replaced if its rule says `recover`; if its dispatch was deleted just as it came, which `must_look` notes; and
    for newcomers: they were told that this agent serves them, and it was on its way out, because its participant had
    left or because we had withdrawn it for that reason.
    """
    why = f"the agent left ({disconnect_reason})" if disconnect_reason else "the agent is gone"
    on_purpose = disconnect_reason in CHOSEN
    sent_away = dispatch.must_look and left.callers and disconnect_reason not in ROOM_OVER
    recovered = dispatch.recover and left.callers and not on_purpose
    withdrawn = dispatch.withdraw and disconnect_reason == DisconnectReason.PARTICIPANT_REMOVED
    replace = recovered or sent_away or (left.newcomers and (withdrawn or not on_purpose))
    if replace and dispatch.recoveries >= budget:
        why += f"; not replaced: {dispatch.recoveries} replacements were made for this call already"
        replace = False
    elif replace:
        why += "; it is being replaced" if recovered or sent_away else "; who came while it was leaving gets another"
    move = Move(dispatch, DispatchStatus.ENDED, why, fields=ended(now))
    return move, replacement(dispatch, now) if replace else None


def replacement(dispatch: Dispatch, now: datetime) -> dict[str, Any]:
    """Return the row of a dispatch that asks again for the agent of one that has ended."""
    return {
        **fresh(now),
        "id": new_id(),
        "event_id": dispatch.event_id,
        "rule_id": dispatch.rule_id,
        "rule_name": dispatch.rule_name,
        "rules_version": dispatch.rules_version,
        "project": dispatch.project,
        "room_name": dispatch.room_name,
        "room_sid": dispatch.room_sid,
        "participant_identity": dispatch.participant_identity,
        "participant_sid": dispatch.participant_sid,
        "agent_name": dispatch.agent_name,
        "metadata": dispatch.metadata,
        "attributes": dispatch.attributes,
        "deployment": dispatch.deployment,
        "scope": dispatch.scope,
        "intent_key": dispatch.intent_key,
        "status": DispatchStatus.PENDING,
        "reason": f"replaces the agent of dispatch {dispatch.id}",
        "answer_timeout_s": dispatch.answer_timeout_s,
        "max_attempts": dispatch.max_attempts,
        "fallback_agent_name": dispatch.fallback_agent_name,
        "recover": dispatch.recover,
        "withdraw": dispatch.withdraw,
        "next_attempt_at": now,
        "recovers": dispatch.id,
        "recoveries": dispatch.recoveries + 1,
    }


def fresh(now: datetime) -> dict[str, Any]:
    """Return the columns of a dispatch before its first call."""
    return {
        "attempts": 0,
        "counted_attempts": 0,
        "asked_agent_name": None,
        "next_attempt_at": None,
        "must_look": False,
        "lease_owner": None,
        "lease_until": None,
        "recovers": None,
        "recoveries": 0,
        "created_at": now,
        "ended_at": None,
    }


def ended(now: datetime) -> Mapping[str, Any]:
    """Return the columns that close a dispatch."""
    return {"ended_at": now, "lease_owner": None, "lease_until": None, "next_attempt_at": None, "must_look": False}


def immediately(now: datetime, owner: str, lease: timedelta) -> dict[str, Any]:
    """Return the columns of a dispatch that is born into this process's hands, its first call about to be made."""
    until = now + lease
    return {
        "status": DispatchStatus.SENDING,
        "attempts": 1,
        "lease_owner": owner,
        "lease_until": until,
        "next_attempt_at": until,
    }
