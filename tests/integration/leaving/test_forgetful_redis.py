"""LiveKit's Redis loses its data: calls go on, and LiveKit lists no room until something in it changes."""

from __future__ import annotations

import pytest

from app.lifecycle.doubt import UNLISTED_S
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

RECOVER = "lost"
IN_VAIN = UNLISTED_S + 5


async def forgotten_call(world: World) -> str:
    """Return the agent of a call that LiveKit does not list any more."""
    world.rule(recover=RECOVER)
    world.simulator.add_worker("greeter")
    world.simulator.join("room", "ana")
    await world.until_status("joined")
    await world.wait(8)
    world.simulator.lose_redis()
    return world.agents("room")[0]


@in_virtual_time
async def test_calls_go_on_however_often_the_list_is_read(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        agent = await forgotten_call(world)
        await world.wait(300)
        assert (world.dispatch()["status"], world.agents("room")) == ("joined", [agent])
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("after", [5.0, 60.0])
@in_virtual_time
async def test_a_friend_who_joins_is_served_by_the_agent_that_is_there(sqlite_database: Database, after: float) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        agent = await forgotten_call(world)
        await world.wait(after)
        world.simulator.join("room", "bob")
        await world.wait(40)
        assert world.agents("room") == [agent], world.describe()
        assert world.dispatch()["doubtful_until"] is None


@pytest.mark.parametrize("after", [5.0, 60.0])
@in_virtual_time
async def test_an_agent_that_crashes_is_replaced(sqlite_database: Database, after: float) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        agent = await forgotten_call(world)
        await world.wait(after)
        world.simulator.kill_worker(next(iter(world.simulator.workers.by_id)))
        world.simulator.add_worker("greeter")
        await world.until(lambda: [one for one in world.agents("room") if one != agent], within=40)
        await world.wait(40)
        assert len(world.agents("room")) == 1
        assert world.dispatch(status="joined")["recoveries"] == 1


@in_virtual_time
async def test_calls_whose_node_does_not_answer_either_end_and_are_revived(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        # Given that no node answers for the room, as while it finds its way back to Redis
        agent = await forgotten_call(world)
        world.simulator.faults.always("ListDispatch", Fault(FaultKind.REFUSE))
        lost = await world.until_status("ended", within=IN_VAIN)
        assert lost["cause"] == "room_lost"
        world.simulator.faults.clear()
        # When a webhook of that session comes
        world.simulator.join("room", "bob")
        # Then its dispatch lives on with the same agent
        await world.until_status("joined")
        await world.wait(40)
        assert world.agents("room") == [agent], world.describe()
        row = world.dispatch()
        assert (row["id"], row["ended_at"], row["doubtful_until"]) == (lost["id"], None, None)
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_the_leaving_of_the_agent_revives_its_call_and_recovers_it(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        agent = await forgotten_call(world)
        world.simulator.faults.always("ListDispatch", Fault(FaultKind.REFUSE))
        await world.until_status("ended", within=IN_VAIN)
        world.simulator.faults.clear()
        world.simulator.kill_worker(next(iter(world.simulator.workers.by_id)))
        world.simulator.add_worker("greeter")
        await world.until(lambda: [one for one in world.agents("room") if one != agent], within=40)
        await world.wait(40)
        assert len(world.agents("room")) == 1, world.describe()


@in_virtual_time
async def test_a_room_that_is_listed_again_revives_its_calls(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        await forgotten_call(world)
        world.simulator.faults.always("ListDispatch", Fault(FaultKind.REFUSE))
        await world.until_status("ended", within=IN_VAIN)
        world.simulator.faults.clear()
        # When only the list says so, since changes of metadata have no webhook
        world.simulator.rooms.by_name["room"].unlisted = False
        for each in world.simulator.rooms.by_name["room"].participants.values():
            each.unlisted = False
        await world.until_status("joined", within=5)
        await world.wait(30)
        assert world.dispatch()["doubtful_until"] is None


@pytest.mark.parametrize("sweep", [1.0, 5.0])
@in_virtual_time
async def test_calls_that_are_over_end(sqlite_database: Database, sweep: float) -> None:
    async with World(sqlite_database, sweep=sweep) as world:
        await forgotten_call(world)
        world.simulator.webhook_faults.outage = True
        world.simulator.finish_room("room")
        await world.until_status("ended", within=sweep + UNLISTED_S + 5)


@in_virtual_time
async def test_a_caller_who_hangs_up_ends_the_call(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        await forgotten_call(world)
        await world.wait(5)
        world.simulator.leave("room", "ana")
        await world.until_status("ended", within=25)
        assert world.simulator.room("room") is None


@in_virtual_time
async def test_callers_who_wait_are_not_given_up(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        world.rule(answer_timeout_s=6, max_attempts=20)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.lose_redis()
        await world.wait(4)
        world.simulator.add_worker("greeter")
        # The list shows the room again as soon as somebody does something in it
        await world.wait(20)
        world.simulator.join("room", "bob")
        await world.until(lambda: world.agents("room"), within=30)
        await world.wait(30)
        assert len(world.agents("room")) == 1, world.describe()
        assert len(world.dispatches()) == 1


@in_virtual_time
async def test_a_replica_that_starts_meanwhile_forgets_nothing(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        agent = await forgotten_call(world)
        await world.wait(5)
        await world.usher.kill()
        await world.add_replica()
        await world.wait(60)
        world.simulator.join("room", "bob")
        await world.wait(30)
        assert world.agents("room") == [agent]
