"""What follows for an action on a caller: pure decisions, each with the changed columns that carry it out.

A call names an identity, but the action is meant for one stay of it (`participant_sid`). So before each call LiveKit is
asked who is there; and a call whose outcome is unknown is repeated only when it is certain that it had no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from app.db.columns.action_types import CallerActionCause, CallerActionKind, CallerActionStatus
from app.lifecycle.retry import REFUSED, TROUBLE_LIMIT, UNREACHABLE, certain_from, delay_before, longest_delay
from app.livekit.attributes import CALL_STATUS
from app.livekit.client import TRANSFER_TIMEOUT_S, SeenParticipant
from app.livekit.outcome import ActionOutcome, Done, ParticipantGone, Rejected, Unknown, Unreachable
from app.outbox.caller_action import CallerAction
from app.translation import recorded

REFUSALS_ALLOWED: Final = 3
"""Calls that LiveKit may refuse before the action has failed: each transfer may ring somebody's phone."""
_RINGING: Final = frozenset({"ringing", "dialing"})
_PENDING, _SENDING = CallerActionStatus.PENDING, CallerActionStatus.SENDING


@dataclass(frozen=True, slots=True)
class ActionMove:
    """An action goes on to `status` because of `cause`; `reason` is its text, `fields` are the other columns."""

    action: CallerAction
    status: CallerActionStatus
    cause: CallerActionCause
    reason: str
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns to write."""
        return {"status": self.status, "cause": self.cause, "reason": self.reason, **self.fields}

    @property
    def result(self) -> CallerAction:
        """The action as it is after the move."""
        return self.action._replace(**self.columns)


def seconds_for_call(kind: CallerActionKind, request_timeout_s: float) -> float:
    """Return how long a call may take: a transfer until the other phone has answered, or has not."""
    return TRANSFER_TIMEOUT_S if kind is CallerActionKind.TRANSFER else request_timeout_s


def claimed(action: CallerAction, owner: str, now: datetime, lease: timedelta) -> ActionMove:
    """Return the lease of a due action to `owner`; of one whose sender died, with the need to find out first."""
    until = now + lease
    fields = {"lease_owner": owner, "lease_until": until, "next_attempt_at": until}
    if action.status is _SENDING:
        reason = recorded("its sender stopped; checking whether LiveKit has done it")
        return ActionMove(action, _SENDING, CallerActionCause.SENDER_LOST, reason, {**fields, "must_check": True})
    reason = (
        recorded("checking whether LiveKit has done it")
        if action.must_check
        else recorded("claimed for a call to LiveKit")
    )
    return ActionMove(action, _SENDING, CallerActionCause.CLAIMED, reason, fields)


def called_off(action: CallerAction, now: datetime) -> ActionMove:
    """Return the end of an action whose caller another dispatch serves since."""
    return _end(
        action,
        CallerActionStatus.CANCELLED,
        CallerActionCause.SERVED_AGAIN,
        recorded("another dispatch has the caller since"),
        now=now,
    )


def presence_of(action: CallerAction, listed: Iterable[SeenParticipant]) -> SeenParticipant | None:
    """Return the participant that is meant, as LiveKit lists it; None if that stay is over."""
    return next((one for one in listed if one.sid == action.participant_sid), None)


def after_absence(action: CallerAction, now: datetime) -> ActionMove:
    """Return the end of an action whose participant is not in the room."""
    if not action.must_check:
        reason = recorded("the caller has left")
        return _end(action, CallerActionStatus.CANCELLED, CallerActionCause.CALLER_LEFT, reason, now=now)
    reason = recorded("the caller is gone, so that the call without an answer had its effect")
    return _end(action, CallerActionStatus.DONE, CallerActionCause.CALLER_GONE, reason, now=now)


def given_back(action: CallerAction, now: datetime) -> ActionMove:
    """Return the end of the lease of an action for which no call was made."""
    reason = recorded("given back before a call was made")
    return ActionMove(action, _PENDING, action.cause, reason, _waiting(now))


def postponed(action: CallerAction, why: str, due: datetime) -> ActionMove:
    """Return the wait of an action while LiveKit does not say who is in the room."""
    reason = f"{recorded('LiveKit cannot be asked')}: {why}"
    return ActionMove(action, _PENDING, CallerActionCause.LIVEKIT_UNREACHABLE, reason, _waiting(due))


def after_call(
    action: CallerAction,
    outcome: ActionOutcome,
    seen: SeenParticipant,
    *,
    started_at: datetime,
    now: datetime,
    timeout_s: float,
    jitter: float,
    is_down: bool,
) -> ActionMove:
    """Return what follows `outcome` of a call that began at `started_at`.

    `seen`: the participant as LiveKit listed it before the call. `timeout_s`: how long the call may take. `is_down`:
    LiveKit has answered none of the latest calls.
    """
    attempts = action.attempts + 1
    soon = now + timedelta(seconds=delay_before(attempts, jitter, longest_delay(is_down=is_down)))
    fields = {"attempts": attempts, "called_at": started_at, "answer": _answer(outcome), "must_check": False}
    match outcome:
        case Done(text):
            return _end(action, CallerActionStatus.DONE, CallerActionCause.ACCEPTED, text, now=now, fields=fields)
        case ParticipantGone():
            end = after_absence(action, now)
            return ActionMove(action, end.status, end.cause, end.reason, {**fields, **end.fields})
        case Rejected() if _is_ringing(action, seen):
            why = recorded("the call is not answered yet, and LiveKit transfers answered calls only")
            reason = f"{why}: {fields['answer']}"
            return ActionMove(action, _PENDING, CallerActionCause.NOT_ANSWERED, reason, {**fields, **_waiting(soon)})
        case Rejected(permanent=permanent):
            fields["refusals"] = action.refusals + 1
            reason = f"{REFUSED}: {fields['answer']}"
            if permanent or action.refusals + 1 >= REFUSALS_ALLOWED:
                return _end(
                    action, CallerActionStatus.FAILED, CallerActionCause.REFUSED, reason, now=now, fields=fields
                )
            later = now + timedelta(seconds=delay_before(attempts, jitter))
            return ActionMove(action, _PENDING, CallerActionCause.REFUSED, reason, {**fields, **_waiting(later)})
        case Unreachable():
            reason = f"{UNREACHABLE}: {fields['answer']}"
            # Whether an earlier call had its effect is as unknown as before.
            fields |= {"must_check": action.must_check, **_waiting(soon)}
            return ActionMove(action, _PENDING, CallerActionCause.LIVEKIT_UNREACHABLE, reason, fields)
        case Unknown(is_answered=is_answered):
            reason = f"{recorded('the outcome is unknown')}: {fields['answer']}"
            if attempts >= TROUBLE_LIMIT:
                return _end(
                    action, CallerActionStatus.FAILED, CallerActionCause.OUTCOME_UNKNOWN, reason, now=now, fields=fields
                )
            checked_at = max(soon, certain_from(started_at, now, timeout_s, is_answered=is_answered))
            fields |= {**_waiting(checked_at), "must_check": True}
            return ActionMove(action, _PENDING, CallerActionCause.OUTCOME_UNKNOWN, reason, fields)
        case _:
            assert_never(outcome)


def is_held_action(current: CallerAction, held: CallerAction) -> bool:
    """Return whether `current` is still leased as `held` was."""
    return (
        current.status is _SENDING
        and current.lease_owner == held.lease_owner
        and current.lease_until == held.lease_until
    )


def _is_ringing(action: CallerAction, seen: SeenParticipant) -> bool:
    return action.kind is CallerActionKind.TRANSFER and seen.attributes.get(CALL_STATUS) in _RINGING


def _answer(outcome: ActionOutcome) -> str:
    match outcome:
        case Done(text) | ParticipantGone(text):
            return text[:2000]
        case Rejected(code, text) | Unreachable(code, text) | Unknown(code, text):
            return f"{code}: {text}"[:2000]
        case _:
            assert_never(outcome)


def _waiting(due: datetime) -> dict[str, Any]:
    return {"lease_owner": None, "lease_until": None, "next_attempt_at": due}


def _end(
    action: CallerAction,
    status: CallerActionStatus,
    cause: CallerActionCause,
    reason: str,
    *,
    now: datetime,
    fields: Mapping[str, Any] | None = None,
) -> ActionMove:
    closed = {
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": None,
        "must_check": False,
        "ended_at": now,
    }
    return ActionMove(action, status, cause, reason, {**(fields or {}), **closed})
