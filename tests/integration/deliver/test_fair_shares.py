"""One project's flood, or its dead LiveKit, does not delay another project's calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.writer import BATCH_LIMIT, QUEUE_LIMIT, Writer
from app.errors import DatabaseUnavailableError
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Simulator
from tests.world.executor import LoopExecutor
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time
from tests.world.world import World

LOUD, QUIET = "loud", "quiet"
CALLERS = 12


def hang(simulator: Simulator) -> None:
    """Let LiveKit answer no call any more within the time that Usher waits."""
    for method in ("CreateDispatch", "DeleteDispatch", "ListDispatch", "ListRooms", "ListParticipants"):
        simulator.faults.always(method, Fault(FaultKind.HANG_BEFORE, seconds=60))


async def seconds_to_agents(world: World, *, rooms: str = "hall") -> float:
    """Let callers of the quiet project join one after the other; return how long the last of them waited."""
    for number in range(CALLERS):
        world.simulators[QUIET].join(f"{rooms}-{number}", f"caller-{number}")
        await world.wait(0.2)
    began = world.loop.time() - 0.2
    await world.until(
        lambda: len(world.dispatches(project=QUIET, status="joined")) == CALLERS, within=20, what="all have agents"
    )
    return world.loop.time() - began


def seconds_between(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


@in_virtual_time
async def test_a_livekit_that_hangs_delays_no_agent_of_another_project(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5, projects=(LOUD, QUIET)) as world:
        world.rule(answer_timeout_s=4)
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        hang(world.simulators[LOUD])
        for number in range(200):
            world.simulators[LOUD].join(f"loud-{number}", f"loud-{number}")
        await world.wait(8)
        assert len(world.dispatches(project=LOUD)) == 200
        assert await seconds_to_agents(world) < 1.0


@in_virtual_time
async def test_the_sweep_of_a_livekit_that_hangs_delays_no_other_sweep(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5, projects=(LOUD, QUIET)) as world:
        world.rule()
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        hang(world.simulators[LOUD])
        world.simulators[QUIET].webhook_faults.outage = True
        await world.wait(7)
        world.simulators[QUIET].join("hall", "ana")
        await world.until(lambda: world.dispatches(project=QUIET, status="dispatched"), within=10)


@in_virtual_time
async def test_a_limit_of_calls_per_second_is_shared(sqlite_database: Database) -> None:
    settings = {"USHER_CALLS_PER_SECOND": "10"}
    async with World(sqlite_database, projects=(LOUD, QUIET), settings=settings) as world:
        world.rule()
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        for number in range(150):
            world.simulators[LOUD].join(f"loud-{number}", f"loud-{number}")
        await world.wait(1)
        # Five of ten calls a second: the quiet project needs no more, and does not wait for the 150.
        assert await seconds_to_agents(world) < 3.0


@in_virtual_time
async def test_calls_that_hang_take_no_calls_per_second_from_projects_that_work(sqlite_database: Database) -> None:
    dead = ("dead", "mute", "lost")
    settings = {"USHER_CALLS_PER_SECOND": "5"}
    async with World(sqlite_database, sweep=5, projects=(QUIET, *dead), settings=settings) as world:
        world.rule(answer_timeout_s=4)
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        for project in dead:
            hang(world.simulators[project])
        for number in range(90):  # 3 a second at the project that works, 1.5 at the others in all
            world.simulators[QUIET].join(f"hall-{number}", f"caller-{number}")
            if number % 2:
                project = dead[number // 2 % len(dead)]
                world.simulators[project].join(f"{project}-{number}", f"{project}-{number}")
            await world.wait(1 / 3)
        await world.wait(5)
        joined = world.dispatches(project=QUIET, status="joined")
        assert len(joined) == 90
        waits = [seconds_between(one["created_at"], one["joined_at"]) for one in joined]
        assert max(waits) < 2.0, waits


@in_virtual_time
async def test_the_limit_of_an_agent_holds_for_each_project_by_itself(sqlite_database: Database) -> None:
    async with World(sqlite_database, projects=(LOUD, QUIET)) as world:
        world.rule()
        world.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 2)")
        for simulator in world.simulators.values():
            simulator.add_worker("greeter")
        for number in range(5):
            world.simulators[LOUD].join(f"loud-{number}", f"loud-{number}")
        await world.wait(3)
        assert len(world.dispatches(project=LOUD, status="joined")) == 2
        world.simulators[QUIET].join("hall", "ana")
        await world.until_status("joined", within=3, project=QUIET)


class SlowWriter:
    """A writer whose transactions take 10 ms each of virtual time, and what they wrote in their order."""

    def __init__(self, database: Database) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        executor = LoopExecutor()
        executor.delay_s = 0.01
        self.loop = loop
        self.batches: list[list[str]] = []
        self.writer = Writer(database.writer_engine(), clock=LoopClock(loop), executor=executor)

    def handle(self, _connection: Connection, items: Sequence[Any]) -> list[None]:
        self.batches.append([str(one) for one in items])
        return [None] * len(items)

    async def write(self, item: str, share: str) -> float:
        began = self.loop.time()
        await self.writer.run_batched(self.handle, item, share=share)
        return self.loop.time() - began


@in_virtual_time
async def test_a_flood_of_one_project_delays_writes_of_another_by_a_transaction_or_two(
    sqlite_database: Database,
) -> None:
    slow = SlowWriter(sqlite_database)
    flood = [asyncio.ensure_future(slow.write(f"loud {number}", LOUD)) for number in range(2_000)]
    await asyncio.sleep(0.005)
    assert await slow.write("quiet", QUIET) < 0.05
    assert sum(done.done() for done in flood) <= 3 * BATCH_LIMIT
    await asyncio.gather(*flood)
    written = [item for batch in slow.batches for item in batch if item != "quiet"]
    assert written == [f"loud {number}" for number in range(2_000)], "each project's writes keep their order"
    await slow.writer.close()


@in_virtual_time
async def test_a_full_queue_of_one_project_refuses_nothing_of_another(sqlite_database: Database) -> None:
    slow = SlowWriter(sqlite_database)
    flood = [asyncio.ensure_future(slow.write(f"loud {number}", LOUD)) for number in range(QUEUE_LIMIT + 200)]
    await asyncio.sleep(0)
    await slow.write("quiet", QUIET)
    answers = await asyncio.gather(*flood, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, DatabaseUnavailableError)]
    assert 0 < len(refused) <= 200
    await slow.writer.close()
