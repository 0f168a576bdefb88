"""Warnings about fields that LiveKit is not known to send, and values that they never hold."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.language.pattern import read_pattern
from app.rules.warnings.known_fields import check_fields


@pytest.mark.parametrize(
    ("pattern", "path", "suggestion"),
    [
        ({"rooom": {"name": ["x"]}}, "rooom", "room"),
        ({"room": {"Name": ["x"]}}, "room.Name", "room.name"),
        ({"room": {"num_participants": [5]}}, "room.num_participants", "room.numParticipants"),
        ({"room": {"numParticipants": ["5"]}}, "room.numParticipants", "5"),
        ({"room": {"name": [5]}}, "room.name", '"5"'),
        ({"room": ["x"]}, "room", None),
        ({"room": {"name": {"first": ["x"]}}}, "room.name.first", None),
        ({"room": {"turnPassword": [{"exists": True}]}}, "room.turnPassword", None),
        ({"room": {"enabledCodecs": {"mime": ["audio/opus"]}}}, "room.enabledCodecs.mime", None),
        ({"participant": {"kind": ["sip"]}}, "participant.kind", "SIP"),
        ({"participant": {"permission": {"canPublish": ["True"]}}}, "participant.permission.canPublish", "true"),
        ({"event": ["participant_join"]}, "event", "participant_joined"),
        (
            {"participant": {"attributes": {"sip.trunkphonenumber": ["+1"]}}},
            "participant.attributes.sip.trunkphonenumber",
            "participant.attributes.sip.trunkPhoneNumber",
        ),
    ],
)
def test_fields_that_livekit_never_sends_are_warned_about(pattern: Any, path: str, suggestion: str | None) -> None:
    (warning,) = check_fields(read_pattern(pattern))
    assert (warning.path, warning.suggestion) == (path, suggestion)


@pytest.mark.parametrize(
    "pattern",
    [
        {"event": ["participant_updated"], "project": ["default"]},
        {"room": {"metadata": {"anything": {"at": ["all"]}}, "name": [{"anything-but": "x"}]}},
        {"participant": {"metadata": ["plain"], "attributes": {"tier": ["gold"], "sip.h.X-Lang": ["es"]}}},
        {"participant": {"attributes": {"sip.trunkPhoneNumber": ["+1"], "lk.agent_name": ["x"]}}},
        {"participant": {"kind": ["SIP", "STANDARD", {"prefix": "x"}], "joinedAt": [{"numeric": [">", 5]}]}},
        {"participant": {"tracks": {"source": ["MICROPHONE"]}, "permission": {"canPublish": [True]}}},
        {"track": {"type": ["AUDIO"]}, "job": {"room": {"name": ["x"]}}},
        {"participant.attributes.sip.callID": ["x"]},
        {"room": {"name": [None]}},
    ],
)
def test_fields_that_livekit_may_send_are_not_warned_about(pattern: Any) -> None:
    assert check_fields(read_pattern(pattern)) == []
