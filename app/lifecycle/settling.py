"""What becomes of a dispatch when a call to LiveKit about it is over: pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.db.types import Cause, DispatchStatus
from app.lifecycle.arrival import awaited_from
from app.lifecycle.leaving import Withdrawal, withdrawal_of
from app.lifecycle.retry import Step, next_step
from app.livekit.outcome import Accepted, Outcome
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import ended
from app.outbox.move import Move
from app.translation import recorded


@dataclass(frozen=True, slots=True)
class Settlement:
    """A call that is over: the dispatch as it was when the call was made, and what LiveKit answered."""

    dispatch: Dispatch
    outcome: Outcome
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows: a move, what to take back because no agent is wanted any more, whether to check the room."""

    move: Move | None = None
    withdrawal: Withdrawal | None = None
    check_room: bool = False
    """Set when the room may hold two dispatches of ours."""


def is_held(current: Dispatch, held: Dispatch) -> bool:
    """Return whether the call of `current` is still that of `held`: same holder, same attempt, same lease."""
    return (
        current.status is DispatchStatus.SENDING
        and current.lease_owner == held.lease_owner
        and current.lease_until == held.lease_until
        and current.attempts == held.attempts
    )


def settled(
    settlement: Settlement, current: Dispatch, *, now: datetime, timeout_s: float, jitter: float, is_down: bool
) -> Settled:
    """Return what follows a call whose dispatch is now `current`; it may have ended, or been taken over, meanwhile.

    `is_down`: all of the latest calls to LiveKit have failed.
    """
    outcome = settlement.outcome
    written = outcome.livekit_dispatch_id if isinstance(outcome, Accepted) else None
    if is_held(current, settlement.dispatch):
        step = next_step(
            current,
            outcome,
            started_at=settlement.started_at,
            now=now,
            timeout_s=timeout_s,
            jitter=jitter,
            is_down=is_down,
        )
        return Settled(_as_move(current, step, written, now))
    if written is None or current.livekit_dispatch_id == written:
        return Settled()
    fields = {"livekit_dispatch_id": written}
    noted = Move(current, current.status, current.cause, current.reason, fields=fields, is_news=False)
    match current.status:
        case DispatchStatus.JOINED | DispatchStatus.DISPATCHED:
            # With another id or attempt noted, another replica has sent it again: the check finds the surplus.
            taken_over = current.livekit_dispatch_id is not None or current.attempts != settlement.dispatch.attempts
            return Settled(noted if current.livekit_dispatch_id is None else None, check_room=taken_over)
        case DispatchStatus.PENDING:
            reason = recorded("LiveKit has it after all")
            return Settled(Move(current, current.status, Cause.LATE_ANSWER, reason, fields={"must_look": True}))
        case DispatchStatus.SENDING:
            return Settled(check_room=True)
        case _:  # the caller left, or an operator cancelled, while the call was under way
            withdrawal = withdrawal_of(current)
            return Settled(noted, None if withdrawal is None else replace(withdrawal, livekit_dispatch_id=written))


def _as_move(current: Dispatch, step: Step, written: str | None, now: datetime) -> Move:
    fields: dict[str, Any] = {
        "counted_attempts": current.counted_attempts + (1 if step.counted else 0),
        "must_look": step.must_look,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": step.next_attempt_at,
    }
    if step.status is DispatchStatus.DISPATCHED:
        fields |= {"livekit_dispatch_id": written, **awaited_from(current, now)}
    elif step.status is DispatchStatus.FAILED:
        fields |= ended(now)
    return Move(current, step.status, step.cause, step.reason, fields=fields)
