"""What the server tells by itself."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from livekit import api
from livekit.protocol.models import DisconnectReason

from tests.contract.livekit import Calls


def receive(calls: Calls, event: str, room: str) -> api.WebhookEvent:
    """Read the first webhook of that kind as the SDK does: its signature is checked."""
    receiver = api.WebhookReceiver(api.TokenVerifier(calls.livekit.key, calls.livekit.secret))
    delivery = calls.livekit.relay.deliveries(event, room=room)[0]
    return receiver.receive(delivery.body.decode(), delivery.token)


async def test_the_sdk_accepts_a_webhook_and_it_carries_a_secret(calls: Calls) -> None:
    connection = await calls.livekit.join("ana", "signed", metadata="m", attributes={"a": "b"})
    await calls.webhooks("participant_joined", "signed")
    started, joined = receive(calls, "room_started", "signed"), receive(calls, "participant_joined", "signed")
    assert (started.room.sid, joined.room.sid) == (connection.room_sid, connection.room_sid)
    assert joined.participant.sid == connection.sid
    assert (joined.participant.metadata, dict(joined.participant.attributes)) == ("m", {"a": "b"})
    assert joined.id.startswith("EV_")
    assert joined.created_at > 1_700_000_000
    assert joined.room.turn_password
    [body] = await calls.webhooks("participant_joined", "signed")
    said = body["participant"]
    assert isinstance(said, dict)
    assert "kind" not in said
    assert isinstance(body["createdAt"], str)


async def test_a_phone_caller_has_kind_sip(calls: Calls) -> None:
    numbers = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "+15557654321"}
    await calls.livekit.join("sip_+34600111222", "phone", kind="sip", attributes=numbers)
    [body] = await calls.webhooks("participant_joined", "phone")
    said = body["participant"]
    assert isinstance(said, dict)
    assert (said["kind"], said["attributes"]) == ("SIP", numbers)


async def test_the_webhooks_of_a_room_come_in_order(calls: Calls) -> None:
    connection = await calls.livekit.join("ana", "order")
    await calls.livekit.leave(connection)
    await calls.webhooks("participant_left", "order")
    await calls.livekit.join("bob", "order")
    await calls.client.room.delete_room(api.DeleteRoomRequest(room="order"))
    await calls.webhooks("room_finished", "order")
    sent = [(each.event, each.identity) for each in calls.livekit.relay.deliveries(room="order")]
    assert sent == [
        ("room_started", ""),
        ("participant_joined", "ana"),
        ("participant_left", "ana"),
        ("participant_joined", "bob"),
        ("participant_left", "bob"),
        ("room_finished", ""),
    ]
    assert (
        receive(calls, "participant_left", "order").participant.disconnect_reason == DisconnectReason.CLIENT_INITIATED
    )
    last = calls.livekit.relay.deliveries("participant_left", room="order", identity="bob")[0].webhook
    assert last["participant"]["disconnectReason"] == "ROOM_DELETED"


async def test_a_participant_that_returns_has_another_sid_in_the_same_room(calls: Calls) -> None:
    first = await calls.livekit.join("ana", "returns")
    await calls.livekit.leave(first)
    second = await calls.livekit.join("ana", "returns")
    assert second.sid != first.sid
    assert second.room_sid == first.room_sid
    await calls.webhooks("participant_joined", "returns", "ana", times=2)


async def test_a_second_connection_of_one_identity_ends_the_first(calls: Calls) -> None:
    first = await calls.livekit.join("ana", "double")
    second = await calls.livekit.join("ana", "double")
    [left] = await calls.webhooks("participant_left", "double")
    said = left["participant"]
    assert isinstance(said, dict)
    assert (said["sid"], said["disconnectReason"]) == (first.sid, "DUPLICATE_IDENTITY")
    assert [each.sid for each in await calls.participants("double")] == [second.sid]


async def test_a_room_opened_again_has_another_sid(calls: Calls) -> None:
    first = await calls.livekit.join("ana", "anew")
    await calls.client.room.delete_room(api.DeleteRoomRequest(room="anew"))
    await calls.webhooks("room_finished", "anew")
    second = await calls.livekit.join("ana", "anew")
    assert second.room_sid != first.room_sid


async def test_a_webhook_answered_503_comes_again_unchanged_after_one_and_two_seconds(calls: Calls) -> None:
    tries: Counter[str] = Counter()

    def busy_twice(webhook: dict[str, Any]) -> int:
        tries[webhook["id"]] += 1
        return 503 if webhook["event"] == "participant_joined" and tries[webhook["id"]] <= 2 else 200

    calls.livekit.relay.intercept = busy_twice
    await calls.livekit.join("ana", "busy")
    await calls.webhooks("participant_joined", "busy", times=3)
    deliveries = calls.livekit.relay.deliveries("participant_joined", room="busy")
    assert [each.status for each in deliveries] == [503, 503, 200]
    assert len({(each.body, each.token) for each in deliveries}) == 1
    waits = [(later.at - earlier.at) / calls.livekit.tempo for earlier, later in pairwise(deliveries)]
    assert waits == pytest.approx([1, 2], abs=0.8)


async def test_a_webhook_answered_4xx_counts_as_delivered(calls: Calls) -> None:
    calls.livekit.relay.intercept = lambda webhook: 404 if webhook["event"] == "participant_joined" else 200
    await calls.livekit.join("ana", "refusing")
    await calls.webhooks("participant_joined", "refusing")

    async def again() -> bool:
        return len(calls.livekit.relay.deliveries("participant_joined", room="refusing")) > 1

    await calls.never(again, during=3, what="a second try of a webhook that was answered 404")
