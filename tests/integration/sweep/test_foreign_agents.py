"""Agents that Usher did not send cost the first sweeps that see them some calls, and later ones none."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import ParticipantKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

LISTS = {"ListRooms", "ListParticipants"}


@pytest.mark.parametrize("name", ["greeter", "transcriber", ""])
@in_virtual_time
async def test_an_agent_of_another_application_is_checked_no_more(sqlite_database: Database, name: str) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        # Given somebody else's agents and an avatar beside ours, for longer than the job list may be late
        ours = world.simulator.agents("room")[0]
        attributes = {"lk.agent_name": name} if name else {}
        world.simulator.join("room", "somebody-elses", kind=ParticipantKind.AGENT, attributes=attributes)
        world.simulator.join("other", "in-a-room-of-its-own", kind=ParticipantKind.AGENT, attributes=attributes)
        world.simulator.join("other", "eva")
        world.simulator.join_avatar("room", ours)
        await world.wait(20)
        # Then a sweep makes one call for each room
        calls: list[str] = []
        world.simulator.on_call(calls.append)
        await world.wait(20)
        assert set(calls) == LISTS
        assert len(world.agents("room")) == 3


@in_virtual_time
async def test_an_agent_that_comes_later_is_checked_again(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.join("room", "first", kind=ParticipantKind.AGENT, attributes={"lk.agent_name": "other"})
        await world.wait(20)
        calls: list[str] = []
        world.simulator.on_call(calls.append)
        world.simulator.join("room", "second", kind=ParticipantKind.AGENT, attributes={"lk.agent_name": "other"})
        await world.wait(12)
        assert "ListDispatch" in calls
