from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UnreadableWebhookError
from app.livekit.webhook_delivery import Signature
from app.webhook.event import Event
from app.webhook.event_store import to_row
from app.webhook.parse import parse

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
SIGNATURE = Signature("default", 0)
RECORDED = Path(__file__).parents[2] / "data/webhooks"


def read(content: Any, *redact: str) -> Event:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse(raw, SIGNATURE, NOW, "id-1", redact)


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))
    return document


def test_a_web_caller_as_livekit_sent_it() -> None:
    event = read(recorded("participant_joined_web"))
    assert (event.type, event.room_sid, event.participant_sid) == (
        "participant_joined",
        "RM_Gs7RJq9xP6zT",
        "PA_22yJN5nb3GG2",
    )
    assert event.participant_kind == "STANDARD"
    assert event.dedupe_key == "default/join/PA_22yJN5nb3GG2"
    assert event.occurred_at == datetime(2026, 11, 22, 16, 16, 52, 395000, tzinfo=UTC)
    participant, room = event.document["participant"], event.document["room"]
    assert participant["metadata"] == {"language": "es", "department": "support"}
    assert participant["kind"] == "STANDARD"
    assert participant["joinedAtMs"] == 1795364212395
    assert room["creationTime"] == 1795364212
    assert room["numParticipants"] == 0
    assert participant["permission"]["agent"] is False
    assert event.document["project"] == "default"


def test_a_phone_call_as_livekit_sent_it() -> None:
    event = read(recorded("participant_joined_sip"))
    assert event.participant_kind == "SIP"
    assert event.phone_number == "+34600111222"
    assert event.document["participant"]["attributes"]["sip.trunkPhoneNumber"] == "+15557654321"
    assert event.document["participant"]["metadata"] == {"from": "rule"}


@pytest.mark.parametrize(
    ("changed", "redact", "stored"),
    [
        ({}, (), "+15557654321"),
        ({}, ("participant.phone",), None),
        ({}, ("participant.attributes",), None),
        ({"event": "participant_left"}, (), None),
        ({"kind": "STANDARD"}, (), None),  # it can choose its attributes
        ({"attributes": {"sip.trunkPhoneNumber": 15557654321}}, (), None),
        ({"attributes": {"sip.trunkPhoneNumber": "1" * 601}}, (), None),
        ({"attributes": {}}, (), None),
    ],
)
def test_the_join_of_a_phone_call_keeps_the_number_that_was_dialled(
    changed: dict[str, Any], redact: tuple[str, ...], stored: str | None
) -> None:
    content = recorded("participant_joined_sip")
    content |= {name: value for name, value in changed.items() if name == "event"}
    content["participant"] |= {name: value for name, value in changed.items() if name != "event"}
    assert to_row(read(content, *redact))["trunk_number"] == stored


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_the_turn_password_and_the_codecs_of_a_room_go_nowhere(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))
    content["job"] = {"room": content["room"]}
    event = read(content)
    for kept in (event.body, event.document, event.shareable):
        assert "turnPassword" not in json.dumps(kept)
        assert "enabledCodecs" not in json.dumps(kept)
    assert event.body["room"]["name"] == content["room"]["name"]


def test_what_is_to_be_left_out_reaches_neither_body_nor_agent_but_rules_may_match_it() -> None:
    content = {
        "event": "participant_joined",
        "participant": {
            "sid": "PA_1",
            "identity": "ana",
            "metadata": '{"ssn": "123", "team": "red"}',
            "attributes": {"sip.phoneNumber": "+34600111222", "tier": "gold"},
        },
    }
    event = read(content, "participant.metadata.ssn", "participant.attributes.sip.phoneNumber")
    for kept in (event.body, event.shareable):
        assert "123" not in json.dumps(kept).replace("PA_1", "")
        assert "+34600111222" not in json.dumps(kept)
        assert "gold" in json.dumps(kept)
        assert "red" in json.dumps(kept)
    assert event.phone_number is None
    assert event.document["participant"]["metadata"]["ssn"] == "123"


