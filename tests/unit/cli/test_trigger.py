from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cli.fabricate import fabricated_webhook
from app.cli.trigger import Destination, leaving_hint, webhook_address
from app.errors import InvalidInputError
from app.livekit.fabricated_webhook import FabricatedWebhook
from app.livekit.vocabulary import EventType
from app.settings import read_settings
from app.webhook.parse import prepare


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
    assert webhook_address(url, read_settings(environment, without_livekit=True)) == address


@pytest.mark.parametrize("url", ["", "usher", "ftp://x", "http://", "http://x:99999", "http://[::"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="--url: is not a URL"):
        webhook_address(url, read_settings({}, without_livekit=True))


@pytest.mark.parametrize("name", ["ana", "O'Brien; rm x", "--sid", "$(id)", 'a "b" c'])
def test_the_hint_can_be_pasted_into_a_shell(name: str) -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    webhook = FabricatedWebhook(EventType.PARTICIPANT_JOINED, "EV_1", at, name, "RM_1", identity=name, sid="PA_1")
    hint = leaving_hint(webhook, Destination(None, None, dev=False))
    words = shlex.split(hint.removeprefix("To make it leave: "))
    assert words[:3] == ["usher", "trigger", "participant_left"]
    assert words[3:] == [
        f"--identity={name}",
        f"--sid={webhook.sid}",
        f"--room={name}",
        f"--room-sid={webhook.room_sid}",
    ]
    elsewhere = leaving_hint(webhook, Destination("http://127.0.0.1:1", "clinic", dev=True))
    assert elsewhere == f"{hint} --url=http://127.0.0.1:1 --project=clinic --dev"


def test_an_outbound_leg_is_like_one_that_livekit_dials() -> None:
    recorded = Path(__file__).parents[2] / "data/webhooks/participant_joined_sip_outbound_dialing.json"
    dialled = json.loads(recorded.read_text("utf-8"))["participant"]
    webhook = fabricated_webhook("participant_joined", outbound=True, to="+34911000111", from_="+15557654321")
    made = json.loads(webhook.body())["participant"]
    assert made["kind"] == "SIP"
    assert made["identity"] == "sip_+34911000111"
    assert made["attributes"].keys() == dialled["attributes"].keys() - {"sip.hostname"}
    for name in ("sip.phoneNumber", "sip.trunkPhoneNumber", "sip.callStatus"):
        assert made["attributes"][name] == dialled["attributes"][name]
    document = prepare(json.loads(webhook.body()), "default")
    assert document["participant"]["role"] == "callee"
    assert document["participant"]["phone"] == {
        "caller": "+15557654321",
        "called": "+34911000111",
        "direction": "outbound",
    }


@pytest.mark.parametrize("options", [{"sip": True}, {"to": "+15557654321"}, {"kind": "SIP"}])
def test_a_phone_that_is_not_outbound_calls(options: dict[str, Any]) -> None:
    webhook = fabricated_webhook("participant_joined", **options)
    assert prepare(json.loads(webhook.body()), "default")["participant"]["role"] == "caller"


@pytest.mark.parametrize("outbound", [False, True])
def test_a_text_without_a_digit_is_no_phone_number(outbound: bool) -> None:
    with pytest.raises(InvalidInputError, match="--from: 'abc' is no phone number") as refused:
        fabricated_webhook(from_="abc", to="x", outbound=outbound)
    assert [one.path for one in refused.value.problems] == ["--from", "--to"]
    withheld = fabricated_webhook(from_="anonymous", to="sip:100@pbx", outbound=outbound)
    assert "anonymous" in withheld.attributes.values()
