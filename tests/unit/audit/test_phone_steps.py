"""What a timeline says of phones: who called, and who was called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

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
