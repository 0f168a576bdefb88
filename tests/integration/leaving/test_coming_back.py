"""A caller who comes back: soon after a reload of the page, or to an agent that has ended its session."""

from __future__ import annotations

import pytest

from app.simulator import Behaviour, Fault, FaultKind, Timing
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@pytest.mark.parametrize("withdraw", [True, False])
@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_reload_keeps_the_agent(database: Database, scope: str, withdraw: bool) -> None:
    async with World(database, timing=Timing(activation=0.02), sweep=5) as world:
        world.rule(scope=scope, withdraw=withdraw)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(30)
        world.simulator.leave("room", "ana")
        await world.wait(0.8)
        world.simulator.join("room", "ana")
        await world.wait(10)
        assert world.agents("room") == [first["agent_identity"]]
        assert len(world.simulator.ledger.dispatches) == 1
        (event,) = world.events(type="participant_joined", participant_identity="ana", outcome="served")
        assert event


@pytest.mark.parametrize("withdraw", [True, False])
@pytest.mark.parametrize("scope", ["room", "participant"])
@pytest.mark.parametrize("gap", [1.2, 3.0, 10.0])
@in_virtual_time
async def test_a_caller_who_comes_back_later_gets_another_agent(
    sqlite_database: Database, scope: str, gap: float, withdraw: bool
) -> None:
    """The first is still in the room, and would stay mute: its session ended with its caller."""
    async with World(sqlite_database, timing=Timing(activation=0.02), sweep=5) as world:
        world.rule(scope=scope, withdraw=withdraw)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(30)
        world.simulator.leave("room", "ana")
        await world.wait(gap)
        if gap >= 3:
            assert (world.agents("room") == []) is withdraw
        world.simulator.join("room", "ana")
        second = await world.until(
            lambda: [one for one in world.dispatches(status="joined") if one["id"] != first["id"]], within=1.5
        )
        await world.wait(1.5)
        assert world.agents("room") == [second[0]["agent_identity"]] != [first["agent_identity"]]
        await world.wait(10)
        assert world.agents("room") == [second[0]["agent_identity"]]
        assert world.dispatch(id=first["id"])["status"] == "ended"
        assert len(world.simulator.ledger.dispatches) == 2


@in_virtual_time
async def test_an_agent_left_alone_is_removed_even_if_usher_is_killed_then(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2) as world:
        world.rule(withdraw=False)
        world.simulator.add_worker("greeter", Behaviour(stays_after_delete=True))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        world.simulator.leave("room", "ana")
        await world.wait(5)
        world.simulator.join("room", "ana")
        await world.until_status("ended", id=first["id"])
        await world.usher.kill()
        await world.add_replica()
        await world.until(lambda: first["agent_identity"] not in world.agents("room"), within=15)
        await world.wait(10)
        (row,) = world.dispatches(status="joined")
        assert world.agents("room") == [row["agent_identity"]]


@pytest.mark.parametrize("scope", ["room", "participant"])
@pytest.mark.parametrize("gap", [0.3, 0.8])
@in_virtual_time
async def test_a_reload_while_the_agent_is_on_its_way_greets_once(
    sqlite_database: Database, scope: str, gap: float
) -> None:
    async with World(sqlite_database, timing=Timing(activation=0.02), sweep=5) as world:
        world.rule(scope=scope)
        world.simulator.add_worker("greeter", Behaviour(join_after=4.0))
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.leave("room", "ana")
        await world.wait(gap)
        world.simulator.join("room", "ana")
        await world.wait(15)
        assert len(world.simulator.ledger.dispatches) == 1
        row = world.dispatch()
        assert (row["status"], [row["agent_identity"]]) == ("joined", world.agents("room"))


@in_virtual_time
async def test_an_agent_that_joins_after_its_caller_left_does_not_stay(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(withdraw=False)
        world.simulator.add_worker("greeter", Behaviour(join_after=1.0))
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        await world.wait(0.5)
        world.simulator.leave("room", "ana")
        await world.until_status("joined", within=1)
        await world.until(lambda: not world.agents("room"), within=5)
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_a_late_withdrawal_spares_the_next_agent_of_the_same_identity(sqlite_database: Database) -> None:
    """LiveKit answers no question while the first agent is to be taken out; the second joins in that time."""
    async with World(sqlite_database, timing=Timing(activation=0.02)) as world:
        world.rule(withdraw=False)
        world.simulator.add_worker("greeter", Behaviour(identity="receptionist-{room}"))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(30)
        world.simulator.leave("room", "ana")
        await world.wait(5)
        world.simulator.faults.always("ListRooms", Fault(FaultKind.REFUSE, code="unavailable"))
        world.simulator.join("room", "ana")
        second = await world.until(
            lambda: [one for one in world.dispatches(status="joined") if one["id"] != first["id"]], within=3
        )
        world.simulator.faults.always("ListRooms", None)
        await world.wait(20)
        room = world.simulator.room("room")
        assert room is not None
        assert second[0]["agent_identity"] == first["agent_identity"]
        assert room.participants["receptionist-room"].sid == second[0]["agent_sid"] != first["agent_sid"]
        (row,) = world.dispatches(status="joined")
        assert row["id"] == second[0]["id"]
        listed = [one.id for one in room.dispatches.values() if one.agent_name and not one.deleted]
        assert listed == [row["livekit_dispatch_id"]]
