"""A killed LiveKit forgets everything; callers and their agents meet again in new rooms of the same names."""

from __future__ import annotations

import pytest

from app.simulator import Timing
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@pytest.mark.parametrize("sweep", [0.0, 2.0])
@pytest.mark.parametrize("down", [0.0, 4.0])
@in_virtual_time
async def test_an_agent_that_comes_back_by_itself_is_kept(sqlite_database: Database, down: float, sweep: float) -> None:
    async with World(sqlite_database, sweep=sweep) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.simulator.restart(down_for=down)
        row = await world.until(
            lambda: [one for one in world.dispatches(status="joined") if one["room_sid"] != first["room_sid"]],
            within=15,
        )
        await world.wait(10)
        assert row[0]["agent_identity"] == first["agent_identity"]
        assert world.agents("room") == [first["agent_identity"]]
        assert len(world.simulator.ledger.dispatches) == 1
        assert world.dispatch(id=first["id"])["status"] == "ended"


@in_virtual_time
async def test_an_agent_that_does_not_come_back_is_asked_for_again(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.simulator.restart(agents_rejoin=False)
        await world.until(lambda: world.agents("room"), within=10)
        await world.wait(5)
        rows = world.dispatches(status="joined")
        assert [row["room_sid"] for row in rows] != [first["room_sid"]]
        assert len(rows) == 1
        assert len(world.agents("room")) == 1


@in_virtual_time
async def test_each_caller_gets_their_own_agent_back(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(scope="participant")
        world.simulator.add_worker("greeter")
        for identity in ("ana", "bob", "eva"):
            world.simulator.join("room", identity)
        await world.until(lambda: len(world.dispatches(status="joined")) == 3)
        await world.wait(8)
        before = {row["participant_identity"]: row["agent_identity"] for row in world.dispatches()}
        old = world.simulator.rooms.by_name["room"].sid
        await world.simulator.restart()
        await world.until(
            lambda: len([row for row in world.dispatches(status="joined") if row["room_sid"] != old]) == 3, within=15
        )
        await world.wait(8)
        after = {
            row["participant_identity"]: row["agent_identity"]
            for row in world.dispatches(status="joined")
            if row["room_sid"] != old
        }
        assert after == before, world.describe()
        assert len(world.agents("room")) == 3


@in_virtual_time
async def test_an_agent_that_reconnects_too_late_does_not_stay_with_its_replacement(sqlite_database: Database) -> None:
    async with World(sqlite_database, timing=Timing(rejoin=0.5)) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        agent = world.simulator.agents("room")[0]
        await world.simulator.restart(agents_rejoin=False)
        await world.until(lambda: world.agents("room"), within=10)
        await world.wait(2)
        world.simulator.join("room", agent.identity, kind=agent.kind, attributes=agent.attributes)
        await world.until(lambda: len(world.agents("room")) == 2)
        await world.until(lambda: len(world.agents("room")) == 1, within=10)
        (row,) = world.dispatches(status="joined")
        assert world.agents("room") == [row["agent_identity"]]
        assert row["agent_identity"] != agent.identity


@in_virtual_time
async def test_callers_who_were_waiting_are_served_after_the_restart(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule(answer_timeout_s=3, max_attempts=20)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        await world.simulator.restart(down_for=2)
        world.simulator.add_worker("greeter")
        await world.until_status("joined", within=15)
        await world.wait(5)
        assert len(world.agents("room")) == 1
        assert world.judge().clean
