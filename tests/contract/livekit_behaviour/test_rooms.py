"""Rooms and participants, as RoomService tells of them."""

from __future__ import annotations

import pytest
from livekit import api

from tests.contract.livekit import Calls


async def test_rooms_are_listed_by_name(calls: Calls) -> None:
    seats = [await calls.livekit.join("ana", room) for room in ("list-a", "list-b", "list-c")]
    answer = await calls.client.room.list_rooms(api.ListRoomsRequest(names=["list-a", "list-c", "list-x"]))
    assert {room.name: room.sid for room in answer.rooms} == {
        connection.room: connection.room_sid for connection in seats if connection.room != "list-b"
    }
    assert {"list-a", "list-b", "list-c"} <= await calls.room_names()


async def test_the_participants_of_a_room_are_listed_in_full(calls: Calls) -> None:
    connection = await calls.livekit.join("ana", "full", metadata='{"language": "es"}', attributes={"tier": "gold"})
    [ana] = await calls.participants("full")
    assert (ana.sid, ana.identity, ana.metadata, dict(ana.attributes)) == (
        connection.sid,
        "ana",
        '{"language": "es"}',
        {"tier": "gold"},
    )
    assert ana.joined_at > 1_700_000_000
    assert ana.joined_at_ms // 1000 == ana.joined_at
    assert ana.state == 2
    one = await calls.client.room.get_participant(api.RoomParticipantIdentity(room="full", identity="ana"))
    assert one.sid == ana.sid


async def test_an_unknown_room_has_no_participants(calls: Calls) -> None:
    assert await calls.participants("nowhere") == []


@pytest.mark.parametrize("room", ["nowhere", "somewhere"])
async def test_removing_an_absent_participant_is_an_error(calls: Calls, room: str) -> None:
    await calls.livekit.join("ana", "somewhere")
    who = api.RoomParticipantIdentity(room=room, identity="bob")
    for call in (calls.client.room.remove_participant(who), calls.client.room.get_participant(who)):
        with pytest.raises(api.ServerError) as refused:
            await call
        assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_an_unknown_room_cannot_be_deleted(calls: Calls) -> None:
    with pytest.raises(api.ServerError) as refused:
        await calls.client.room.delete_room(api.DeleteRoomRequest(room="nowhere"))
    assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_a_room_can_be_opened_before_anyone_joins(calls: Calls) -> None:
    made = await calls.client.room.create_room(api.CreateRoomRequest(name="made", metadata="m", empty_timeout=77))
    again = await calls.client.room.create_room(api.CreateRoomRequest(name="made"))
    assert made.sid == again.sid
    assert (made.name, made.metadata, made.empty_timeout) == ("made", "m", 77)
    connection = await calls.livekit.join("ana", "made")
    assert connection.room_sid == made.sid
    await calls.webhooks("room_started", "made")


async def test_changed_metadata_has_no_webhook_and_shows_first_in_participant_left(calls: Calls) -> None:
    connection = await calls.livekit.join("ana", "changed", metadata="before", attributes={"keep": "1"})
    await calls.webhooks("participant_joined", "changed", "ana")
    await calls.client.room.update_participant(
        api.UpdateParticipantRequest(room="changed", identity="ana", metadata="after", attributes={"new": "1"})
    )

    async def changed() -> bool:
        [ana] = await calls.participants("changed")
        return ana.metadata == "after" and dict(ana.attributes) == {"keep": "1", "new": "1"}

    await calls.eventually(changed, within=5, what="the server knows the new metadata")
    await calls.livekit.leave(connection)
    [left] = await calls.webhooks("participant_left", "changed", "ana")
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["metadata"] == "after"
    events = [each.event for each in calls.livekit.relay.deliveries(room="changed", identity="ana")]
    assert events == ["participant_joined", "participant_left"]


async def test_updated_attributes_are_merged_and_empty_ones_removed(calls: Calls) -> None:
    await calls.livekit.join("ana", "updated", metadata="m", attributes={"keep": "1"})
    await calls.webhooks("participant_joined", "updated", "ana")
    for attributes, wanted in (
        ({"usher.state": "queued", "usher.position": "2"}, {"usher.state": "queued", "usher.position": "2"}),
        ({"usher.state": "connected", "usher.position": ""}, {"usher.state": "connected"}),
    ):
        order = api.UpdateParticipantRequest(room="updated", identity="ana", attributes=attributes)
        await calls.client.room.update_participant(order)

        async def updated(wanted: dict[str, str] = wanted) -> bool:
            [ana] = await calls.participants("updated")
            return ana.metadata == "m" and dict(ana.attributes) == {"keep": "1", **wanted}

        await calls.eventually(updated, within=5, what="the server has the new attributes")


async def test_a_removed_participants_webhook_has_the_reason(calls: Calls) -> None:
    await calls.livekit.join("ana", "thrown-out")
    await calls.client.room.remove_participant(api.RoomParticipantIdentity(room="thrown-out", identity="ana"))
    [left] = await calls.webhooks("participant_left", "thrown-out", "ana")
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "PARTICIPANT_REMOVED"

    async def empty() -> bool:
        return not await calls.participants("thrown-out")

    await calls.eventually(empty, within=5, what="nobody is listed")


async def test_an_agent_outlives_its_caller(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    connection = await calls.livekit.join("ana", "outlived")
    await calls.dispatch("outlived", "greeter")
    await calls.eventually(lambda: calls.agents("outlived"), within=10, what="the agent is in the room")
    await calls.livekit.leave(connection)
    await calls.webhooks("participant_left", "outlived", "ana")

    async def alone() -> bool:
        return not await calls.agents("outlived")

    await calls.never(alone, during=5, what="the agent leaves with its caller")
