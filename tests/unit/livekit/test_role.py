"""One function decides what a participant is, for webhooks and for LiveKit's lists alike."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from livekit.protocol.models import ParticipantInfo

from app.db.types import EventSource
from app.livekit.answers import seen_participant
from app.livekit.participant.role import Role, is_trimmed
from app.webhook.event import Event
from app.webhook.parse import build_event

RECORDED = Path(__file__).parents[2] / "data/webhooks"
NOW = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
INBOUND = {"sip.ruleID": "SDR_1"}
FORWARDED, SIMULATION = {"kindDetails": ["FORWARDED"]}, {"kindDetails": ["SIMULATION"]}


def event_of(participant: dict[str, Any], event: str = "participant_joined") -> Event:
    return build_event(
        {
            "event": event,
            "id": "EV_1",
            "participant": {"sid": "PA_1", "identity": "x", "state": "ACTIVE"} | participant,
        },
        project="default",
        source=EventSource.WEBHOOK,
        received_at=NOW,
        event_id="1",
    )


def listed(participant: dict[str, Any]) -> Role:
    return seen_participant(ParseDict(participant, ParticipantInfo(), ignore_unknown_fields=True)).role


CASES: list[tuple[dict[str, Any], Role]] = [
    ({}, Role.CALLER),
    ({"permission": {"canPublish": True}}, Role.CALLER),
    ({"kind": "SIP", "attributes": INBOUND}, Role.CALLER),
    ({"kind": "CONNECTOR"}, Role.CALLER),
    ({"kind": "CONNECTOR", "kindDetails": ["CONNECTOR_WHATSAPP"]}, Role.CALLER),
    ({"kind": "BRIDGE"}, Role.CALLER),
    ({"kind": 9}, Role.CALLER),
    ({"kind": "AGENT"}, Role.AGENT),
    ({"kind": 4}, Role.AGENT),
    ({"kind": "AGENT", "permission": {"agent": True, "hidden": True}}, Role.AGENT),
    ({"kind": "AGENT", "kindDetails": ["CLOUD_AGENT"]}, Role.AGENT),
    ({"permission": {"agent": True}}, Role.AGENT),
    ({"kind": "SIP", "permission": {"agent": True}}, Role.AGENT),
    ({"permission": {"agent": True, "recorder": True, "hidden": True}}, Role.AGENT),
    ({"kind": "AGENT", "attributes": {"lk.publish_on_behalf": "agent-x"}}, Role.AVATAR),
    ({"permission": {"agent": True}, "attributes": {"lk.publish_on_behalf": "agent-x"}}, Role.AVATAR),
    ({"attributes": {"lk.publish_on_behalf": ""}}, Role.CALLER),
    ({"kind": "EGRESS"}, Role.EGRESS),
    ({"kind": "EGRESS", "permission": {"hidden": True, "recorder": True}}, Role.EGRESS),
    ({"kind": "INGRESS"}, Role.INGRESS),
    ({"permission": {"recorder": True}}, Role.RECORDER),
    ({"permission": {"recorder": True, "hidden": True}}, Role.RECORDER),
    ({"permission": {"hidden": True}}, Role.SUPERVISOR),
    ({"kind": "SIP", "permission": {"hidden": True}}, Role.SUPERVISOR),
    (FORWARDED, Role.FORWARDED),
    ({"kindDetails": [1]}, Role.FORWARDED),
    ({"kind": "SIP", "attributes": INBOUND, **FORWARDED}, Role.FORWARDED),
    ({"kind": "SIP", **FORWARDED}, Role.FORWARDED),
    (SIMULATION, Role.SIMULATOR),
    ({"attributes": {"lk.simulator": "true"}}, Role.SIMULATOR),
    ({"attributes": {"lk.simulator": ""}}, Role.SIMULATOR),
    ({"kindDetails": [99]}, Role.CALLER),
    ({"kind": "SIP"}, Role.CALLEE),
    ({"kind": "SIP", "attributes": {"sip.ruleID": ""}}, Role.CALLEE),
    ({"kind": "SIP", "attributes": {**INBOUND, "sip.callDirection": "outbound"}}, Role.CALLEE),
    ({"kind": "SIP", "attributes": {**INBOUND, "sip.callDirection": "Outgoing"}}, Role.CALLEE),
    ({"kind": "SIP", "attributes": {"sip.callDirection": "inbound"}}, Role.CALLER),
    ({"kind": "CONNECTOR", "attributes": {"direction": "outbound"}}, Role.CALLEE),
    ({"attributes": {"direction": "outbound"}}, Role.CALLER),
]


@pytest.mark.parametrize(("participant", "role"), CASES, ids=[f"{role}-{case}" for case, role in CASES])
def test_the_role_of_a_participant(participant: dict[str, Any], role: Role) -> None:
    event = event_of(participant)
    assert event.participant_role == role
    assert event.document["participant"]["role"] == role
    assert type(event.document["participant"]["role"]) is str
    assert listed(participant) is role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("participant_joined_agent", Role.AGENT),
        ("participant_joined_agent_after_node_loss", Role.AGENT),
        ("participant_joined_avatar", Role.AVATAR),
        ("participant_joined_browser", Role.CALLER),
        ("participant_joined_node_agent_own_identity", Role.AGENT),
        ("participant_joined_sip", Role.CALLER),
        ("participant_joined_sip_hidden_number", Role.CALLER),
        ("participant_joined_sip_outbound_dialing", Role.CALLEE),
        ("participant_joined_web", Role.CALLER),
        ("participant_left_agent_done", Role.AGENT),
        ("participant_left_sip_outbound_busy", Role.CALLEE),
        ("participant_left_web", Role.CALLER),
        ("room_finished_1.13.11_idle", ""),
        ("room_started", ""),
        ("room_started_again_after_node_loss", ""),
        ("track_published_browser_camera", ""),
        ("track_published_sip", ""),
    ],
)
def test_the_role_in_a_recorded_body(name: str, role: str) -> None:
    body = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))
    event = build_event(body, project="default", source=EventSource.WEBHOOK, received_at=NOW, event_id="1")
    assert event.participant_role == role
    if role:
        assert listed(body["participant"]) is role


def test_every_recorded_body_is_in_the_table() -> None:
    table = next(iter(test_the_role_in_a_recorded_body.pytestmark)).args[1]  # type: ignore[attr-defined]
    assert {path.stem for path in RECORDED.glob("*.json")} == {name for name, _ in table}


@pytest.mark.parametrize(
    "wrong",
    [
        {"permission": "x"},
        {"permission": {"agent": "yes"}},
        {"kindDetails": "FORWARDED"},
        {"kind": None},
    ],
)
def test_a_field_of_a_wrong_type_counts_as_left_out(wrong: dict[str, Any]) -> None:
    assert event_of(wrong).participant_role == Role.CALLER


def test_redaction_does_not_change_the_role() -> None:
    body = {"event": "participant_joined", "participant": {"sid": "PA_1", "kind": "SIP", "attributes": INBOUND}}
    event = build_event(
        body,
        project="default",
        source=EventSource.WEBHOOK,
        received_at=NOW,
        event_id="1",
        redact=["participant.attributes"],
    )
    assert event.document["participant"]["role"] == event.shareable["participant"]["role"] == "caller"
    assert "attributes" not in event.shareable["participant"]


@pytest.mark.parametrize("event_type", ["track_published", "track_unpublished"])
def test_nothing_is_invented_for_a_trimmed_participant(event_type: str) -> None:
    content = {"event": event_type, "id": "EV_1", "participant": {"sid": "PA_1", "identity": "ana"}}
    event = build_event(content, project="default", source=EventSource.WEBHOOK, received_at=NOW, event_id="1")
    assert event.document["participant"] == {"sid": "PA_1", "identity": "ana"}
    assert (event.participant_kind, event.participant_role) == ("", "")
    assert not is_trimmed(event_type, {"sid": "PA_1", "state": "ACTIVE"})
    assert not is_trimmed("participant_joined", {"sid": "PA_1"})
