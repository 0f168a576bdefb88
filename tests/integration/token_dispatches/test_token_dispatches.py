"""Promises to a token server: never a second agent, never none."""

from __future__ import annotations

import json

from app.flows.token_dispatches import Promise, decide
from app.plan.expected import Expected
from app.simulator import DispatchOrder
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

METADATA = '{"department": "support"}'
RULE = (
    "INSERT INTO routing_rules (name, pattern, agent_name) VALUES "
    """('support', '{"participant": {"metadata": {"department": ["support"]}}}', 'ana')"""
)
EXPECTED = Expected("default", "desk", "", "carla", "", "STANDARD", METADATA, {})


def order(promise: Promise) -> DispatchOrder:
    return DispatchOrder(promise.agent_name, promise.metadata, dict(promise.attributes))


async def promised(world: World) -> Promise:
    """Return what a token server that asks for `EXPECTED` is promised."""
    orchestrator = world.usher.orchestrator
    decided = await decide(orchestrator.context, orchestrator.book, EXPECTED, orchestrator.lookups.answered)
    (promise,) = decided.promises
    return promise


@in_virtual_time
async def test_a_dispatch_that_the_token_carried_is_adopted(database: Database) -> None:
    # Given a rule, its agent, and a token server that asked before it made the token
    database.execute(RULE)
    async with World(database) as world:
        world.simulator.add_worker("ana")
        promise = await promised(world)
        assert json.loads(promise.metadata)["participant"]["identity"] == "carla"
        # When the participant's join creates the room, so that LiveKit takes the token's dispatch
        world.simulator.join("desk", "carla", metadata=METADATA, dispatches=[order(promise)])
        # Then Usher watches over that dispatch and asks for no other
        row = await world.until_status("joined")
        assert row["id"] == promise.id
        assert row["attempts"] == 0
        # And keeps it as attempt 0, made by the token
        (attempt,) = database.execute("SELECT number, agent_name, outcome, livekit_dispatch_id FROM dispatch_attempts")
        room = world.simulator.room("desk")
        assert room is not None
        (carried,) = room.dispatches
        assert dict(attempt) == {
            "number": 0,
            "agent_name": row["agent_name"],
            "outcome": "adopted",
            "livekit_dispatch_id": carried,
        }
        await world.wait(30)
        assert len(world.agents("desk")) == 1
        assert len(world.dispatches()) == 1


@in_virtual_time
async def test_a_dispatch_that_livekit_ignored_is_made_now(database: Database) -> None:
    # Given a room that exists already
    database.execute(RULE)
    async with World(database) as world:
        world.simulator.add_worker("ana")
        world.simulator.join("desk", "somebody")
        promise = await promised(world)
        # When the participant joins it with the dispatch in the token, which LiveKit then ignores (#4390)
        world.simulator.join("desk", "carla", metadata=METADATA, dispatches=[order(promise)])
        # Then Usher dispatches the promised agent
        row = await world.until_status("joined")
        assert row["id"] == promise.id
        assert row["attempts"] == 1
        await world.wait(30)
        assert len(world.agents("desk")) == 1
        assert len(world.dispatches()) == 1
