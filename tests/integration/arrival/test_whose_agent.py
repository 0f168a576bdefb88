"""Which agent is whose: by the job list once it has filled, and what is not ours is left alone."""

from __future__ import annotations

import pytest

from app.simulator import Behaviour, DispatchOrder, Timing
from tests.conftest import Database
from tests.simulator import Unit
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

ALWAYS_LATE = Timing(name_cache=0.0)
"""A LiveKit whose job lists are always 5 s late, not only after a worker has registered."""


def brought_by(world: World, livekit_dispatch_id: str) -> list[str]:
    """Return who really came by a dispatch."""
    entry = world.simulator.ledger.dispatch(livekit_dispatch_id)
    assert entry is not None
    return [stay.identity for stay in entry.agents]


@pytest.mark.parametrize("timing", [Timing(), ALWAYS_LATE], ids=["lists at once", "lists late"])
@in_virtual_time
async def test_each_caller_of_a_room_has_an_agent_of_their_own(database: Database, timing: Timing) -> None:
    async with World(database, timing=timing) as world:
        world.simulator.add_worker("greeter")
        world.rule(scope="participant")
        for identity in ("ana", "bob", "eva"):
            world.simulator.join("room", identity)
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=20)
        await world.wait(10)
        for row in world.dispatches():
            assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]], world.describe()
            assert row["worker_id"] is not None
            entry = world.simulator.ledger.dispatch(row["livekit_dispatch_id"])
            assert entry is not None
            assert row["participant_identity"] in entry.metadata
        assert world.judge(unit=Unit.PARTICIPANT).clean


@in_virtual_time
async def test_with_too_few_workers_each_agent_is_credited_to_its_own_caller(sqlite_database: Database) -> None:
    async with World(sqlite_database, timing=ALWAYS_LATE) as world:
        world.simulator.add_worker("greeter", Behaviour(capacity=2))
        world.rule(scope="participant", answer_timeout_s=3, max_attempts=50)
        for identity in ("ana", "bob", "eva"):
            world.simulator.join("room", identity)
        await world.wait(25)
        joined = world.dispatches(status="joined")
        assert len(joined) == 2, world.describe()
        for row in joined:
            assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]]
        world.simulator.add_worker("greeter")
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=20)
        await world.wait(15)
        assert world.judge(unit=Unit.PARTICIPANT).clean, world.describe()


@in_virtual_time
async def test_another_clients_dispatch_of_the_same_agent_is_left_alone(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        foreign = world.simulator.dispatches.create("room", DispatchOrder("greeter", "theirs"), asked=0.0)
        await world.until(lambda: world.agents("room"))
        world.rule()
        world.simulator.join("room", "bob")
        await world.until_status("joined")
        await world.wait(20)
        row = world.dispatch()
        assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]], world.describe()
        assert len(world.agents("room")) == 2
        assert not foreign.deleted


@in_virtual_time
async def test_an_agent_of_another_clients_dispatch_is_not_taken_for_ours(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5, timing=Timing(activation=0.0)) as world:
        world.simulator.add_worker("greeter", Behaviour(capacity=1))
        world.rule(answer_timeout_s=3, max_attempts=10)
        world.simulator.join("room", "ana")
        foreign = world.simulator.dispatches.create("room", DispatchOrder("greeter", "theirs"), asked=0.0)
        await world.until_status("joined")
        theirs = world.agents("room")
        await world.until(lambda: "dispatched" in world.story(world.dispatch()["id"])[3:], within=20)
        world.simulator.add_worker("greeter")
        await world.until(lambda: len(world.agents("room")) == 2, within=20)
        await world.wait(15)
        row = world.dispatch()
        assert row["status"] == "joined"
        assert row["agent_identity"] not in theirs
        assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]], world.describe()
        assert not foreign.deleted


@in_virtual_time
async def test_an_agent_under_an_identity_of_its_own_is_known(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter", Behaviour(identity="receptionist-{job}"))
        world.rule(scope="participant")
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=20)
        await world.wait(10)
        for row in world.dispatches():
            assert row["agent_identity"].startswith("receptionist-")
            assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]]


@in_virtual_time
async def test_automatic_agents_are_none_of_ours(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.simulator.add_worker("")  # LiveKit sends it to every room by itself
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(30)
        assert len(world.agents("room")) == 2
        row = world.dispatch()
        assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]]


@in_virtual_time
async def test_an_older_livekit_that_drops_attributes_is_served_as_well(sqlite_database: Database) -> None:
    async with World(sqlite_database, keeps_attributes=False, timing=ALWAYS_LATE) as world:
        world.simulator.add_worker("greeter")
        world.rule(scope="participant")
        for identity in ("ana", "bob"):
            world.simulator.join("room", identity)
        await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=20)
        await world.wait(10)
        for row in world.dispatches():
            assert brought_by(world, row["livekit_dispatch_id"]) == [row["agent_identity"]], world.describe()


@in_virtual_time
async def test_an_agent_that_reconnects_stays_the_same_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule(recover="lost")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        for late_left in (0.0, 0.5):
            old = world.dispatch()["agent_sid"]
            agent = world.simulator.participant("room", row["agent_identity"])
            world.simulator.join(
                "room", agent.identity, kind=agent.kind, attributes=agent.attributes, late_left=late_left
            )
            await world.until(lambda: world.dispatch()["agent_sid"] != old, within=15)  # noqa: B023 - awaited here
            await world.wait(5)
            assert world.dispatch()["status"] == "joined"
            assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("recover", ["never", "lost", "always"])
@in_virtual_time
async def test_agents_of_one_identity_put_each_other_out_once(sqlite_database: Database, recover: str) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.simulator.add_worker("greeter", Behaviour(identity="bot"))
        world.rule(scope="participant", recover=recover)
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(8)
        world.simulator.join("room", "bob")
        second = await world.until_status("joined", within=20, participant_identity="bob")
        first = world.dispatch(id=first["id"])
        assert (first["status"], first["reason"]) == ("ended", "the agent left (DUPLICATE_IDENTITY)")
        await world.wait(60)
        assert len(world.simulator.ledger.dispatches) == 2
        assert [one["id"] for one in world.dispatches(status="joined")] == [second["id"]]
