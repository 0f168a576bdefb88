"""A LiveKit that is newer than the installed protocol sends enum values that it does not know: they pass through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict
from livekit.protocol.agent_dispatch import AgentDispatch, ListAgentDispatchResponse
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListParticipantsResponse, ListRoomsResponse
from livekit.protocol.webhook import WebhookEvent

from app.db.types import EventSource
from app.livekit.answers import seen_dispatch, seen_participant, seen_room
from app.livekit.participant.role import Role
from app.livekit.webhook_delivery import Signature
from app.webhook.parse import build_event, parse

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
UNKNOWN = 99


def enum_fields(message: Any, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Yield the path to each enum field of a message, through messages inside messages."""
    for field in message.fields:
        if field.enum_type is not None:
            yield (*path, field)
        elif field.message_type is not None and field.message_type not in [one.message_type for one in path]:
            yield from enum_fields(field.message_type, (*path, field))


def json_with(path: tuple[FieldDescriptor, ...], value: Any) -> dict[str, Any]:
    """Return protojson that holds nothing but `value` at `path`."""
    first, *rest = path
    inner = json_with(tuple(rest), value) if rest else value
    if first.message_type is not None and first.message_type.GetOptions().map_entry:
        return {first.json_name: {"key": inner["value"]}} if "value" in inner else {}
    return {first.json_name: [inner] if first.is_repeated else inner}


def name(path: tuple[FieldDescriptor, ...]) -> str:
    return ".".join(field.json_name for field in path)


ANSWERS: tuple[Any, ...] = (ListParticipantsResponse, ListRoomsResponse, ListAgentDispatchResponse)
CASES = [
    pytest.param(response, path, id=f"{response.DESCRIPTOR.name}-{name(path)}")
    for response in ANSWERS
    for path in enum_fields(response.DESCRIPTOR)
]


def test_the_cases_cover_kinds_and_job_statuses() -> None:
    names = {str(case.id) for case in CASES}
    assert {"ListParticipantsResponse-participants.kind", "ListParticipantsResponse-participants.state"} <= names
    assert "ListAgentDispatchResponse-agentDispatches.state.jobs.state.status" in names


@pytest.mark.parametrize(("response", "path"), CASES)
def test_an_unknown_value_in_any_enum_field_of_an_answer_is_read(
    response: Any, path: tuple[FieldDescriptor, ...]
) -> None:
    answer = ParseDict(json_with(path, UNKNOWN), response())
    for dispatch in getattr(answer, "agent_dispatches", ()):
        seen_dispatch(dispatch)
    for room in getattr(answer, "rooms", ()):
        content = {"event": "room_started", "room": seen_room(room).webhook_json()}
        build_event(content, project="p", source=EventSource.SWEEP, received_at=NOW, event_id="1")
    for participant in getattr(answer, "participants", ()):
        content = {"event": "participant_joined", "participant": seen_participant(participant).webhook_json()}
        build_event(content, project="p", source=EventSource.SWEEP, received_at=NOW, event_id="1")


def test_an_unknown_kind_or_job_status_is_its_number_in_text() -> None:
    participant = ParseDict({"identity": "ana", "kind": 9, "state": 2}, ParticipantInfo())
    seen = seen_participant(participant)
    assert (seen.kind, seen.active) == ("9", True)
    listed = ParseDict({"id": "AD_1", "state": {"jobs": [{"state": {"status": 17}}]}}, AgentDispatch())
    assert [job.status for job in seen_dispatch(listed).jobs] == ["17"]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [(9, "9"), (3, "SIP"), (0, "STANDARD"), ("HOLOGRAM", "HOLOGRAM"), ("SIP", "SIP"), (None, "STANDARD")],
)
def test_a_webhooks_kind_is_text_however_it_was_sent(sent: Any, kind: str) -> None:
    participant = {"sid": "PA_1", "identity": "ana", "kind": sent}
    body = json.dumps({"event": "participant_joined", "id": "EV_1", "participant": participant}).encode()
    event = parse(body, Signature("p", 0), NOW, "1")
    assert event.participant_kind == kind
    assert event.document["participant"]["kind"] == kind or sent is None


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=name(path)) for path in enum_fields(WebhookEvent.DESCRIPTOR)],
)
@pytest.mark.parametrize("value", [UNKNOWN, -1, "BRAND_NEW"])
def test_an_unknown_value_in_any_enum_field_of_a_webhook_is_read(path: tuple[FieldDescriptor, ...], value: Any) -> None:
    content = {"event": "brand_new", **json_with(path, value)}
    event = parse(json.dumps(content).encode(), Signature("p", 0), NOW, "1")
    assert json.dumps(event.body) == json.dumps(content)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "data/webhooks").glob("*.json")), ids=lambda p: p.stem
)
def test_any_field_of_a_webhook_may_be_missing(path: Path) -> None:
    body = json.loads(path.read_text("utf-8"))
    for name in [key for key in body if key != "event"]:
        read_event({key: value for key, value in body.items() if key != name})
    for name in ("room", "participant", "track"):
        for field in body.get(name, {}):
            event = read_event({**body, name: {key: value for key, value in body[name].items() if key != field}})
            assert event.participant_role in {"", *Role}


def read_event(content: dict[str, Any]) -> Any:
    return build_event(content, project="p", source=EventSource.WEBHOOK, received_at=NOW, event_id="1")


def test_any_field_of_an_answer_may_be_missing() -> None:
    participant = seen_participant(ParticipantInfo())
    assert (participant.kind, participant.role, participant.active) == ("STANDARD", Role.CALLER, False)
    assert seen_dispatch(AgentDispatch()).jobs == ()
    assert seen_dispatch(AgentDispatch(state={"jobs": [{}]})).jobs[0].status == "JS_PENDING"
