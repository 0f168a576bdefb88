"""More callers at once than workers start agents for: LiveKit loses dispatches, and they are made again, spread."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.simulator import Behaviour
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLERS = 30


@pytest.mark.parametrize(
    ("workers", "busy", "served", "p95"),
    [
        # Seen: a worker with livekit-agents' default load limit took 17 of a burst of 30, and p95 was 31.5 s.
        (17, 3.0, 30, 10),
        (10, 3.0, 30, 15),
        # Asked again all at the same moment, these served 15, 3, 3 and 6 callers.
        (5, 2.0, 30, 22),
        (1, 0.5, 30, 30),
        (1, 1.0, 28, 45),
        (2, 3.0, 22, 45),
    ],
)
@in_virtual_time
async def test_a_burst_that_workers_do_not_take_whole(
    sqlite_database: Database, workers: int, busy: float, served: int, p95: float
) -> None:
    """`busy`: a worker takes one job, and for so many seconds no other."""
    async with World(sqlite_database) as world:
        world.rule()
        for _ in range(workers):
            world.simulator.add_worker("greeter", Behaviour(busy_after_assignment=busy))
        for number in range(CALLERS):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(60)
        rows = world.dispatches(status="joined")
        waits = sorted(
            (world.instant(row["joined_at"]) - world.instant(row["created_at"])).total_seconds() for row in rows
        )
        assert len(waits) >= served
        assert waits[int(len(waits) * 0.95) - 1] <= p95
        assert not world.judge().doubled


@in_virtual_time
async def test_dispatches_that_waited_longest_are_sent_first(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter", Behaviour(capacity=0))
        for number in range(8):
            world.simulator.join(f"room-{number}", "ana")
            await world.wait(0.1)
        await world.until(lambda: len(world.simulator.ledger.dispatches) == 16, within=12)
        first, again = world.simulator.ledger.dispatches[:8], world.simulator.ledger.dispatches[8:]
        assert [one.room for one in again] == [one.room for one in first]
        assert all(later.asked - earlier.asked > 0.2 for earlier, later in pairwise(again)), "all at the same moment"


@pytest.mark.parametrize("back_after", [10, 20, 35])
@in_virtual_time
async def test_a_worker_that_is_back_before_the_time_of_all_attempts_is_over_serves(
    database: Database, back_after: float
) -> None:
    """Three attempts of 15 s; LiveKit's lists show after 6 s that each is lost."""
    async with World(database) as world:
        world.rule(answer_timeout_s=15, max_attempts=3)
        world.simulator.join("room", "ana")
        await world.wait(back_after)
        world.simulator.add_worker("greeter")
        await world.until_status("joined", within=7)
        assert world.judge(tolerance=50).clean


@in_virtual_time
async def test_without_a_worker_it_ends_when_the_time_of_all_attempts_is_over(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=15, max_attempts=3)
        world.simulator.join("room", "ana")
        await world.wait(44.5)
        assert world.dispatch()["status"] == "dispatched"
        row = await world.until_status("no_show", within=1.5)
        assert row["counted_attempts"] == 3
        gaps = [one.asked for one in world.simulator.ledger.dispatches]
        assert all(6 <= later - earlier < 7 for earlier, later in pairwise(gaps))


@in_virtual_time
async def test_a_fallback_is_asked_as_soon_as_the_attempts_are_lost(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="absent", answer_timeout_s=15, max_attempts=3, fallbacks=["reception"])
        world.simulator.add_worker("reception")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=20)
        assert [one["agent_name"] for one in world.attempts(row["id"])] == ["absent"] * 3 + ["reception"]
