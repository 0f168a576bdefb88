from __future__ import annotations

from datetime import timedelta

import pytest

from app.db.types import Cause, DispatchStatus
from app.lifecycle.retry import LIVEKIT_TROUBLE, TROUBLE_LIMIT, Step, delay_before, delay_of_check, next_step
from app.livekit.outcome import Accepted, Outcome, Rejected, Unknown, Unreachable
from tests.world.rows import NOW, dispatch

TIMEOUT_S = 5.0

SCHEDULE = """
call  shortest  plain  longest
   1      0.40   0.50     0.60
   2      0.80   1.00     1.20
   3      1.60   2.00     2.40
   4      3.20   4.00     4.80
   5      6.40   8.00     9.60
   6      6.40   8.00     9.60
   7      6.40   8.00     9.60
"""

LOOKS = """
waited  single calls fail  it is down
     0               0.50        0.50
     1               0.50        0.50
     2               1.00        1.00
     5               2.00        2.50
    10               2.00        5.00
    16               2.00        8.00
    60               2.00        8.00
  3600               2.00        8.00
"""


def step(outcome: Outcome, *, attempts: int = 1, counted: int = 0, took: float = 0.1, is_down: bool = False) -> Step:
    began = NOW - timedelta(seconds=took)
    current = dispatch(status=DispatchStatus.SENDING, attempts=attempts, counted_attempts=counted, max_attempts=3)
    return next_step(current, outcome, started_at=began, now=NOW, timeout_s=TIMEOUT_S, jitter=0.5, is_down=is_down)


def test_the_schedule_of_calls() -> None:
    lines = ["call  shortest  plain  longest"]
    lines += [
        f"{call:4}  {delay_before(call, 0.0):8.2f}  {delay_before(call, 0.5):5.2f}  {delay_before(call, 1.0):7.2f}"
        for call in range(1, 8)
    ]
    print("\n".join(lines))
    assert lines == SCHEDULE.strip("\n").splitlines()


def test_the_schedule_of_checks_of_a_livekit_that_does_not_answer() -> None:
    lines = ["waited  single calls fail  it is down"]
    for waited in (0, 1, 2, 5, 10, 16, 60, 3600):
        single, down = (delay_of_check(waited, 0.5, is_down=is_down) for is_down in (False, True))
        lines.append(f"{waited:6}  {single:17.2f}  {down:10.2f}")
    print("\n".join(lines))
    assert lines == LOOKS.strip("\n").splitlines()


def test_accepted_is_written_down() -> None:
    written = step(Accepted("AD_1"))
    assert (written.status, written.cause) == (DispatchStatus.DISPATCHED, Cause.ACCEPTED)
    for attempts, text in ((1, "after all"), (0, "access token")):
        adopted = step(Accepted("AD_1", adopted=True), attempts=attempts)
        assert (adopted.status, adopted.cause) == (DispatchStatus.DISPATCHED, Cause.ADOPTED)
        assert text in adopted.reason


def test_refused_is_asked_again_and_counted_until_max_attempts() -> None:
    again = step(Rejected("resource_exhausted", "busy"))
    assert (again.status, again.counted, again.must_look) == (DispatchStatus.PENDING, True, False)
    assert again.next_attempt_at == NOW + timedelta(seconds=0.5)
    last = step(Rejected("resource_exhausted", "busy"), attempts=3, counted=2)
    assert (last.status, last.next_attempt_at) == (DispatchStatus.FAILED, None)
    assert last.cause is Cause.REFUSED
    assert last.cause not in LIVEKIT_TROUBLE
    assert "busy" in last.reason


def test_refused_for_good_is_not_asked_again() -> None:
    assert step(Rejected("invalid_argument", "no", permanent=True)).status is DispatchStatus.FAILED


def test_what_was_never_connected_is_simply_asked_again_and_not_counted() -> None:
    again = step(Unreachable("unreachable", "refused"))
    assert (again.status, again.counted, again.must_look) == (DispatchStatus.PENDING, False, False)


@pytest.mark.parametrize(("took", "wait"), [(0.1, TIMEOUT_S - 0.1), (4.9, 0.5), (TIMEOUT_S, 0.5)])
def test_an_unknown_outcome_is_checked_after_the_call_has_timed_out(took: float, wait: float) -> None:
    again = step(Unknown("timeout", "no answer"), took=took)
    assert (again.status, again.counted, again.must_look) == (DispatchStatus.PENDING, False, True)
    assert again.next_attempt_at == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize(("took", "wait"), [(0.1, 0.9), (0.7, 0.5), (3.0, TIMEOUT_S - 3.0)])
def test_an_error_that_livekit_answered_quickly_is_checked_soon(took: float, wait: float) -> None:
    again = step(Unknown("internal", "oops", is_answered=True), took=took)
    assert (again.status, again.must_look) == (DispatchStatus.PENDING, True)
    assert again.next_attempt_at == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize(("is_down", "wait"), [(False, 2.0), (True, 8.0)])
def test_a_livekit_that_answers_others_is_asked_again_soon(is_down: bool, wait: float) -> None:
    again = step(Unreachable("unreachable", "refused"), attempts=9, is_down=is_down)
    assert again.next_attempt_at == NOW + timedelta(seconds=wait)
    unclear = step(Unknown("connection", "reset"), attempts=9, took=TIMEOUT_S, is_down=is_down)
    assert unclear.next_attempt_at == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize("outcome", [Unknown("timeout", "x"), Unreachable("unreachable", "x")])
def test_trouble_is_not_the_agents_but_has_an_end(outcome: Outcome) -> None:
    for attempts in range(1, TROUBLE_LIMIT):
        assert step(outcome, attempts=attempts).status is DispatchStatus.PENDING
    over = step(outcome, attempts=TROUBLE_LIMIT)
    assert over.status is DispatchStatus.FAILED
    assert over.cause in LIVEKIT_TROUBLE, "by which the sweep finds it"
    assert not over.must_look


def test_taken_up_again_it_gets_as_many_calls_more() -> None:
    outcome = Unknown("timeout", "x")
    for attempts in range(TROUBLE_LIMIT + 1, 2 * TROUBLE_LIMIT):
        assert step(outcome, attempts=attempts).status is DispatchStatus.PENDING
    assert step(outcome, attempts=2 * TROUBLE_LIMIT).status is DispatchStatus.FAILED
