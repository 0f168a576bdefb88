from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.clock import SystemClock
from app.flows.context import Defects
from app.flows.loop import REST_S, RESTS_AFTER_S, Loop
from app.metrics import Metrics
from tests.world.virtual_time import in_virtual_time


class Rounds:
    """Counts its calls; `found` is what each finds."""

    def __init__(self) -> None:
        self.number = 0
        self.found = 0

    async def run_once(self) -> Mapping[str, int]:
        self.number += 1
        return {"found": self.found}

    async def within(self, seconds: float) -> int:
        """Return how many rounds there are in so many seconds from now."""
        before = self.number
        await asyncio.sleep(seconds)
        return self.number - before


def started(rounds: Rounds, *, rests: bool) -> Loop:
    loop = Loop("test", rounds.run_once, 0.1, Defects(Metrics(), SystemClock()), rests=rests)
    loop.start()
    return loop


@in_virtual_time
async def test_a_loop_rests_when_nothing_happens_and_until_something_does() -> None:
    loop = started(rounds := Rounds(), rests=True)
    assert await rounds.within(10) > 90
    await asyncio.sleep(RESTS_AFTER_S - 9)
    assert await rounds.within(10) <= 10 / REST_S + 1
    loop.stir()
    assert await rounds.within(1) >= 10
    await asyncio.sleep(RESTS_AFTER_S + 1)
    loop.wake()
    assert await rounds.within(0.01) == 1
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_finds_something_does_not_rest() -> None:
    loop = started(rounds := Rounds(), rests=True)
    rounds.found = 1
    await asyncio.sleep(RESTS_AFTER_S + 10)
    assert await rounds.within(10) > 90
    await loop.stop()


@in_virtual_time
async def test_a_loop_that_must_not_rest_does_not() -> None:
    loop = started(rounds := Rounds(), rests=False)
    await asyncio.sleep(RESTS_AFTER_S + 10)
    assert await rounds.within(10) > 90
    await loop.stop()
