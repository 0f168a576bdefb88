"""Bodies are what a real server wrote: held against recordings, and read back with LiveKit's own messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, Parse
from livekit.protocol.webhook import WebhookEvent

from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from app.simulator.entities import Participant, Presence, Room, Track
from app.simulator.webhook_bodies import build_body

RECORDED = Path(__file__).parents[2] / "data/webhooks"


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return document


def instant(milliseconds: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))


def room_of(document: dict[str, Any]) -> Room:
    room = document["room"]
    return Room(
        sid=room["sid"],
        name=room["name"],
        created_at=instant(room.get("creationTimeMs", "0")),
        turn_password=room.get("turnPassword", ""),
        empty_timeout=room.get("emptyTimeout", 300),
        departure_timeout=room.get("departureTimeout", 20),
    )


def participant_of(document: dict[str, Any]) -> Participant:
    said = document["participant"]
    return Participant(
        sid=said["sid"],
        identity=said["identity"],
        kind=ParticipantKind[said.get("kind", "STANDARD")],
        joined_at=instant(said.get("joinedAtMs", "0")),
        name=said.get("name", ""),
        metadata=said.get("metadata", ""),
        attributes=said.get("attributes", {}),
        presence=Presence[said.get("state", "JOINING")],
        version=said.get("version", 0),
        leave_reason=DisconnectReason[said.get("disconnectReason", "UNKNOWN_REASON")],
    )


def build(document: dict[str, Any], participant: Participant | None, track: Track | None = None) -> bytes:
    at = datetime.fromtimestamp(int(document["createdAt"]), UTC)
    ended = document.get("roomEndReason", "")
    return build_body(
        document["event"],
        room_of(document),
        participant,
        track,
        event_id=document["id"],
        at=at,
        end_reason=ended,
    )


@pytest.mark.parametrize(
    "name",
    [
        "participant_joined_web",
        "participant_joined_agent",
        "participant_joined_sip",
        "participant_joined_sip_hidden_number",
        "participant_joined_sip_outbound_dialing",
        "participant_left_web",
        "participant_left_agent_done",
    ],
)
def test_a_body_about_a_participant_is_as_recorded(name: str) -> None:
    document = recorded(name)
    written = json.loads(build(document, participant_of(document)))
    assert written == document
    assert list(written) == list(document)
    assert list(written["participant"]) == list(document["participant"])


@pytest.mark.parametrize("name", ["room_started", "room_started_again_after_node_loss", "room_finished_1.13.11_idle"])
def test_a_body_about_a_room_is_as_recorded(name: str) -> None:
    document = recorded(name)
    written = json.loads(build(document, None))
    assert written == document
    assert list(written["room"]) == list(document["room"])


def test_a_body_about_a_track_is_as_recorded() -> None:
    document = recorded("track_published_sip")
    published = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=int(document["track"]["version"]["unixMicro"])
    )
    track = Track(document["track"]["sid"], document["track"]["name"], published)
    assert json.loads(build(document, participant_of(document), track)) == document


def test_livekits_own_messages_read_a_body_without_loss() -> None:
    document = recorded("participant_joined_sip")
    body = build(document, participant_of(document))
    event = Parse(body, WebhookEvent())  # raises on any field that the protocol does not know
    assert MessageToDict(event) == json.loads(body)


def test_what_is_default_is_left_out() -> None:
    document = recorded("participant_joined_web")
    stranger = Participant(sid="PA_x", identity="x", kind=ParticipantKind.STANDARD, joined_at=instant("1795364212395"))
    written = json.loads(build(document, stranger))["participant"]
    assert not {"kind", "state", "metadata", "name", "attributes", "disconnectReason", "isPublisher"} & set(written)


def test_text_of_any_language_stays_text() -> None:
    document = recorded("participant_joined_web")
    participant = participant_of(document)
    participant.name = "Núria 😀"
    assert "Núria 😀".encode() in build(document, participant)
