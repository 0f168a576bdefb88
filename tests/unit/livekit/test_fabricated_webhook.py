"""Fabricated webhooks: the JSON that a real LiveKit sends, with a signature that is accepted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from app.errors import SignatureRefusedError
from app.livekit.fabricated_webhook import FABRICATED_TYPES, FabricatedWebhook, sign
from app.livekit.webhook_signature import Verifier
from app.settings import Project
from app.webhook.parse import parse

NOW = datetime(2026, 11, 22, 14, 2, 7, 500_000, tzinfo=UTC)
SECRET = "a secret of thirty-two bytes or more"


def _webhook(event: str, **values: Any) -> FabricatedWebhook:
    given = {"identity": "ana", "sid": "PA_1", "room_name": "support-1", "room_sid": "RM_1", **values}
    return FabricatedWebhook(event=event, event_id="EV_1", at=NOW, **given)


def test_a_joining_reads_as_the_one_recorded_from_a_real_server() -> None:
    body = json.loads(_webhook("participant_joined", kind="SIP", attributes={"sip.phoneNumber": "+34"}).body())
    # The names and types of the recorded body of livekit-server 1.13.5, of which none is missing here but the codecs
    assert body["id"] == "EV_1"
    assert body["createdAt"] == "1795356127"
    assert body["room"]["creationTimeMs"] == "1795356127500"
    assert body["participant"] == {
        "sid": "PA_1",
        "identity": "ana",
        "state": "ACTIVE",
        "joinedAt": "1795356127",
        "joinedAtMs": "1795356127500",
        "version": 2,
        "permission": {"canSubscribe": True, "canPublish": True, "canPublishData": True},
        "kind": "SIP",
        "attributes": {"sip.phoneNumber": "+34"},
    }


def test_a_web_participants_kind_is_left_out_and_a_leaving_has_its_reason() -> None:
    assert "kind" not in json.loads(_webhook("participant_joined").body())["participant"]
    left = json.loads(_webhook("participant_left", disconnect_reason="ROOM_DELETED").body())["participant"]
    assert (left["state"], left["disconnectReason"]) == ("DISCONNECTED", "ROOM_DELETED")
    track = json.loads(_webhook("track_published").body())
    assert track["participant"] == {"sid": "PA_1", "identity": "ana"}
    assert "participant" not in json.loads(_webhook("room_started").body())


@pytest.mark.parametrize("event", FABRICATED_TYPES)
def test_what_is_fabricated_is_accepted(event: str) -> None:
    project = Project("default", "http://x", "key", SecretStr(SECRET), {"key": SecretStr(SECRET)})
    verifier = Verifier([project])
    body = _webhook(event, metadata='{"language": "español"}', attributes={"a": "ü"}).body()
    signature = verifier.verify(body, sign(body, "key", SECRET))
    read = parse(body, signature, NOW, "id")
    assert (read.type, read.room_name, read.livekit_id) == (event, "support-1", "EV_1")
    if event == "participant_joined":
        assert read.document["participant"]["metadata"] == {"language": "español"}
        assert read.occurred_at == NOW
    for forged in (sign(body, "key", SECRET + "x"), sign(body + b" ", "key", SECRET), sign(body, "other", SECRET)):
        with pytest.raises(SignatureRefusedError):
            verifier.verify(body, forged)
