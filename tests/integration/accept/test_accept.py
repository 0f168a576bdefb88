"""One event, one decision, one dispatch: what is accepted, what is not, and what is never sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.lifecycle.doubt import UNLISTED_S
from app.lifecycle.presence import RELOAD_S
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, Fault, FaultKind
from app.simulator.webhooks import sign
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def headers(world: World, body: bytes) -> dict[str, str]:
    return {"Authorization": sign(body, SIMULATOR_KEY, SIMULATOR_SECRET, world.simulator.schedule)}


async def post(world: World, content: Any) -> int:
    """Post a webhook of our own making, rightly signed; return the status."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = await world.usher.post(body, headers(world, body))
    return answer.status


def webhook(event: str, sid: str = "PA_1", room: str = "RM_1", **more: Any) -> dict[str, Any]:
    participant = {"sid": sid, "identity": f"caller-{sid}", "state": "ACTIVE"}
    return {
        "event": event,
        "id": f"EV_{event}_{sid}",
        "room": {"sid": room, "name": f"name-{room}"},
        "participant": participant,
        **more,
    }


@in_virtual_time
async def test_a_burst_in_one_batch_is_decided_one_by_one(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        contents = [webhook("participant_joined", f"PA_{number % 7}", f"RM_{number % 7}") for number in range(50)]
        statuses = await asyncio.gather(*(post(world, content) for content in contents))
        assert statuses == [200] * 50
        assert len(world.events(type="participant_joined")) == 7
        assert len(world.dispatches()) == 7


@pytest.mark.parametrize("end", ["participant_left", "participant_connection_aborted", "room_finished"])
@pytest.mark.parametrize("first", [0, 1])
@in_virtual_time
async def test_nothing_is_sent_for_a_caller_who_leaves_in_the_same_batch(
    sqlite_database: Database, end: str, first: int
) -> None:
    """No empty room is opened, in whichever order the two webhooks arrive."""
    async with World(sqlite_database) as world:
        world.rule()
        pair = [webhook("participant_joined"), webhook(end)]
        if first:
            pair.reverse()
        assert await asyncio.gather(*(post(world, content) for content in pair)) == [200, 200]
        await world.wait(3)
        assert world.simulator.ledger.counts["CreateDispatch"] == 0
        assert world.simulator.ledger.dispatches == []
        assert {row["status"] for row in world.dispatches()} <= {"cancelled"}


@pytest.mark.parametrize(
    "content",
    [
        webhook("room_finished", participant=None),
        {"event": "egress_ended", "id": "EV_1", "egressInfo": {"roomName": "lobby"}},
        {"event": "participant_joined", "id": "EV_2", "participant": {"sid": "PA_1", "identity": "ana"}},
        {"event": "participant_joined", "id": "EV_3", "room": {"name": "x"}, "participant": {"sid": "PA_1"}},
    ],
)
@in_virtual_time
async def test_a_rule_for_what_has_no_room_opens_none(sqlite_database: Database, content: dict[str, Any]) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern={"event": [content["event"]]})
        content = {key: value for key, value in content.items() if value is not None}
        assert await post(world, content) == 200
        await world.wait(2)
        (event,) = world.events()
        assert event["outcome"] == "ignored"
        assert "reason" in event["decision"]
        assert world.dispatches() == []
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_a_rule_for_rooms_sends_one_agent_that_serves_the_room(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="recorder", pattern={"event": ["room_started"]})
        world.simulator.add_worker("recorder", registers_after=3)
        world.database.execute("UPDATE routing_rules SET answer_timeout_s = 2")
        world.simulator.join("room", "ana")
        await world.until(world.dispatches)
        world.simulator.join("room", "bob")
        world.simulator.leave("room", "ana")
        row = await world.until_status("joined", within=15)
        assert (row["participant_identity"], row["participant_sid"]) == ("", "")
        world.simulator.leave("room", "bob")
        await world.until_status("ended", within=25)
        assert len({entry.room_sid for entry in world.simulator.ledger.dispatches}) == 1
        assert not world.judge().ghosts


@in_virtual_time
async def test_a_rule_for_tracks_serves_the_publisher_while_they_are_in_the_room(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="transcriber", pattern={"event": ["track_published"]}, answer_timeout_s=20)
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob")
        await world.wait(0.5)
        world.simulator.publish_track("room", "ana")
        await world.until_status("dispatched")
        world.simulator.leave("room", "ana")
        row = await world.until_status("cancelled", within=RELOAD_S + 1)
        assert row["reason"].startswith("the caller gave up")


