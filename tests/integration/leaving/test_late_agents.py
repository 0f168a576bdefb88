"""Agents that join after their room was deleted: they open it again, under another SID, and are taken out."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import ParticipantKind
from app.simulator import Behaviour
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


async def delete_while_its_agent_starts(world: World) -> None:
    world.rule()
    world.simulator.add_worker("greeter", Behaviour(join_after=5))
    world.simulator.join("room", "ana")
    await world.until_status("dispatched")
    await world.wait(1)
    world.simulator.finish_room("room")
    await world.until_status("cancelled")


def join_late(world: World, agent_name: str = "greeter") -> str:
    """Let an agent join as one does that was starting while its room was deleted; return its identity."""
    attributes = {"lk.agent_name": agent_name}
    return world.simulator.join("room", "agent-AJ_late", kind=ParticipantKind.AGENT, attributes=attributes).identity


@in_virtual_time
async def test_an_agent_that_opens_its_deleted_room_again_is_taken_out(database: Database) -> None:
    async with World(database, sweep=600) as world:
        await delete_while_its_agent_starts(world)
        late = join_late(world)
        await world.until(lambda: late not in world.agents("room"), within=3, what="the late agent is taken out")


@pytest.mark.parametrize("comes_first", [True, False])
@in_virtual_time
async def test_who_calls_in_the_deleted_room_again_has_one_agent(database: Database, *, comes_first: bool) -> None:
    async with World(database, sweep=20) as world:
        await delete_while_its_agent_starts(world)
        late = join_late(world) if comes_first else ""
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=20)
        late = late or join_late(world)
        await world.until(lambda: late not in world.agents("room"), within=40, what="the late agent is taken out")
        await world.wait(5)
        row = world.dispatch(id=row["id"])
        assert (row["status"], world.agents("room")) == ("joined", [row["agent_identity"]])


@in_virtual_time
async def test_an_agent_of_another_name_stays_in_a_room_that_was_deleted(database: Database) -> None:
    async with World(database, sweep=5) as world:
        await delete_while_its_agent_starts(world)
        other = join_late(world, "of another application")
        await world.wait(15)
        assert world.agents("room") == [other]
