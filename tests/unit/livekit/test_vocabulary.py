"""The vocabulary holds every value of the installed protocol; what a newer protocol adds shows here first."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from livekit.protocol.agent import JobStatus as JobStatusProtocol
from livekit.protocol.models import DisconnectReason as DisconnectReasonProtocol
from livekit.protocol.models import ParticipantInfo

from app.audit.calls.step import DISCONNECT_REASONS
from app.livekit.vocabulary import (
    CHOSEN,
    LEAVINGS,
    DisconnectReason,
    EventType,
    JobStatus,
    ParticipantKind,
)


@pytest.mark.parametrize(
    ("ours", "protocol"),
    [
        (ParticipantKind, ParticipantInfo.Kind),
        (DisconnectReason, DisconnectReasonProtocol),
        (JobStatus, JobStatusProtocol),
    ],
)
def test_each_enum_holds_the_values_of_the_installed_protocol(ours: type[StrEnum], protocol: Any) -> None:
    assert {member.value for member in ours} == set(protocol.keys())


def test_members_compare_with_text_and_unknown_text_is_in_no_set() -> None:
    assert f"{EventType.PARTICIPANT_LEFT}" == "participant_left"
    assert "participant_left" in LEAVINGS
    assert "ROOM_CLOSED" in CHOSEN
    assert "HOLOGRAM" not in CHOSEN


def test_every_reason_of_a_leaving_has_its_sentence() -> None:
    assert set(DISCONNECT_REASONS) == set(DisconnectReason) - {DisconnectReason.UNKNOWN_REASON}
