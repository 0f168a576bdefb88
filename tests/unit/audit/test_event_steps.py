"""What a timeline says of an event: who called and who was called, and why a room was closed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from livekit.protocol.models import RoomEndReason

from app.audit.calls.step import event_step
from app.audit.records.record_types import EventDetail
from app.db.types import EventOutcome, EventSource

NOW = datetime(2026, 11, 22, 14, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("role", "number", "title"),
    [
        ("caller", "+34600111222", "sip_1 joined room r, calling from +34600111222"),
        ("callee", "+34600111222", "sip_1 joined room r; +34600111222 was called"),
        ("callee", None, "sip_1 joined room r"),
    ],
)
def test_the_direction_of_a_phone_call(role: str, number: str | None, title: str) -> None:
    event = EventDetail(
        id="1", livekit_id="EV_1", project="default", type="participant_joined", source=EventSource.WEBHOOK,
        room_name="r", room_sid="RM_1", participant_identity="sip_1", participant_sid="PA_1", participant_kind="SIP",
        participant_role=role, phone_number=number, occurred_at=NOW, received_at=NOW, outcome=EventOutcome.PLANNED,
        rules_version=3, dedupe_key="k", body={}, decision=None,
    )  # fmt: skip
    assert event_step(event).title == title


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("ROOM_END_IDLE_TIMEOUT", "nobody was left in it (ROOM_END_IDLE_TIMEOUT)"),
        ("ROOM_END_API_DELETE", "it was deleted (ROOM_END_API_DELETE)"),
        ("ROOM_END_SUPERSEDED", "another session of its name took its place (ROOM_END_SUPERSEDED)"),
        ("ROOM_END_OF_TOMORROW", "ROOM_END_OF_TOMORROW"),
        (None, ""),
    ],
)
def test_why_a_room_was_closed(reason: str | None, text: str) -> None:
    event = EventDetail(
        id="1", livekit_id="EV_1", project="default", type="room_finished", source=EventSource.WEBHOOK,
        room_name="r", room_sid="RM_1", participant_identity="", participant_sid="", participant_kind="",
        participant_role="", phone_number=None, occurred_at=NOW, received_at=NOW, outcome=EventOutcome.IGNORED,
        rules_version=3, dedupe_key="k", body={"roomEndReason": reason} if reason else {}, decision=None,
    )  # fmt: skip
    assert (event_step(event).title, event_step(event).reason) == ("room r was closed", text)


@pytest.mark.parametrize(
    ("kind", "reason", "text"),
    [
        ("AGENT", "CLIENT_INITIATED", "it left by itself (CLIENT_INITIATED)"),
        ("STANDARD", "CLIENT_INITIATED", "hung up (CLIENT_INITIATED)"),
        ("AGENT", "AGENT_ERROR", "the agent failed (AGENT_ERROR)"),
        ("AGENT", "CONNECTION_TIMEOUT", "the connection was lost (CONNECTION_TIMEOUT)"),
        ("AGENT", "REASON_OF_TOMORROW", "REASON_OF_TOMORROW"),
    ],
)
def test_how_a_participant_left(kind: str, reason: str, text: str) -> None:
    event = EventDetail(
        id="1", livekit_id="EV_1", project="default", type="participant_left", source=EventSource.WEBHOOK,
        room_name="r", room_sid="RM_1", participant_identity="who", participant_sid="PA_1", participant_kind=kind,
        participant_role="", phone_number=None, occurred_at=NOW, received_at=NOW, outcome=EventOutcome.IGNORED,
        rules_version=3, dedupe_key="k", body={"participant": {"disconnectReason": reason}}, decision=None,
    )  # fmt: skip
    assert event_step(event).reason == text


def test_every_end_of_a_room_that_livekit_names_is_explained() -> None:
    for name in set(RoomEndReason.keys()) - {"ROOM_END_UNKNOWN"}:
        event = EventDetail(
            id="1", livekit_id="EV_1", project="default", type="room_finished", source=EventSource.WEBHOOK,
            room_name="r", room_sid="RM_1", participant_identity="", participant_sid="", participant_kind="",
            participant_role="", phone_number=None, occurred_at=NOW, received_at=NOW, outcome=EventOutcome.IGNORED,
            rules_version=3, dedupe_key="k", body={"roomEndReason": name}, decision=None,
        )  # fmt: skip
        assert event_step(event).reason.endswith(f" ({name})")
