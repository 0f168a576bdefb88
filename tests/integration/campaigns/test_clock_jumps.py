"""A campaign in virtual time: callers come while calls fail and the machine's clock jumps to and fro."""

from __future__ import annotations

import random

import pytest

from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLERS = 150
LONGEST_WAIT_S = 30.0
"""A call without an answer is waited out (5 s), and with a third of all failing one caller meets three failures."""
SMALL_STEP_S = 8
"""By as much more one waits for a call that is due by a clock that is set back so little; larger steps are noticed."""


@pytest.mark.parametrize("seed", range(1, 9))
@in_virtual_time
async def test_jumps_of_the_clock_lose_and_double_no_caller(sqlite_database: Database, seed: int) -> None:
    chance = random.Random(seed)
    jumps: list[tuple[float, int]] = []
    async with World(sqlite_database, sweep=5, settings={"USHER_CALLER_BUDGET": "0"}) as world:
        world.rule(answer_timeout_s=4)
        world.simulator.add_worker("greeter")
        world.simulator.faults.by_chance(0.3, hang_seconds=7.0, seed=seed)
        for number in range(CALLERS):
            world.simulator.join(f"room-{number}", "ana")
            await world.wait(chance.uniform(0, 0.3))
            if number % 10 == 9:
                step = chance.choice((-7200, -60, -8, -2, 2, 8, 60, 7200))
                jumps.append((world.loop.time(), step))
                world.clock.jumped += step
        await world.until(lambda: world.judge().served == CALLERS, within=90)
        await world.wait(20)
        verdict = world.judge(tolerance=1.0)
        print(verdict)
        assert not {row["status"] for row in world.dispatches()} & {"pending", "sending", "dispatched"}
        assert verdict.clean, world.describe()
        assert not verdict.alone
        assert not verdict.repeated
        for caller in world.simulator.ledger.callers:
            came = min(stay.joined for stay in world.simulator.ledger.agents_of(caller.room))
            steps = [by for at, by in jumps if caller.joined <= at <= came and -SMALL_STEP_S <= by < 0]
            assert came - caller.joined <= LONGEST_WAIT_S - sum(steps), caller.room
