"""Time by hand: everything due happens, in order, at its own instant."""

from __future__ import annotations

import asyncio

from app.simulator import LoopSchedule, ManualSchedule


def test_what_is_due_happens_in_order_at_its_instant() -> None:
    schedule = ManualSchedule()
    happened: list[tuple[str, float]] = []

    def note(name: str) -> None:
        happened.append((name, schedule.monotonic()))

    schedule.call_later(3, lambda: note("third"))
    schedule.call_later(1, lambda: note("first"))
    schedule.call_later(1, lambda: note("second"))
    schedule.call_later(9, lambda: note("later"))
    start = schedule.now()
    schedule.advance(5)
    assert happened == [("first", 1), ("second", 1), ("third", 3)]
    assert schedule.monotonic() == 5
    assert (schedule.now() - start).total_seconds() == 5


def test_what_an_action_starts_may_be_due_in_the_same_advance() -> None:
    schedule = ManualSchedule()
    happened: list[float] = []

    def again() -> None:
        happened.append(schedule.monotonic())
        schedule.call_later(1, again)

    schedule.call_later(1, again)
    schedule.advance(3)
    assert happened == [1, 2, 3]


def test_a_cancelled_timer_does_nothing() -> None:
    schedule = ManualSchedule()
    happened: list[str] = []
    schedule.call_later(1, lambda: happened.append("no")).cancel()
    schedule.call_later(1, lambda: happened.append("yes"))
    schedule.advance(1)
    assert happened == ["yes"]


def test_steps_that_add_up_with_a_rounding_error_reach_what_is_due() -> None:
    schedule = ManualSchedule()
    happened: list[str] = []
    schedule.call_later(0.3, lambda: happened.append("yes"))
    for _ in range(3):
        schedule.advance(0.1)
    assert happened == ["yes"]


async def test_a_sleeper_wakes_when_its_time_has_come() -> None:
    schedule = ManualSchedule()
    sleeper = asyncio.ensure_future(schedule.sleep(2))
    await asyncio.sleep(0)
    schedule.advance(1.9)
    await asyncio.sleep(0)
    assert not sleeper.done()
    schedule.advance(0.1)
    await sleeper


async def test_the_loop_keeps_real_time() -> None:
    schedule = LoopSchedule()
    begun = schedule.monotonic()
    happened = asyncio.Event()
    schedule.call_later(0.01, happened.set)
    await happened.wait()
    await schedule.sleep(0)
    assert schedule.monotonic() - begun >= 0.009
    assert schedule.now().tzinfo is not None
