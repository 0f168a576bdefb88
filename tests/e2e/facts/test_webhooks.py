"""What Usher relies on about LiveKit's webhooks, shown on the real server, without Usher.

Should one of these fail after an upgrade of LiveKit, the code that names the fact must be looked at.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from livekit import api

from tests.e2e.harness.polling import eventually, never
from tests.e2e.harness.scene import Scene


@pytest.fixture
def scene(livekit_alone: Scene) -> Scene:
    livekit_alone.clear()
    livekit_alone.relay.pass_all_on()
    return livekit_alone


def test_a_join_is_told_with_the_metadata_of_the_token(scene: Scene) -> None:
    ana = scene.join("ana", "told", metadata={"language": "es"}, attributes={"tier": "gold"}, name="Ana")
    webhook = scene.relay.wait_for("participant_joined", room="told", identity="ana").webhook
    participant = webhook["participant"]
    assert participant["sid"] == ana.sid
    assert webhook["room"]["sid"] == ana.room_sid
    assert participant["metadata"] == '{"language": "es"}'
    assert participant["attributes"] == {"tier": "gold"}
    assert participant["name"] == "Ana"
    assert participant["state"] == "ACTIVE"
    assert "kind" not in participant  # STANDARD is the default, and defaults are left out


def test_a_webhook_is_signed_without_bearer_and_carries_a_secret(scene: Scene) -> None:
    scene.join("ana", "signed")
    delivery = scene.relay.wait_for("participant_joined", room="signed")
    receiver = api.WebhookReceiver(api.TokenVerifier(scene.server.api_key, scene.server.api_secret))
    event = receiver.receive(delivery.body.decode(), delivery.token)
    assert event.participant.identity == "ana"
    assert delivery.webhook["room"]["turnPassword"]


def test_a_phone_caller_has_kind_sip_and_the_number_dialled(scene: Scene) -> None:
    numbers = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "+15557654321"}
    scene.join("sip_+34600111222", "phone", kind="sip", attributes=numbers)
    participant = scene.relay.wait_for("participant_joined", room="phone").webhook["participant"]
    assert participant["kind"] == "SIP"
    assert participant["attributes"] == numbers


def test_changed_metadata_has_no_webhook_and_shows_first_when_its_owner_leaves(scene: Scene) -> None:
    ana = scene.join("ana", "changed", metadata="before")
    scene.relay.wait_for("participant_joined", room="changed")
    scene.livekit.update_participant("changed", "ana", metadata="after", attributes={"tier": "gold"})
    eventually(
        lambda: [each.metadata for each in scene.livekit.participants("changed")] == ["after"],
        within=5,
        what="the server knows the new metadata",
    )
    ana.leave()
    left = scene.relay.wait_for("participant_left", room="changed")
    assert left.webhook["participant"]["metadata"] == "after"
    about_ana = scene.relay.deliveries(room="changed", identity="ana")
    assert [each.event for each in about_ana] == ["participant_joined", "participant_left"]


def test_who_returns_has_another_sid(scene: Scene) -> None:
    first = scene.join("ana", "returns")
    first.leave()
    second = scene.join("ana", "returns")
    assert second.sid != first.sid
    assert second.room_sid == first.room_sid
    eventually(
        lambda: len(scene.relay.deliveries("participant_joined", room="returns", identity="ana")) == 2,
        within=5,
        what="both joins are told",
    )


def test_a_participant_of_a_room_made_anew_is_in_another_room(scene: Scene) -> None:
    first = scene.join("ana", "anew")
    scene.livekit.delete_room("anew")
    left = scene.relay.wait_for("participant_left", room="anew").webhook
    assert left["participant"]["disconnectReason"] == "ROOM_DELETED"
    scene.relay.wait_for("room_finished", room="anew")
    second = scene.join("ana", "anew")
    assert second.room_sid != first.room_sid


def test_a_second_connection_of_one_identity_ends_the_first(scene: Scene) -> None:
    first = scene.join("ana", "double")
    second = scene.join("ana", "double")
    assert first.sid != second.sid
    eventually(
        lambda: len(scene.relay.deliveries("participant_joined", room="double")) == 2, within=5, what="both are told"
    )
    left = scene.relay.wait_for("participant_left", room="double").webhook["participant"]
    assert left["sid"] == first.sid
    assert left["disconnectReason"] == "DUPLICATE_IDENTITY"
    assert [each.sid for each in scene.livekit.participants("double")] == [second.sid]


def test_a_webhook_answered_503_comes_again_and_again_unchanged(scene: Scene) -> None:
    tries: Counter[str] = Counter()

    def busy_twice(webhook: dict[str, Any]) -> int:
        tries[webhook["id"]] += 1
        return 503 if webhook["event"] == "participant_joined" and tries[webhook["id"]] <= 2 else 200

    scene.relay.intercept = busy_twice
    scene.join("ana", "busy")
    deliveries = eventually(
        lambda: found if len(found := scene.relay.deliveries("participant_joined", room="busy")) == 3 else None,
        within=10,
        what="the third try",
    )
    assert [each.status for each in deliveries] == [503, 503, 200]
    assert len({(each.body, each.token) for each in deliveries}) == 1
    waits = [later.at - earlier.at for earlier, later in pairwise(deliveries)]
    assert waits == pytest.approx([1, 2], abs=0.5)


def test_a_webhook_answered_4xx_counts_as_delivered(scene: Scene) -> None:
    scene.relay.intercept = lambda webhook: 404 if webhook["event"] == "participant_joined" else 200
    scene.join("ana", "refusing")
    scene.relay.wait_for("participant_joined", room="refusing")
    never(
        lambda: len(scene.relay.deliveries("participant_joined", room="refusing")) > 1,
        during=2.5,
        what="a second try of a webhook that was answered 404",
    )
