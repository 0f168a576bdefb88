"""Phone numbers in E.164, and who called whom."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.db.types import EventSource
from app.livekit.participant.phone import e164, use_phone_region
from app.webhook.parse import build_event, prepare

OURS, THEIRS = "+15557654321", "+34600111222"


@pytest.mark.parametrize(
    ("sent", "region", "number"),
    [
        (THEIRS, "", THEIRS),
        ("34600111222", "", THEIRS),
        ("0034600111222", "", THEIRS),
        ("00 34 600 111 222", "", THEIRS),
        ("+34 600-111.222", "", THEIRS),
        ("sip:+34600111222@sip.example.org;transport=udp", "", THEIRS),
        ("SIPS:%2B34600111222@10.0.0.1:5060", "", THEIRS),
        ("tel:+34-600-111-222", "", THEIRS),
        ("15557654321", "", OURS),
        ("15557654321", "ES", OURS),
        ("sip:15557654321@x", "", OURS),
        ("600111222", "ES", THEIRS),
        ("0034600111222", "ES", THEIRS),
        ("34600111222", "ES", THEIRS),
        ("(555) 765-4321", "US", OURS),
        ("5557654321", "US", OURS),
        ("011 34 600 111 222", "US", THEIRS),
        ("020 7946 0000", "GB", "+442079460000"),
        ("442079460000", "", "+442079460000"),
        ("600111222", "", ""),
        ("020 7946 0000", "", ""),
        ("7000", "", ""),
        ("7000", "ES", ""),
        ("112", "ES", ""),
        ("sip:reception@example.org", "", ""),
        ("anonymous", "", ""),
        ("Restricted", "US", ""),
        ("+", "", ""),
        ("+0034600111222", "", ""),
        ("sip:", "", ""),
        ("٣٤٦٠٠١١١٢٢٢", "", ""),
        ("1" * 100, "US", ""),
    ],
)
def test_a_number_in_e164(sent: str, region: str, number: str) -> None:
    assert e164(sent, region) == number


@pytest.mark.parametrize(
    ("kind", "attributes", "phone"),
    [
        (
            "SIP",
            {"sip.ruleID": "SDR_1", "sip.phoneNumber": THEIRS, "sip.trunkPhoneNumber": OURS},
            {"caller": THEIRS, "called": OURS, "direction": "inbound"},
        ),
        (
            "SIP",
            {"sip.phoneNumber": THEIRS, "sip.trunkPhoneNumber": OURS},
            {"caller": OURS, "called": THEIRS, "direction": "outbound"},
        ),
        (
            "SIP",
            {"sip.ruleID": "SDR_1", "sip.phoneNumber": "anonymous", "sip.trunkPhoneNumber": "15557654321"},
            {"called": OURS, "direction": "inbound"},
        ),
        ("SIP", {"sip.ruleID": "SDR_1", "sip.phoneNumber": "7000"}, None),
        ("SIP", {"sip.ruleID": "SDR_1"}, None),
        ("SIP", {"sip.phoneNumber": 34600111222}, None),
        ("SIP", {"sip.phoneNumber": "+" + "1" * 200_000}, None),
        (
            "CONNECTOR",
            {"sip.phoneNumber": THEIRS, "sip.trunkPhoneNumber": OURS},
            {"caller": THEIRS, "called": OURS, "direction": "inbound"},
        ),
    ],
)
def test_caller_called_and_direction(kind: str, attributes: dict[str, Any], phone: dict[str, str] | None) -> None:
    content = {"event": "participant_joined", "participant": {"sid": "PA_1", "kind": kind, "attributes": attributes}}
    assert prepare(content, "default")["participant"].get("phone") == phone


def test_the_direction_is_right_where_what_shows_it_is_redacted() -> None:
    event = build_event(
        {
            "event": "participant_joined",
            "id": "EV_1",
            "participant": {
                "sid": "PA_1",
                "kind": "SIP",
                "attributes": {"sip.ruleID": "SDR_1", "sip.phoneNumber": THEIRS, "sip.trunkPhoneNumber": OURS},
            },
        },
        project="default",
        source=EventSource.WEBHOOK,
        received_at=datetime(2026, 11, 25, tzinfo=UTC),
        event_id="1",
        redact=["participant.attributes.sip.ruleID", "participant.attributes.sip.phoneNumber"],
    )
    assert event.document["participant"]["phone"] == {"caller": THEIRS, "called": OURS, "direction": "inbound"}
    assert event.shareable["participant"]["phone"] == {"called": OURS, "direction": "inbound"}


def test_most_numbers_do_without_the_library() -> None:
    numbers = f"e164('{THEIRS}'); e164('sip:{THEIRS}@x'); e164('anonymous'); e164('')"
    code = (
        f"import sys; from app.livekit.participant.phone import e164\n{numbers}; print('phonenumbers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.fixture
def region() -> Iterator[None]:
    use_phone_region("ES")
    yield
    use_phone_region("")


@pytest.mark.usefixtures("region")
def test_a_number_without_a_country_is_of_the_region_of_the_process() -> None:
    attributes = {"sip.ruleID": "SDR_1", "sip.trunkPhoneNumber": "911000111"}
    content = {"event": "participant_joined", "participant": {"kind": "SIP", "attributes": attributes}}
    assert prepare(content, "default")["participant"]["phone"]["called"] == "+34911000111"
