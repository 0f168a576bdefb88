"""How many of an agent at once, how fast, how many calls: limits that an operator sets, and the callers that wait."""

from __future__ import annotations

import pytest

from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def limit(world: World, agent_name: str, **columns: int) -> None:
    names = ", ".join(columns)
    places = ", ".join(f":{name}" for name in columns)
    world.database.execute(
        f"INSERT INTO agents (agent_name, {names}) VALUES (:agent_name, {places})",
        agent_name=agent_name,
        **columns,
    )


@pytest.mark.parametrize("replicas", [1, 2])
@in_virtual_time
async def test_no_more_of_an_agent_than_its_cap(postgres_database: Database, replicas: int) -> None:
    async with World(postgres_database, replicas=replicas) as world:
        limit(world, "greeter", max_calls=2)
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(6):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        for left in (4, 2):
            await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=5)
            await world.wait(3)
            waiting = world.dispatches(status="pending")
            assert len(waiting) == left
            assert {row["reason"] for row in waiting} == {"no free place: greeter has 2 of 2 calls"}
            for row in world.dispatches(status="joined"):
                world.simulator.finish_room(row["room_name"])
        await world.until(lambda: len(world.simulator.ledger.dispatches) == 6, within=5)


@in_virtual_time
async def test_callers_of_other_agents_pass_those_that_wait(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        limit(world, "scarce", max_calls=0)
        world.rule("scarce", "scarce", {"room": {"name": [{"prefix": "scarce"}]}}, priority=1)
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(40):
            world.simulator.join(f"scarce-{number}", "ana")
        await world.wait(2)
        world.simulator.join("room", "bob")
        await world.until_status("joined", room_name="room", within=2)
        assert len(world.dispatches(status="pending")) == 40


@in_virtual_time
async def test_a_start_rate_is_kept(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        limit(world, "greeter", starts_per_second=2)
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(12):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(world.simulator.ledger.dispatches) == 12, within=10)
        asked = [entry.asked for entry in world.simulator.ledger.dispatches]
        assert asked[-1] - asked[0] > 4
        for moment in asked:
            assert sum(1 for other in asked if moment <= other < moment + 1) <= 4  # a burst, then the rate


@in_virtual_time
async def test_a_lifted_limit_holds_at_once(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        limit(world, "greeter", max_calls=0)
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.wait(3)
        assert world.dispatch()["status"] == "pending"
        world.database.execute("DELETE FROM agents")
        await world.until_status("joined", within=1.5)


@in_virtual_time
async def test_a_caller_who_leaves_the_queue_is_cancelled(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        limit(world, "greeter", max_calls=0)
        world.rule()
        world.simulator.join("room", "ana")
        await world.wait(3)
        world.simulator.leave("room", "ana")
        await world.until_status("cancelled", within=2)
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_calls_per_second_are_kept_for_all_agents(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLS_PER_SECOND": "5"}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(30):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(world.simulator.ledger.dispatches) == 30, within=10)
        asked = [entry.asked for entry in world.simulator.ledger.dispatches]
        assert asked[-1] - asked[0] >= 4.5
        await world.until(lambda: len(world.dispatches(status="joined")) == 30, within=3)


@in_virtual_time
async def test_no_more_calls_in_flight_than_allowed_and_no_dispatch_forgotten(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLS_IN_FLIGHT": "4"}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        under_way, most = 0, 0
        call = world.wire.call

        async def counted(*given: object) -> object:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await call(*given)  # type: ignore[arg-type] # as it is called
            finally:
                under_way -= 1

        world.wire.call = counted  # type: ignore[method-assign,assignment] # counts what passes
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.SLOW, seconds=0.5))
        for number in range(20):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 20, within=10)
        assert most <= 4
        assert world.judge().clean


@in_virtual_time
async def test_a_project_that_hangs_does_not_hold_up_the_others(sqlite_database: Database) -> None:
    """Slots are per project: seen in how many calls each may still start."""
    async with World(sqlite_database, settings={"USHER_CALLS_IN_FLIGHT": "1"}) as world:
        deliverer = world.usher.orchestrator.deliverer
        free = deliverer.free_slots("default")
        world.rule()
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.HANG_BEFORE, seconds=4))
        for number in range(free + 3):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: deliverer.free_slots("default") == 0, within=2)
        assert deliverer.free_slots("another") == free