ODD_METADATA = {
    "nul": "\0",
    "inner nul": "a\0b",
    "escaped nul": '{"a": "\\u0000"}',
    "surrogate": '{"a": "\\ud800"}',
    "surrogate key": '{"\\ud800": 1}',
    "infinite": '{"n": 1e999}',
    "nan": '{"n": NaN}',
    "deep": '{"a":' * 500 + "1" + "}" * 500,
    "noncharacter": "\ufffe",
    "long number": "9" * 5000,
}


@pytest.mark.parametrize("metadata", ODD_METADATA.values(), ids=ODD_METADATA.keys())
@in_virtual_time
async def test_a_caller_is_served_whatever_their_metadata(database: Database, metadata: str) -> None:
    async with World(database, sweep=5) as world:
        world.rule(attributes={"said": {"$json": {"$eval": "participant.metadata"}}})
        world.rule("attributes", "second", on_match="continue", priority=1)
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("second")
        world.simulator.join("room", "ana", metadata=metadata, attributes={"k": metadata[:100]})
        await world.until(lambda: len(world.agents("room")) == 2, within=5)
        await world.wait(12)
        assert world.events(type="participant_updated") == [], "the sweep finds nothing new"
        for entry in world.simulator.ledger.dispatches:
            if entry.agent_name == "second":
                json.loads(entry.metadata)


@in_virtual_time
async def test_a_template_that_fails_is_kept_with_its_reason(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_METADATA_MAX_BYTES": "200"}) as world:
        world.rule("broken", "a", metadata={"x": {"$eval": "participant.metadata.missing"}}, on_match="continue")
        world.rule("large", "b", metadata={"x": "y" * 500}, priority=200)
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches()) == 2)
        reasons = {row["rule_name"]: (row["status"], row["reason"]) for row in world.dispatches()}
        assert reasons["broken"][0] == reasons["large"][0] == "failed"
        assert "200" in reasons["large"][1]
        assert world.simulator.ledger.dispatches == []
        (event,) = world.events(type="participant_joined")
        assert event["outcome"] == "planned"


@in_virtual_time
async def test_a_dispatch_that_waited_long_for_the_database_is_checked_before_it_is_sent(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for room in ("room", "other"):
            world.simulator.rooms.open(room)
        await world.until(lambda: len(world.events(type="room_started")) == 2)
        world.usher.executor.delay_s = 4
        world.simulator.join("room", "ana")
        world.simulator.join("other", "bob")
        await world.wait(0.5)
        world.usher.executor.delay_s = 0
        world.simulator.finish_room("other")
        await world.until(lambda: world.agents("room"), within=6)
        assert world.simulator.ledger.counts["ListParticipants"] >= 1
        assert not world.judge().ghosts


@in_virtual_time
async def test_a_late_retry_is_checked_before_it_is_sent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        held = world.route
        world.route = lambda _: ()
        world.simulator.join("room", "ana")
        await world.wait(8)
        world.simulator.rooms.forget(world.simulator.rooms.by_name["room"])
        world.route = held
        await world.until(lambda: world.events(type="participant_joined"), within=20)
        await world.until_status("cancelled", within=UNLISTED_S + 10)
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_a_check_that_began_before_a_caller_joined_does_not_cancel_their_dispatch(
    sqlite_database: Database,
) -> None:
    """The answer of a slow LiveKit shows the room as it was when it was asked."""
    async with World(sqlite_database) as world:
        world.rule(scope="participant", answer_timeout_s=2, max_attempts=9)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.faults.always("ListDispatch", Fault(FaultKind.HANG_AFTER, seconds=1.5))
        world.simulator.faults.always("ListParticipants", Fault(FaultKind.HANG_AFTER, seconds=1.5))
        await world.wait(3)
        world.simulator.join("room", "bob")
        await world.wait(2)
        world.simulator.join("room", "eva")
        await world.wait(6)
        assert world.dispatches(status="cancelled") == [], world.describe()
        world.simulator.faults.clear()
        world.simulator.add_worker("greeter")
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=20)
        await world.wait(8)
        assert len(world.agents("room")) == 3


@in_virtual_time
async def test_a_check_that_began_before_the_room_was_opened_does_not_cancel_its_dispatches(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("ListRooms", Fault(FaultKind.HANG_AFTER, seconds=2))
        world.usher.orchestrator.check_rooms([("default", "room")])
        await world.wait(0.5)
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(5)
        assert [row["status"] for row in world.dispatches()] == ["joined"]
        assert world.judge().clean


@in_virtual_time
async def test_a_check_that_began_before_the_agent_joined_does_not_end_its_dispatch(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="lost")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.faults.script("ListParticipants", Fault(FaultKind.HANG_AFTER, seconds=2))
        world.usher.orchestrator.check_rooms([("default", "room")])
        await world.until_status("joined")
        await world.wait(6)
        assert [row["status"] for row in world.dispatches()] == ["joined"]
        assert len(world.simulator.ledger.dispatches) == 1
