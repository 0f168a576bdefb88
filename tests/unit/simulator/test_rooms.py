"""Rooms open, fill, empty and close as LiveKit's do."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from tests.unit.simulator.world import World


async def test_a_join_opens_the_room_and_is_reported_once_active(world: World) -> None:
    ana = world.simulator.join("lobby", "ana", metadata="m", attributes={"a": "b"}, name="Ana")
    assert ana.presence.name == "JOINING"
    await world.settle()
    assert world.receiver.summaries() == ["room_started"]
    await world.wait(0.08)
    assert ana.presence.name == "ACTIVE"
    assert world.receiver.summaries() == ["room_started", "participant_joined ana"]
    said = world.receiver.received[-1].webhook["participant"]
    assert (said["sid"], said["metadata"], said["attributes"], said["name"]) == (ana.sid, "m", {"a": "b"}, "Ana")
    assert ana.sid.startswith("PA_")
    assert len(ana.sid) == 15


async def test_a_room_closes_twenty_seconds_after_the_last_caller_and_takes_the_agent_with_it(world: World) -> None:
    world.simulator.join("lobby", "ana")
    world.simulator.join("lobby", "robot", kind=ParticipantKind.AGENT)
    await world.wait(1)
    world.simulator.leave("lobby", "ana")
    await world.wait(19)
    assert world.simulator.agents("lobby")
    await world.wait(1.5)
    assert world.simulator.room("lobby") is None
    assert world.receiver.summaries()[-3:] == ["participant_left ana", "participant_left robot", "room_finished"]
    reasons = [each.webhook["participant"]["disconnectReason"] for each in world.receiver.received[-3:-1]]
    assert reasons == ["CLIENT_INITIATED", "ROOM_CLOSED"]


async def test_a_participant_that_comes_back_in_time_keeps_the_room(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    world.simulator.leave("lobby", "ana")
    await world.wait(15)
    world.simulator.join("lobby", "ana")
    await world.wait(30)
    room = world.simulator.room("lobby")
    assert room is not None
    assert list(room.participants) == ["ana"]
    assert "room_finished" not in world.receiver.summaries()


async def test_a_ghost_room_lives_five_minutes(world: World) -> None:
    world.dispatch("ghost")
    await world.wait(299)
    assert world.simulator.room("ghost") is not None
    await world.wait(2)
    assert world.simulator.room("ghost") is None
    assert [entry.room for entry in world.simulator.ledger.ghosts] == ["ghost"]


async def test_a_room_of_a_name_used_before_is_another_room(world: World) -> None:
    first = world.simulator.join("lobby", "ana")
    first_room = world.simulator.rooms.by_name["lobby"]
    world.simulator.finish_room("lobby")
    second = world.simulator.join("lobby", "ana")
    assert first.sid != second.sid
    assert world.simulator.rooms.by_name["lobby"].sid != first_room.sid
    await world.wait(1)
    assert world.receiver.summaries() == [
        "room_started",
        "participant_connection_aborted ana",
        "room_finished",
        "room_started",
        "participant_joined ana",
    ]


async def test_deleting_a_room_posts_a_webhook_for_each_participant(world: World) -> None:
    for identity in ("ana", "bob"):
        world.simulator.join("lobby", identity)
    await world.wait(1)
    world.simulator.finish_room("lobby")
    await world.settle()
    assert world.receiver.summaries()[-3:] == ["participant_left ana", "participant_left bob", "room_finished"]
    left = world.receiver.received[-3].webhook["participant"]
    assert (left["state"], left["disconnectReason"]) == ("DISCONNECTED", "ROOM_DELETED")


async def test_the_same_identity_replaces_the_one_before(world: World) -> None:
    first = world.simulator.join("lobby", "ana")
    await world.wait(1)
    second = world.simulator.join("lobby", "ana")
    await world.wait(1)
    received = [(each.event, each.webhook["participant"]["sid"]) for each in world.receiver.received[1:]]
    assert received == [
        ("participant_joined", first.sid),
        ("participant_left", first.sid),
        ("participant_joined", second.sid),
    ]
    assert world.receiver.received[2].webhook["participant"]["disconnectReason"] == "DUPLICATE_IDENTITY"
    assert world.simulator.participant("lobby", "ana") is second


async def test_the_left_of_the_one_replaced_can_come_after_the_new_join(world: World) -> None:
    first = world.simulator.join("lobby", "ana")
    await world.wait(1)
    second = world.simulator.join("lobby", "ana", late_left=2)
    await world.wait(3)
    received = [(each.event, each.webhook["participant"]["sid"]) for each in world.receiver.received[2:]]
    assert received == [("participant_joined", second.sid), ("participant_left", first.sid)]


async def test_a_participant_that_never_connects_is_aborted_not_joined(world: World) -> None:
    world.simulator.join("lobby", "ana", connects=False)
    await world.wait(16)
    assert world.receiver.summaries() == ["room_started", "participant_connection_aborted ana"]
    assert world.simulator.ledger.callers == []


async def test_a_change_of_metadata_shows_first_in_participant_left(world: World) -> None:
    world.simulator.join("lobby", "ana", metadata="before", attributes={"keep": "1", "drop": "1"})
    await world.wait(1)
    before = len(world.receiver.received)
    world.simulator.update("lobby", "ana", metadata="after", attributes={"new": "1", "drop": ""})
    await world.wait(1)
    assert len(world.receiver.received) == before
    world.simulator.leave("lobby", "ana")
    await world.settle()
    said = world.receiver.received[-1].webhook["participant"]
    assert (said["metadata"], said["attributes"]) == ("after", {"keep": "1", "new": "1"})


async def test_a_track_webhook_has_names_only(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    track = world.simulator.publish_track("lobby", "ana")
    await world.settle()
    webhook = world.receiver.received[-1].webhook
    assert webhook["event"] == "track_published"
    assert webhook["track"]["sid"] == track.sid
    assert set(webhook["participant"]) == {"sid", "identity"}


async def test_leaving_a_room_without_being_in_it_is_an_error(world: World) -> None:
    world.simulator.join("lobby", "ana")
    with pytest.raises(KeyError):
        world.simulator.leave("lobby", "bob")
    with pytest.raises(KeyError):
        world.simulator.leave("attic", "ana")


async def test_the_ledger_knows_when_callers_were_there(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(2)
    world.simulator.leave("lobby", "ana", DisconnectReason.CONNECTION_TIMEOUT)
    [entry] = world.simulator.ledger.callers
    assert entry.joined == pytest.approx(0.08)
    assert (entry.left, entry.reason) == (2, "CONNECTION_TIMEOUT")
