from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from app.clock import SystemClock
from app.errors import DatabaseUnavailableError
from app.flows.context import Defects
from app.flows.loop import Loop
from app.metrics import Metrics
from tests.world.virtual_time import in_virtual_time


class Rounds:
    """Counts its calls; `found` is what each finds."""

    def __init__(self) -> None:
        self.number = 0
        self.found = 0
        self.fails = False
        self.trouble = ""

    async def run_once(self) -> Mapping[str, int]:
        self.number += 1
        if self.fails:
            raise ValueError("a defect")
        if self.trouble:
            raise DatabaseUnavailableError(self.trouble)
        return {"found": self.found}

    async def within(self, seconds: float) -> int:
        """Return how many rounds there are in so many seconds from now."""
        before = self.number
        await asyncio.sleep(seconds)
        return self.number - before


def started(rounds: Rounds, *, idle_s: float | None = None) -> Loop:
    loop = Loop("test", rounds.run_once, 1.0, Defects(Metrics(), SystemClock()), idle_s=idle_s)
    loop.start()
    return loop


@in_virtual_time
async def test_a_loop_makes_its_rounds() -> None:
    loop = started(rounds := Rounds())
    assert await rounds.within(10.5) == 11
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_finds_nothing_waits_longer() -> None:
    loop = started(rounds := Rounds(), idle_s=60)
    assert await rounds.within(59) == 1
    rounds.found = 1
    assert await rounds.within(11.5) == 11
    rounds.found = 0
    assert await rounds.within(59) == 1
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_fails_tries_again_soon() -> None:
    rounds = Rounds()
    rounds.fails = True
    loop = started(rounds, idle_s=60)
    assert await rounds.within(10.5) == 11
    await loop.stop()


@in_virtual_time
async def test_a_loop_can_be_woken() -> None:
    loop = started(rounds := Rounds(), idle_s=60)
    await asyncio.sleep(0.5)
    loop.wake()
    assert await rounds.within(0.01) == 1
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_is_to_be_woken_at_a_time_is_woken_then() -> None:
    loop = started(rounds := Rounds(), idle_s=60)
    await asyncio.sleep(10)
    loop.wake_in(40)
    loop.wake_in(5)
    assert await rounds.within(4.9) == 0
    assert await rounds.within(0.2) == 1
    assert await rounds.within(40) == 0
    await loop.stop()


@in_virtual_time
async def test_no_timer_makes_a_loop_faster_than_its_interval() -> None:
    loop = started(rounds := Rounds(), idle_s=60)
    await asyncio.sleep(0.1)
    for _ in range(20):
        loop.wake_in(0.0)
        loop.wake_soon()
        await asyncio.sleep(0.1)
    assert rounds.number <= 3
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_is_to_be_woken_soon_is_woken_after_its_interval() -> None:
    loop = started(rounds := Rounds(), idle_s=60)
    await asyncio.sleep(0.1)
    loop.wake_soon()
    assert await rounds.within(0.8) == 0
    assert await rounds.within(0.2) == 1
    await asyncio.sleep(10)
    loop.wake_soon()
    assert await rounds.within(0.01) == 1
    await loop.stop()


@in_virtual_time
async def test_trouble_that_stays_is_logged_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("app.flows.loop._log.warning", lambda _, error: said.append(error))
    loop = started(rounds := Rounds())
    rounds.trouble = "no room"
    await rounds.within(25.5)
    assert said == ["no room"] * 3
    rounds.trouble = "no lock"
    await rounds.within(5)
    rounds.trouble = ""
    await rounds.within(2)
    rounds.trouble = "no lock"
    await rounds.within(2)
    assert said[3:] == ["no lock"] * 2
    await loop.stop()
