from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.webhook import WebhookEvent

from app.livekit.webhook_delivery import Signature
from app.livekit.webhook_fields import secret_names
from app.webhook.event import Event
from app.webhook.parse import parse
from app.webhook.redaction import leave_out

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
SECRET = "s3cr3t-4711"

# Ways to write an object that a caller's program may read, though RFC 8259 does not, and some that it does.
WRITTEN: dict[str, Callable[[dict[str, Any]], str]] = {
    "as JSON": json.dumps,
    "with NaN": lambda value: json.dumps({**value, "a": float("nan")}),
    "with a number too large": lambda value: json.dumps(value)[:-1] + ', "a": 1e400}',
    "with too many digits": lambda value: json.dumps(value)[:-1] + f', "a": {"1" * 4301}}}',
    "with a trailing comma": lambda value: json.dumps(value)[:-1] + ",}",
    "with a byte order mark": lambda value: "\ufeff" + json.dumps(value),
    "too deep": lambda value: json.dumps(value)[:-1] + ', "a": ' + "[" * 101 + "]" * 101 + "}",
    "with single quotes": str,
    "as a text in JSON": lambda value: json.dumps(json.dumps(value)),
    "twice": lambda value: json.dumps(value)[:-1] + ", " + json.dumps(value)[1:],
    "in a list": lambda value: json.dumps([[value], {"other": 1}]),
    "as a text in a list": lambda value: json.dumps([json.dumps(value), [str(value)], None]),
    "as a query": lambda value: "&".join(f"{name}={entry}" for name, entry in value.items()),
    "cut off": lambda value: json.dumps(value)[:-1],
    "escaped": lambda value: json.dumps(value).replace("s", "\\u0073"),
    "as YAML": lambda value: "\n".join(f"{name}: {entry}" for name, entry in value.items()),
}
METADATA_OF = ("participant", "room", "job.participant", "job.room", "ingressInfo")


def read(content: dict[str, Any], *redact: str) -> Event:
    return parse(json.dumps(content).encode(), Signature("default", 0), NOW, "id-1", redact)


def kept(event: Event) -> str:
    return json.dumps([event.body, event.shareable, event.phone_number], ensure_ascii=False)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("where", METADATA_OF)
def test_what_is_at_a_path_into_metadata_is_left_out_however_it_is_written(where: str, written: str) -> None:
    text = WRITTEN[written]({"ssn": SECRET, "tier": "gold"})
    holder: dict[str, Any] = {"participantMetadata" if where == "ingressInfo" else "metadata": text, "identity": "ana"}
    content: dict[str, Any] = {"event": "agent_job_started", "room": {"name": "r"}, "participant": {"identity": "x"}}
    for name in reversed(where.split(".")):
        holder = {name: holder}
    event = read({**content, **holder}, f"{'room' if 'room' in where else 'participant'}.metadata.ssn")
    assert SECRET not in kept(event)
    if written in {"as JSON", "in a list", "as a text in a list", "escaped", "twice"}:
        assert "gold" in kept(event)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("participant.name", {"participant": {"name": SECRET}}),
        ("participant.name", {"job": {"participant": {"name": SECRET}}}),
        ("participant.name", {"ingressInfo": {"participantName": SECRET}}),
        ("participant.phone", {"participant": {"kind": "SIP", "attributes": {"sip.phoneNumber": SECRET}}}),
        ("participant.phone.caller", {"participant": {"kind": "SIP", "attributes": {"sip.trunkPhoneNumber": SECRET}}}),
        ("participant.attributes.sip.callID", {"job": {"participant": {"attributes": {"sip.callID": SECRET}}}}),
        ("participant.attributes.sip", {"participant": {"attributes": {"sip.h.Ssn": SECRET, "sip.callID": SECRET}}}),
        ("participant.attributes.crm.ssn", {"participant": {"attributes": {"crm": json.dumps({"ssn": SECRET})}}}),
        ("participant.attributes.crm.ssn", {"participant": {"attributes": {"crm": f"{{ssn: '{SECRET}'}}"}}}),
        ("participant.attributes.a.b.c", {"participant": {"attributes": {"a.b": {"c": SECRET}, "a": {"b.c": SECRET}}}}),
        ("participant.metadata.card", {"participant": {"metadata": json.dumps({"card": {"number": SECRET}})}}),
        ("participant.metadata.card.number", {"participant": {"metadata": json.dumps({"card": [{"number": SECRET}]})}}),
        ("participant.metadata.card.number", {"participant": {"metadata": json.dumps({"card.number": SECRET})}}),
        ("participant.metadata.card.number", {"participant": {"metadata": json.dumps({"card": [f"n={SECRET}"]})}}),
        ("participant.metadata.card.number", {"participant": {"metadata": json.dumps({"card": f"number={SECRET}"})}}),
        ("participant.metadata.card", {"participant": {"metadata": json.dumps({"card.holder.name": SECRET})}}),
        ("participant.tracks.name", {"participant": {"tracks": [{"name": SECRET}, {"name": SECRET}]}}),
        ("track.name", {"track": {"name": SECRET}, "participant": {"tracks": [{"name": SECRET}]}}),
        ("room.metadata", {"job": {"room": {"metadata": SECRET}}}),
        ("job.metadata", {"job": {"metadata": SECRET}}),
        ("egressInfo.stream", {"egressInfo": {"stream": {"info": [{"url": SECRET}]}}}),
    ],
)  # fmt: skip
def test_a_path_reaches_everything_that_says_the_same(path: str, content: dict[str, Any]) -> None:
    content = {"event": "participant_joined", "room": {"name": "r"}, **content}
    assert SECRET in kept(read(content))
    assert SECRET not in kept(read(content, path))


