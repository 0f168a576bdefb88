"""Webhooks about tracks name a participant by SID and identity only; its stored join says the rest."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from app.simulator.webhooks import sign
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

FIRST_TRACK = {"event": ["track_published"]}


async def post(world: World, content: dict[str, Any]) -> int:
    body = json.dumps(content).encode()
    headers = {"Authorization": sign(body, SIMULATOR_KEY, SIMULATOR_SECRET, world.simulator.schedule)}
    answer = await world.usher.post(body, headers)
    return answer.status


@in_virtual_time
async def test_the_track_of_an_agent_never_dispatches_another(database: Database) -> None:
    async with World(database) as world:
        world.rule("first track", "listener", FIRST_TRACK, scope="participant")
        world.simulator.add_worker("listener")
        world.simulator.join("room", "ana")
        await world.wait(1)
        world.simulator.publish_track("room", "ana")
        for _ in range(4):
            await world.wait(2)
            for agent in world.agents("room"):
                world.simulator.publish_track("room", agent)
        await world.wait(2)
        assert len(world.agents("room")) == 1
        assert world.dispatch()["participant_identity"] == "ana"


@in_virtual_time
async def test_kind_metadata_and_attributes_of_a_track_event_are_those_of_the_join(database: Database) -> None:
    async with World(database) as world:
        pattern = {
            "event": ["track_published"],
            "participant": {
                "kind": ["SIP"],
                "metadata": {"department": ["support"]},
                "attributes": {"tier": ["gold"]},
                "phone": {"called": ["+15557654321"]},
            },
        }
        world.rule("listens", "listener", pattern, metadata={"tier": "${participant.attributes.tier}"})
        world.simulator.add_worker("listener")
        support, gold = '{"department": "support"}', {"tier": "gold"}
        phones = world.simulator.phones
        phones.call_in("room", "+34600111222", "+15557654321", metadata=support, attributes=gold)
        world.simulator.join("other", "web", metadata=support, attributes=gold)
        await world.wait(1)
        world.simulator.publish_track("other", "web")
        await world.until_status("joined")
        dispatch = world.dispatch()
        assert (dispatch["room_name"], json.loads(dispatch["metadata"])) == ("room", {"tier": "gold"})
        event = world.events(type="track_published")[0]
        assert (event["participant_kind"], event["participant_role"]) == ("SIP", "caller")
        assert event["phone_number"] == "+34600111222"


@in_virtual_time
async def test_the_join_may_come_in_the_same_batch_or_never(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule("first track", "listener", FIRST_TRACK, scope="participant")
        room = {"sid": "RM_1", "name": "room"}
        names = {"sid": "PA_1", "identity": "ana"}
        joined = {
            "event": "participant_joined",
            "id": "EV_1",
            "room": room,
            "participant": {**names, "state": "ACTIVE"},
        }
        track = {"event": "track_published", "id": "EV_2", "room": room, "participant": names, "track": {"sid": "TR_1"}}
        unknown = {**track, "id": "EV_3", "participant": {"sid": "PA_2", "identity": "agent-AJ_1"}}
        statuses = await asyncio.gather(post(world, joined), post(world, track), post(world, unknown))
        assert set(statuses) == {200}
        assert [one["participant_identity"] for one in world.events(type="track_published")] == ["ana"]
        assert [one["participant_identity"] for one in world.dispatches()] == ["ana"]