@pytest.mark.parametrize(
    ("metadata", "prepared"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ("plain text", "plain text"),
        ("{broken", "{broken"),
        ("NaN", "NaN"),
        ("", ""),
        *((text, text) for text in ("7", "1.10", "12e3", "007", "9007199254740993", "true", "null", '"quoted"', " 7 ")),
    ],
)
def test_metadata_is_parsed_when_it_holds_a_json_object_or_array(metadata: str, prepared: Any) -> None:
    content = {"event": "x", "room": {"metadata": metadata}, "participant": {"metadata": metadata}}
    document = read(content).document
    assert document["room"]["metadata"] == prepared
    assert document["participant"]["metadata"] == prepared


def test_fields_that_the_protocol_does_not_know_pass_through() -> None:
    event = read({"event": "brand_new", "novelty": {"deep": [1]}, "participant": {"shoe": "12"}})
    assert event.document["novelty"] == {"deep": [1]}
    assert event.document["participant"]["shoe"] == "12"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b"{}",
        b'{"event": ""}',
        b'{"event": 5}',
        b'{"event": "x", "room": "lobby"}',
        b'{"event": "x", "participant": [1]}',
        b'{"event": "x", "participant": {"sid": 5}}',
        b'{"event": "x", "room": {"name": {}}}',
        b'{"event": "x", "id": 7}',
        b'{"event": "x", "n": NaN}',
        b'{"event": "x", "n": Infinity}',
        b"[" * 100_000,
        b'{"event": "x", "n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_webhook_is_unreadable(content: bytes) -> None:
    with pytest.raises(UnreadableWebhookError):
        read(content)


@pytest.mark.parametrize("path", ["room", "participant", "participant.attributes", "job.room"])
def test_an_object_that_is_none_is_named_with_its_path(path: str) -> None:
    content: Any = ["not an object"]
    for name in reversed(path.split(".")):
        content = {name: content}
    with pytest.raises(UnreadableWebhookError, match=f"`{path}` is not an object"):
        read({"event": "participant_joined", **content})


def test_text_that_databases_refuse_is_replaced() -> None:
    event = read(b'{"event": "x", "room": {"name": "a\\u0000b\\ud800c"}, "k\\u0000": 1}')
    assert event.room_name == "a\ufffdb\ufffdc"
    assert "k\ufffd" in event.body
    json.dumps(event.body).encode("utf-8")


@pytest.mark.parametrize(
    "created_at", ["0", "-5", "99999999999999999999", "soon", 1e308, 10**400, -(10**400), None, {}]
)
def test_an_impossible_time_is_the_time_of_receipt(created_at: Any) -> None:
    assert read({"event": "x", "createdAt": created_at}).occurred_at == NOW


def test_without_an_id_equal_bodies_have_equal_dedupe_keys() -> None:
    one, same, other = ({"event": "x", "n": number} for number in (1, 1, 2))
    assert read(one).dedupe_key == read(same).dedupe_key != read(other).dedupe_key


@pytest.mark.parametrize(
    ("signed", "created", "immediate"),
    [
        (1, None, True),
        (1, 1, True),
        (1, 12, True),
        (16, None, False),
        (16, 16, False),
        (1, 16, False),  # it waited while another webhook of its room was repeated
        (1, 40, False),
        (1, 86400, True),  # no webhook waits a day: some clock is wrong
        (-40, -40, True),
    ],
)
def test_a_late_webhook_is_not_immediate(signed: float, created: float | None, immediate: bool) -> None:
    content: dict[str, Any] = {"event": "x"}
    if created is not None:
        content["createdAt"] = str(int(NOW.timestamp() - created))
    event = parse(json.dumps(content).encode(), Signature("p", NOW.timestamp() - signed), NOW, "i")
    assert event.is_immediate is immediate


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(room=_json, participant=_json, extra=_json, redact=st.lists(st.text(max_size=12), max_size=2))
def test_any_json_is_an_event_or_unreadable(room: Any, participant: Any, extra: Any, redact: list[str]) -> None:
    content = {"event": "participant_joined", "room": room, "participant": participant, "extra": extra}
    before = json.dumps(content)
    try:
        event = read(content, *redact)
    except UnreadableWebhookError:
        return
    assert json.dumps(content) == before
    json.dumps([event.body, event.document, event.shareable]).encode("utf-8")
