"""When LiveKit is checked for an agent that is awaited, and when its time is over."""

from __future__ import annotations

from app.flows.elapsed_time import MIN_REMAINDER_S
from app.lifecycle.arrival import FIRST_CHECK_S, time_allowed
from app.observe.compare import JOB_LIST_LAG_S
from app.outbox.dispatch import Dispatch


def planned_wait(dispatch: Dispatch) -> float:
    """Return after how many seconds the check that is due now was meant to be made."""
    if dispatch.dispatched_at is None or dispatch.answer_deadline is None:
        return 0.0
    return (dispatch.answer_deadline - dispatch.dispatched_at).total_seconds()


def next_check(dispatch: Dispatch, waited: float) -> float:
    """Return how long after the call LiveKit is checked again, at the earliest."""
    if has_run_out(dispatch, waited):
        return JOB_LIST_LAG_S
    timeout = float(dispatch.wait_s)
    if dispatch.dispatched_at is not None and not dispatch.is_fallback:
        remaining = time_allowed(dispatch) - (dispatch.dispatched_at - dispatch.created_at).total_seconds()
        timeout = min(timeout, remaining) if remaining > waited else timeout
    return timeout if waited >= FIRST_CHECK_S - MIN_REMAINDER_S else min(FIRST_CHECK_S, timeout)


def has_run_out(dispatch: Dispatch, waited: float) -> bool:
    """Return whether the time of this attempt is over."""
    return dispatch.wait_s - waited < MIN_REMAINDER_S
