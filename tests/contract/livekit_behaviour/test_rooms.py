"""Rooms and participants, as RoomService tells of them."""

from __future__ import annotations

import pytest
from livekit import api

from tests.contract.livekit import Desk


async def test_rooms_are_listed_by_name(desk: Desk) -> None:
    seats = [await desk.livekit.join("ana", room) for room in ("list-a", "list-b", "list-c")]
    answer = await desk.client.room.list_rooms(api.ListRoomsRequest(names=["list-a", "list-c", "list-x"]))
    assert {room.name: room.sid for room in answer.rooms} == {
        seat.room: seat.room_sid for seat in seats if seat.room != "list-b"
    }
    assert {"list-a", "list-b", "list-c"} <= await desk.room_names()


async def test_the_participants_of_a_room_are_told_in_full(desk: Desk) -> None:
    seat = await desk.livekit.join("ana", "full", metadata='{"language": "es"}', attributes={"tier": "gold"})
    [ana] = await desk.people("full")
    assert (ana.sid, ana.identity, ana.metadata, dict(ana.attributes)) == (
        seat.sid,
        "ana",
        '{"language": "es"}',
        {"tier": "gold"},
    )
    assert ana.joined_at > 1_700_000_000
    assert ana.joined_at_ms // 1000 == ana.joined_at
    assert ana.state == 2
    one = await desk.client.room.get_participant(api.RoomParticipantIdentity(room="full", identity="ana"))
    assert one.sid == ana.sid


async def test_nobody_is_in_an_unknown_room(desk: Desk) -> None:
    assert await desk.people("nowhere") == []


@pytest.mark.parametrize("room", ["nowhere", "somewhere"])
async def test_nobody_can_be_removed_who_is_not_there(desk: Desk, room: str) -> None:
    await desk.livekit.join("ana", "somewhere")
    who = api.RoomParticipantIdentity(room=room, identity="bob")
    for call in (desk.client.room.remove_participant(who), desk.client.room.get_participant(who)):
        with pytest.raises(api.ServerError) as refused:
            await call
        assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_an_unknown_room_cannot_be_deleted(desk: Desk) -> None:
    with pytest.raises(api.ServerError) as refused:
        await desk.client.room.delete_room(api.DeleteRoomRequest(room="nowhere"))
    assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_a_room_can_be_made_before_anybody_comes(desk: Desk) -> None:
    made = await desk.client.room.create_room(api.CreateRoomRequest(name="made", metadata="m", empty_timeout=77))
    again = await desk.client.room.create_room(api.CreateRoomRequest(name="made"))
    assert made.sid == again.sid
    assert (made.name, made.metadata, made.empty_timeout) == ("made", "m", 77)
    seat = await desk.livekit.join("ana", "made")
    assert seat.room_sid == made.sid
    await desk.told("room_started", "made")


async def test_changed_metadata_has_no_webhook_and_shows_first_when_its_owner_leaves(desk: Desk) -> None:
    seat = await desk.livekit.join("ana", "changed", metadata="before", attributes={"keep": "1"})
    await desk.told("participant_joined", "changed", "ana")
    await desk.client.room.update_participant(
        api.UpdateParticipantRequest(room="changed", identity="ana", metadata="after", attributes={"new": "1"})
    )

    async def changed() -> bool:
        [ana] = await desk.people("changed")
        return ana.metadata == "after" and dict(ana.attributes) == {"keep": "1", "new": "1"}

    await desk.eventually(changed, within=5, what="the server knows the new metadata")
    await desk.livekit.leave(seat)
    [left] = await desk.told("participant_left", "changed", "ana")
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["metadata"] == "after"
    events = [each.event for each in desk.livekit.relay.deliveries(room="changed", identity="ana")]
    assert events == ["participant_joined", "participant_left"]


async def test_a_removed_participant_is_told_with_the_reason(desk: Desk) -> None:
    await desk.livekit.join("ana", "thrown-out")
    await desk.client.room.remove_participant(api.RoomParticipantIdentity(room="thrown-out", identity="ana"))
    [left] = await desk.told("participant_left", "thrown-out", "ana")
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "PARTICIPANT_REMOVED"

    async def empty() -> bool:
        return not await desk.people("thrown-out")

    await desk.eventually(empty, within=5, what="nobody is listed")


async def test_an_agent_outlives_its_caller(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    seat = await desk.livekit.join("ana", "outlived")
    await desk.dispatch("outlived", "greeter")
    await desk.eventually(lambda: desk.agents("outlived"), within=10, what="the agent is in the room")
    await desk.livekit.leave(seat)
    await desk.told("participant_left", "outlived", "ana")

    async def alone() -> bool:
        return not await desk.agents("outlived")

    await desk.never(alone, during=5, what="the agent leaves with its caller")
