"""Participants that are no ordinary callers: what webhooks and the list say of them, and who keeps a room open."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import api
from livekit.protocol.models import ParticipantInfo

from tests.contract.livekit import Calls


async def joined(calls: Calls, room: str, identity: str) -> dict[str, Any]:
    [webhook] = await calls.webhooks("participant_joined", room, identity)
    said = webhook["participant"]
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize("grant", ["agent", "hidden", "recorder"])
async def test_a_grant_shows_in_the_permission_and_not_in_the_kind(calls: Calls, grant: str) -> None:
    room = f"grant-{grant}"
    await calls.livekit.join("special", room, grants=[grant])
    said = await joined(calls, room, "special")
    assert said["permission"][grant] is True
    assert "kind" not in said
    [listed] = await calls.participants(room)
    assert getattr(listed.permission, grant)
    assert listed.kind == ParticipantInfo.Kind.STANDARD


@pytest.mark.parametrize(("grant", "keeps"), [("agent", False), ("recorder", False), ("hidden", True)])
async def test_a_participant_with_a_machine_grant_keeps_no_room_open(calls: Calls, grant: str, keeps: bool) -> None:
    room = f"kept-open-{grant}"
    await calls.client.room.create_room(api.CreateRoomRequest(name=room, departure_timeout=2, empty_timeout=60))
    await calls.livekit.join("special", room, grants=[grant])
    ana = await calls.livekit.join("ana", room)
    await calls.livekit.leave(ana)

    async def closed() -> bool:
        return room not in await calls.room_names()

    if keeps:
        await calls.never(closed, during=6, what="the room closes")
    else:
        await calls.eventually(closed, within=15, what="the room closes")
        [finished] = await calls.webhooks("room_finished", room)
        assert finished.get("roomEndReason", "ROOM_END_IDLE_TIMEOUT") == "ROOM_END_IDLE_TIMEOUT"  # since 1.13.11


@pytest.mark.parametrize("detail", ["forwarded", "simulation", "connector_twilio"])
async def test_the_details_of_a_kind_are_given(calls: Calls, detail: str) -> None:
    room = f"detail-{detail}"
    kind = "connector" if detail.startswith("connector") else "standard"
    await calls.livekit.join("copy", room, kind=kind, kind_details=[detail], attributes={"lk.simulator": "1"})
    said = await joined(calls, room, "copy")
    assert said["kindDetails"] == [detail.upper()]
    assert said.get("kind", "STANDARD") == kind.upper()
    assert said["attributes"] == {"lk.simulator": "1"}
    [listed] = await calls.participants(room)
    assert [ParticipantInfo.KindDetail.Name(each) for each in listed.kind_details] == [detail.upper()]


async def test_an_avatar_is_an_agent_without_an_agent_name(calls: Calls) -> None:
    attributes = {"lk.publish_on_behalf": "agent-AJ_1"}
    await calls.livekit.join("avatar", "avatar", kind="agent", attributes=attributes)
    said = await joined(calls, "avatar", "avatar")
    assert (said["kind"], said["attributes"]) == ("AGENT", attributes)


async def test_webhooks_about_tracks_name_the_participant_only(calls: Calls) -> None:
    connection = await calls.livekit.join("ana", "tracks", metadata="m", attributes={"a": "b"})
    await calls.livekit.publish_audio(connection)
    [published] = await calls.webhooks("track_published", "tracks", "ana")
    assert published["participant"] == {"sid": connection.sid, "identity": "ana"}
    assert published["room"] == {"sid": connection.room_sid, "name": "tracks"}
    track = published["track"]
    assert isinstance(track, dict)
    assert "type" not in track  # AUDIO is the default