@pytest.mark.parametrize(
    "message",
    [
        {"ingressInfo": {"streamKey": SECRET, "inputType": "RTMP_INPUT"}},
        {"egressInfo": {"roomComposite": {"file": {"s3": {"secret": SECRET, "accessKey": SECRET, "bucket": "b"}}}}},
        {"egressInfo": {"egress": {"webhooks": [{"url": "https://x", "signingKey": SECRET}]}}},
        {"egressInfo": {"track": {"file": {"gcp": {"credentials": SECRET, "proxy": {"password": SECRET}}}}}},
        {"job": {"room": {"name": "r", "turnPassword": SECRET}}},
    ],
)
def test_credentials_are_never_kept(message: dict[str, Any]) -> None:
    event = read({"event": "ingress_started", **message})
    assert SECRET not in kept(event) + json.dumps(event.document)


def test_an_attribute_that_is_called_like_a_credential_is_kept() -> None:
    event = read({"event": "x", "participant": {"identity": "a", "attributes": {"secret": "santa"}}})
    assert event.document["participant"]["attributes"] == {"secret": "santa"}


def test_all_fields_that_the_protocol_marks_as_secrets_are_known() -> None:
    marked: set[str] = set()

    def walk(descriptor: Any, seen: frozenset[str]) -> None:
        for field in descriptor.fields:
            if "SENSITIVITY_SECRET" in str(field.GetOptions()):
                marked.add(field.json_name)
            message = field.message_type
            if message is not None and message.full_name not in seen:
                walk(message, seen | {message.full_name})

    walk(WebhookEvent.DESCRIPTOR, frozenset())
    assert {"turnPassword", "streamKey"} <= marked <= secret_names()


@pytest.mark.parametrize("kind", ["STANDARD", "AGENT", "INGRESS", "EGRESS", "BRIDGE", "", "NEW_KIND"])
def test_a_caller_by_web_cannot_claim_a_phone_number(kind: str) -> None:
    attributes = {"sip.phoneNumber": "+34600111222"}
    participant = {"identity": "a", "sid": "PA_1", "attributes": attributes, **({"kind": kind} if kind else {})}
    event = read({"event": "participant_joined", "participant": participant})
    assert event.phone_number is None
    assert "phone" not in event.document["participant"]


@pytest.mark.parametrize("kind", ["SIP", "CONNECTOR"])
def test_a_phone_number_of_a_sip_participant_is_used(kind: str) -> None:
    participant = {"identity": "a", "kind": kind, "attributes": {"sip.phoneNumber": "+34600111222"}}
    assert read({"event": "participant_joined", "participant": participant}).phone_number == "+34600111222"


_names = st.sampled_from(["a", "b", "a.b", "metadata", "attributes", "sip.phoneNumber", "x"])
_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


@given(
    other=st.dictionaries(_names, _values, max_size=3),
    steps=st.lists(st.tuples(_names, st.sampled_from(["object", "text", "list", *WRITTEN])), min_size=1, max_size=4),
)
def test_a_secret_at_a_path_is_left_out_whatever_is_around_it(
    other: dict[str, Any], steps: list[tuple[str, str]]
) -> None:
    value: Any = SECRET
    for name, form in reversed(steps):
        value = {**other, name: value}
        if form in WRITTEN:
            value = WRITTEN[form](value)
        elif form == "text":
            value = json.dumps(value)
        elif form == "list":
            value = [value, 1]
    path = "participant." + ".".join(name for name, _ in steps)
    left = leave_out({"participant": value, "room": {"name": "r"}}, [path])
    assert SECRET not in json.dumps(left)
    assert left["room"] == {"name": "r"}


def test_what_is_not_at_the_path_stays() -> None:
    metadata = {"ssn": 1, "language": "es", "card": {"number": 2, "kind": "visa"}}
    attributes = {"sip.phoneNumber": "+34", "sip.callID": "SC_1"}
    content = {"participant": {"name": "Ana", "metadata": json.dumps(metadata), "attributes": attributes}}
    paths = ["participant.metadata.ssn", "participant.metadata.card.number", "participant.attributes.sip.phoneNumber"]
    left = leave_out(content, paths)
    assert json.loads(left["participant"]["metadata"]) == {"language": "es", "card": {"kind": "visa"}}
    assert left["participant"]["attributes"] == {"sip.callID": "SC_1"}
    assert left["participant"]["name"] == "Ana"
    assert content["participant"]["metadata"] == json.dumps(metadata)
