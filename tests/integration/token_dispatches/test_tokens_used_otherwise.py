"""Access tokens that are used again, asked for twice, or two for one room: one agent each time, never none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.flows.token_dispatches import Promise, decide
from app.plan.expected import Expected
from app.simulator import Behaviour, DispatchOrder
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

RECOVER = "lost"


def rule(database: Database, **columns: object) -> None:
    """Insert a rule that takes every caller, before the service starts and reads it."""
    row = {"name": "all", "agent_name": "greeter", "pattern": '{"event": ["participant_joined"]}', **columns}
    database.execute(
        f"INSERT INTO routing_rules ({', '.join(row)}) VALUES ({', '.join(f':{key}' for key in row)})", **row
    )


def order(promise: Promise) -> DispatchOrder:
    return DispatchOrder(promise.agent_name, promise.metadata, dict(promise.attributes))


async def token(world: World, identity: str) -> Sequence[DispatchOrder]:
    """Return the dispatches of an access token for `identity`, as its token server was promised them."""
    orchestrator = world.usher.orchestrator
    expected = Expected("default", "desk", "", identity, "", "STANDARD", "", {})
    decided = await decide(orchestrator.context, orchestrator.book, expected, orchestrator.lookups.answered)
    (promise,) = decided.promises
    return [order(promise)]


async def settled(world: World) -> list[str]:
    """Return the agents that are in the room once nothing changes any more."""
    await world.until_status("joined")
    await world.wait(30)
    return world.agents("desk")


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_token_used_again_after_its_room_had_closed(sqlite_database: Database, scope: str) -> None:
    rule(sqlite_database, scope=scope)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        carried = await token(world, "carla")
        # Given a call with the token's agent, which is over
        world.simulator.join("desk", "carla", dispatches=carried)
        first = await world.until_status("joined")
        world.simulator.finish_room("desk")
        await world.until_status("ended")
        # When the same token opens the room again, so that LiveKit launches its dispatch again
        world.simulator.join("desk", "carla", dispatches=carried)
        # Then that agent is hers, and no other is asked for
        assert len(await settled(world)) == 1, world.describe()
        row = world.dispatch(status="joined")
        assert row["id"] != first["id"]
        assert row["attempts"] == 0
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_a_token_used_again_after_its_agent_never_came(sqlite_database: Database) -> None:
    rule(sqlite_database, answer_timeout_s=2, max_attempts=1)
    async with World(sqlite_database) as world:
        carried = await token(world, "carla")
        world.simulator.join("desk", "carla", dispatches=carried)
        await world.until_status("no_show", within=20)
        world.simulator.finish_room("desk")
        world.simulator.add_worker("greeter")
        await world.wait(1)
        world.simulator.join("desk", "carla", dispatches=carried)
        assert len(await settled(world)) == 1, world.describe()
        assert world.dispatch(status="joined")["attempts"] == 0


@pytest.mark.parametrize("used", [0, 1])
@in_virtual_time
async def test_a_token_server_that_asks_twice(sqlite_database: Database, used: int) -> None:
    rule(sqlite_database)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        answers = [await token(world, "carla"), await token(world, "carla")]
        world.simulator.join("desk", "carla", dispatches=answers[used])
        assert len(await settled(world)) == 1, world.describe()
        assert world.dispatch()["attempts"] == 0
        assert world.simulator.ledger.dispatches == []


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_two_people_with_tokens_open_a_room_at_once(sqlite_database: Database, scope: str) -> None:
    rule(sqlite_database, scope=scope)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        anas, bobs = await token(world, "ana"), await token(world, "bob")
        world.simulator.join("desk", "bob", dispatches=bobs)
        world.simulator.join("desk", "ana", dispatches=anas)
        agents = await settled(world)
        assert len(agents) == (1 if scope == "room" else 2), world.describe()


@in_virtual_time
async def test_a_promise_of_a_token_that_did_not_open_the_room_is_not_awaited(sqlite_database: Database) -> None:
    rule(sqlite_database)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        anas, bobs = await token(world, "ana"), await token(world, "bob")
        # Given that LiveKit launched the dispatch of bob's token, and that ana's webhook comes first
        world.simulator.join("desk", "bob", dispatches=bobs, connects=False)
        world.simulator.join("desk", "ana", dispatches=anas)
        assert len(await settled(world)) == 1, world.describe()
        row = world.dispatch()
        assert row["participant_identity"] == "ana"
        assert row["attempts"] == 0


@in_virtual_time
async def test_a_used_dispatch_of_a_token_is_not_awaited(sqlite_database: Database) -> None:
    rule(sqlite_database, recover=RECOVER)
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter", Behaviour())
        carried = await token(world, "carla")
        world.simulator.join("desk", "carla", dispatches=carried)
        first = await world.until_status("joined")
        await world.wait(6)
        # When the token's agent is killed, while its dispatch stays listed with its job
        world.simulator.kill_worker(first["worker_id"] or next(iter(world.simulator.workers.by_id)))
        world.simulator.add_worker("greeter")
        began = world.loop.time()
        await world.until(lambda: len(world.dispatches(status="joined", replaces=first["id"])) == 1, within=40)
        # Then the replacement is asked for at once, though a mark that was promised is on the list
        assert world.loop.time() - began < 22
        await world.wait(30)
        assert len(world.agents("desk")) == 1
