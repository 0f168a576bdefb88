"""Fabricated webhooks: the JSON that a real LiveKit sends, signed so that the door takes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from app.cli.fabrication import EVENT_TYPES, Fabrication, sign
from app.cli.trigger import _address
from app.errors import InvalidInputError, SignatureRefusedError
from app.livekit.webhook_signature import Verifier
from app.settings import Project, read_settings
from app.webhook.parse import parse

NOW = datetime(2026, 11, 22, 14, 2, 7, 500_000, tzinfo=UTC)
SECRET = "a secret of thirty-two bytes or more"


def _fabrication(event: str, **values: Any) -> Fabrication:
    given = {"identity": "ana", "sid": "PA_1", "room_name": "support-1", "room_sid": "RM_1", **values}
    return Fabrication(event=event, event_id="EV_1", at=NOW, **given)


def test_a_joining_reads_as_the_one_recorded_from_a_real_server() -> None:
    body = json.loads(_fabrication("participant_joined", kind="SIP", attributes={"sip.phoneNumber": "+34"}).body())
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
    assert "kind" not in json.loads(_fabrication("participant_joined").body())["participant"]
    left = json.loads(_fabrication("participant_left", disconnect_reason="ROOM_DELETED").body())["participant"]
    assert (left["state"], left["disconnectReason"]) == ("DISCONNECTED", "ROOM_DELETED")
    track = json.loads(_fabrication("track_published").body())
    assert track["participant"] == {"sid": "PA_1", "identity": "ana"}
    assert "participant" not in json.loads(_fabrication("room_started").body())


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_what_is_fabricated_is_accepted_by_the_door(event: str) -> None:
    project = Project("default", "http://x", "key", SecretStr(SECRET), {"key": SecretStr(SECRET)})
    verifier = Verifier([project])
    body = _fabrication(event, metadata='{"language": "español"}', attributes={"a": "ü"}).body()
    signature = verifier.verify(body, sign(body, "key", SECRET))
    read = parse(body, signature, NOW, "id")
    assert (read.type, read.room_name, read.livekit_id) == (event, "support-1", "EV_1")
    if event == "participant_joined":
        assert read.document["participant"]["metadata"] == {"language": "español"}
        assert read.occurred_at == NOW
    for forged in (sign(body, "key", SECRET + "x"), sign(body + b" ", "key", SECRET), sign(body, "other", SECRET)):
        with pytest.raises(SignatureRefusedError):
            verifier.verify(body, forged)


@pytest.mark.parametrize(
    ("url", "environment", "address"),
    [
        (None, {}, "http://127.0.0.1:8080/livekit/webhook"),
        (None, {"USHER_HOST": "0.0.0.0", "USHER_PORT": "9000"}, "http://127.0.0.1:9000/livekit/webhook"),  # noqa: S104 - a setting
        (None, {"USHER_HOST": "::"}, "http://[::1]:8080/livekit/webhook"),
        ("https://usher.example", {}, "https://usher.example/livekit/webhook"),
        ("https://usher.example/", {}, "https://usher.example/livekit/webhook"),
        ("https://example.org/behind/proxy", {}, "https://example.org/behind/proxy"),
    ],
)
def test_where_it_is_posted(url: str | None, environment: dict[str, str], address: str) -> None:
    assert _address(url, read_settings(environment, without_livekit=True)) == address


@pytest.mark.parametrize("url", ["", "usher", "ftp://x", "http://", "http://x:99999", "http://[::"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="--url: is not a URL"):
        _address(url, read_settings({}, without_livekit=True))
