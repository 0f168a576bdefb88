"""What follows the outcome of a call to LiveKit, and the retry schedule: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from app.db.types import Cause, DispatchStatus
from app.livekit.outcome import Accepted, Outcome, Rejected, Unknown, Unreachable
from app.outbox.dispatch import Dispatch
from app.translation import recorded

REFUSED = recorded("LiveKit refused")
UNREACHABLE = recorded("LiveKit could not be reached")
"""Begin of a reason that goes on, after a colon, with what LiveKit or the connection said."""
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
"""Longest delay between calls to a LiveKit that is down, or that refuses."""
LONGEST_TROUBLE_S = 2.0
"""Longest delay between calls to a LiveKit that answers other calls: single calls fail, and a caller waits."""
ANSWERED_S = 1.0
"""An error that LiveKit answered sooner than this is checked after this delay; a later one after the request timeout.

LiveKit's nodes wait 3 s for each other, and one that did not answer in time may still do what it was asked for.
"""
TROUBLE_LIMIT = 12
"""Calls without a clear answer that are made beyond `max_attempts`; then the dispatch is `failed`.

They are no fault of the agent: with 30 % of calls failing, three in all would lose one caller in forty. The sweep tries
again what failed so, as long as the caller is there.
"""
LIVEKIT_TROUBLE = frozenset({Cause.LIVEKIT_UNREACHABLE, Cause.OUTCOME_UNKNOWN})
"""Causes of dispatches that failed through no fault of their own: the sweep tries them again."""


@dataclass(frozen=True, slots=True)
class Step:
    """The state of a dispatch after a call. `next_attempt_at` is set when another call follows."""

    status: DispatchStatus
    cause: Cause
    reason: str
    next_attempt_at: datetime | None = None
    must_look: bool = False
    counted: bool = False


def delay_before(attempt: int, jitter: float, longest_s: float = LONGEST_DELAY_S) -> float:
    """Return the seconds to wait before call number `attempt` + 1: doubling, capped, spread by ±20 %."""
    plain = min(longest_s, FIRST_DELAY_S * 2.0 ** max(0, attempt - 1))
    return float(plain * (0.8 + 0.4 * jitter))


def delay_of_check(waited: float, jitter: float, *, is_down: bool) -> float:
    """Return the seconds until LiveKit is asked again after it did not answer: the longer, the longer we `waited`.

    One that is down for an hour gets a request every 8 s for each caller, not two a second.
    """
    plain = min(longest_delay(is_down=is_down), max(FIRST_DELAY_S, waited / 2))
    return float(plain * (0.8 + 0.4 * jitter))


def longest_delay(*, is_down: bool) -> float:
    """Return the longest delay before another call, in seconds."""
    return LONGEST_DELAY_S if is_down else LONGEST_TROUBLE_S


def certain_from(started_at: datetime, now: datetime, timeout_s: float, *, is_answered: bool) -> datetime:
    """Return from when on LiveKit shows whether a call with an unknown outcome took effect; see `ANSWERED_S`.

    `started_at`: when the call began. `is_answered`: LiveKit itself reported the failure, and that is known at `now`.
    """
    is_over = is_answered and now - started_at < timedelta(seconds=ANSWERED_S)
    return started_at + timedelta(seconds=min(ANSWERED_S, timeout_s) if is_over else timeout_s)


def next_step(
    dispatch: Dispatch,
    outcome: Outcome,
    *,
    started_at: datetime,
    now: datetime,
    timeout_s: float,
    jitter: float,
    is_down: bool,
) -> Step:
    """Return what follows `outcome` of call number `dispatch.attempts`, which began at `started_at`.

    `is_down`: all of the latest calls to LiveKit have failed, for any dispatch.

    After an unknown outcome LiveKit is checked before anything is sent again, and not before the request has timed out,
    unless LiveKit was quick to answer that it failed.
    """
    later = now + timedelta(seconds=delay_before(dispatch.attempts, jitter))
    soon = now + timedelta(seconds=delay_before(dispatch.attempts, jitter, longest_delay(is_down=is_down)))
    match outcome:
        case Accepted(adopted=True) if dispatch.attempts == 0:
            return Step(
                DispatchStatus.DISPATCHED, Cause.ADOPTED, recorded("LiveKit took the dispatch of the access token")
            )
        case Accepted(adopted=True):
            return Step(DispatchStatus.DISPATCHED, Cause.ADOPTED, recorded("LiveKit had taken the dispatch after all"))
        case Accepted():
            return Step(DispatchStatus.DISPATCHED, Cause.ACCEPTED, recorded("LiveKit accepted the dispatch"))
        case Rejected(code, text, permanent):
            reason = f"{REFUSED}: {code}: {text}"
            if permanent or dispatch.counted_attempts + 1 >= dispatch.attempts_allowed:
                return Step(DispatchStatus.FAILED, Cause.REFUSED, reason, counted=True)
            return Step(DispatchStatus.PENDING, Cause.REFUSED, reason, later, counted=True)
        case Unreachable(code, text):
            reason = f"{UNREACHABLE}: {code}: {text}"
            if _given_up(dispatch):
                return Step(DispatchStatus.FAILED, Cause.LIVEKIT_UNREACHABLE, reason)
            return Step(DispatchStatus.PENDING, Cause.LIVEKIT_UNREACHABLE, reason, soon)
        case Unknown(code, text, is_answered):
            reason = f"{UNREACHABLE}: {recorded('outcome unknown')}: {code}: {text}"
            if _given_up(dispatch):
                return Step(DispatchStatus.FAILED, Cause.OUTCOME_UNKNOWN, reason)
            checked_at = max(soon, certain_from(started_at, now, timeout_s, is_answered=is_answered))
            return Step(DispatchStatus.PENDING, Cause.OUTCOME_UNKNOWN, reason, checked_at, must_look=True)
        case _:
            assert_never(outcome)


def _given_up(dispatch: Dispatch) -> bool:
    # Tried again by the sweep, it gets as many calls more.
    trouble = dispatch.attempts - dispatch.counted_attempts
    return trouble >= TROUBLE_LIMIT and trouble % TROUBLE_LIMIT == 0
