"""Warnings about conditions that hold for phones that were dialled, or that no event can satisfy."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.warnings.rule_warnings import pattern_warnings

OURS = {"sip.trunkPhoneNumber": ["+15557654321"]}
OUR_NUMBER = "participant.attributes.sip.trunkPhoneNumber"


@pytest.mark.parametrize(
    ("pattern", "path", "suggestion"),
    [
        ({"participant": {"role": ["caller", "callee"], "attributes": OURS}}, OUR_NUMBER, True),
        ({"participant": {"role": [{"exists": True}], "attributes": OURS}}, OUR_NUMBER, True),
        ({"participant": {"role": [{"anything-but": "agent"}], "kind": ["SIP"], "attributes": OURS}}, OUR_NUMBER, True),
        ({"event": ["track_published"], "participant": {"state": ["ACTIVE"]}}, "participant.state", False),
        ({"event": [{"prefix": "track_"}], "participant": {"isPublisher": [True]}}, "participant.isPublisher", False),
        ({"event": ["track_published"], "room": {"metadata": {"vip": [True]}}}, "room.metadata.vip", False),
        ({"participant": {"phone": {"called": ["15557654321"]}}}, "participant.phone.called", True),
        ({"participant": {"phone": {"caller": ["7000", "+34600111222"]}}}, "participant.phone.caller", False),
        ({"participant": {"phone": {"number": ["+1"]}}}, "participant.phone.number", False),
        ({"participant": {"phone": {"direction": ["inbond"]}}}, "participant.phone.direction", True),
        ({"participant": {"role": ["calller"]}}, "participant.role", True),
        ({"participant": {"rol": ["caller"]}}, "participant.rol", True),
    ],
)
def test_probable_mistakes_are_warned_about(pattern: Any, path: str, *, suggestion: bool) -> None:
    ((_, warning),) = pattern_warnings(pattern)
    assert warning.path == path
    assert (warning.suggestion is not None) is suggestion


@pytest.mark.parametrize(
    "pattern",
    [
        {"participant": {"attributes": OURS}},  # L2: callers only
        {"participant": {"kind": ["SIP"], "attributes": OURS}},
        {"participant": {"role": ["caller"], "attributes": OURS}},
        {"participant": {"role": ["callee"], "attributes": {**OURS, "sip.callDirection": ["outbound"]}}},
        {"participant": {"role": ["caller", "callee"], "attributes": {**OURS, "sip.ruleID": [{"exists": True}]}}},
        {"participant": {"role": ["caller", "callee"], "attributes": OURS, "phone": {"direction": ["inbound"]}}},
        {"participant": {"phone": {"called": ["+15557654321"], "direction": ["inbound", "outbound"]}}},
        {"participant": {"phone": {"caller": [{"prefix": "+34"}]}}},
        {"event": ["track_published"], "participant": {"kind": ["SIP"], "metadata": {"a": [1]}, "role": ["caller"]}},
        {"event": ["track_published", "participant_joined"], "participant": {"state": ["ACTIVE"]}},
    ],
)
def test_sensible_patterns_are_not_warned_about(pattern: Any) -> None:
    assert pattern_warnings(pattern) == []
