"""Warnings about what no recent event holds, and about agents that have not joined."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.language.pattern import full_pattern, read_pattern
from app.rules.warnings.unseen import Traffic, check_agents, check_traffic


def joined(identity: str, **participant: Any) -> dict[str, Any]:
    return {
        "event": "participant_joined",
        "room": {"name": "hall", "numParticipants": 2},
        "participant": {"identity": identity, "kind": "STANDARD", **participant},
    }


@pytest.fixture
def traffic() -> Traffic:
    traffic = Traffic()
    for number, language in enumerate(("es", "es", "en", "ca")):
        metadata = {"language": language, "vip": number == 0, "tags": ["a", "b"]}
        attributes = {"tier": "gold", "sip.trunkPhoneNumber": "+15557654321"}
        traffic.add("participant_joined", joined(f"user-{number}", metadata=metadata, attributes=attributes))
    traffic.add(
        "participant_left", {"event": "participant_left", "participant": {"disconnectReason": "CLIENT_INITIATED"}}
    )
    return traffic


def warned(pattern: Any, traffic: Traffic) -> tuple[list[tuple[str, str | None]], list[tuple[str, str | None]]]:
    paths, values = check_traffic(read_pattern(full_pattern(pattern)), traffic)
    return [(one.path, one.suggestion) for one in paths], [(one.path, one.suggestion) for one in values]


@pytest.mark.parametrize(
    ("pattern", "path", "nearest"),
    [
        (
            {"participant": {"metadata": {"langauge": ["es"]}}},
            "participant.metadata.langauge",
            "participant.metadata.language",
        ),
        (
            {"participant": {"attributes": {"teir": [{"exists": True}]}}},
            "participant.attributes.teir",
            "participant.attributes.tier",
        ),
        ({"participant": {"metadata": {"account": {"id": [7]}}}}, "participant.metadata.account.id", None),
        ({"participant": {"language": ["es"]}}, "participant.language", "participant.metadata.language"),
        ({"participant": {"disconnectReason": ["CLIENT_INITIATED"]}}, "participant.disconnectReason", None),
        ({"event": ["participant_left"], "room": {"name": ["hall"]}}, "room.name", None),
    ],
)
def test_a_path_that_no_event_has_is_named_with_the_nearest(
    traffic: Traffic, pattern: Any, path: str, nearest: str | None
) -> None:
    assert warned(pattern, traffic) == ([(path, nearest)], [])


@pytest.mark.parametrize(
    ("pattern", "path", "nearest"),
    [
        ({"participant": {"metadata": {"language": ["ess", "en"]}}}, "participant.metadata.language", '"es"'),
        ({"participant": {"metadata": {"vip": ["true"]}}}, "participant.metadata.vip", "true"),
        ({"participant": {"metadata": {"tags": ["c"]}}}, "participant.metadata.tags", None),
        ({"room": {"numParticipants": [{"numeric": [">", 5]}]}}, "room.numParticipants", None),
        ({"room": {"name": [{"prefix": "support-"}]}}, "room.name", None),
        ({"participant": {"identity": [{"wildcard": "admin*"}, "user-9"]}}, "participant.identity", '"user-3"'),
    ],
)
def test_a_value_that_no_event_has_is_named(traffic: Traffic, pattern: Any, path: str, nearest: str | None) -> None:
    paths, values = warned(pattern, traffic)
    assert paths == []
    assert [one for one, _ in values] == [path]
    if nearest in {None, '"es"', "true"}:
        assert values[0][1] == nearest


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"participant": {"metadata": {"language": ["es", "en"], "vip": [True]}}},
        {"participant": {"metadata": {"tags": ["b"]}, "attributes": {"tier": [{"anything-but": "silver"}]}}},
        {"participant": {"metadata": {"gone": [{"exists": False}]}}},
        {"participant": {"metadata": {"gone": [{"exists": False}, "x"]}}},
        {"event": ["track_published"], "track": {"source": ["CAMERA"]}},  # none was seen at all
        {"event": ["participant_left", "participant_joined"], "participant": {"disconnectReason": [{"exists": True}]}},
        {"room": {"name": [{"prefix": "ha"}], "numParticipants": [{"numeric": [">", 1]}]}},
    ],
)
def test_what_events_hold_brings_no_warning(traffic: Traffic, pattern: Any) -> None:
    assert warned(pattern, traffic) == ([], [])


def test_without_events_there_is_no_warning() -> None:
    assert warned({"participant": {"metadata": {"language": ["es"]}}}, Traffic()) == ([], [])


@pytest.mark.parametrize("hidden", ["participant.metadata", "participant.metadata.iban", "participant.metadata.iban.x"])
def test_what_is_not_stored_is_not_missed(traffic: Traffic, hidden: str) -> None:
    traffic.hidden = [hidden]
    assert warned({"participant": {"metadata": {"iban": [{"exists": True}]}}}, traffic) == ([], [])


def test_of_a_field_with_very_many_values_none_is_missed(traffic: Traffic) -> None:
    for number in range(1500):
        traffic.add("participant_joined", joined(f"caller-{number}"))
    assert warned({"participant": {"identity": ["nobody"]}}, traffic) == ([], [])


def test_the_message_says_which_events_were_examined(traffic: Traffic) -> None:
    pattern = read_pattern({"participant": {"metadata": {"langauge": ["es"]}}})
    ((problem,), _) = check_traffic(pattern, traffic)
    assert problem.message == "is in no participant_joined event of the last 7 days (4 read)"
    traffic.is_whole = False
    ((problem,), _) = check_traffic(pattern, traffic)
    assert problem.message.endswith("(the latest 4 read)")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["support-es"], []),
        (["suport-es"], [("suport-es", "support-es", "has never joined")]),
        (["support-es", "absent"], [("absent", None, "has joined none of its latest dispatches")]),
        (["other", "other"], [("other", None, "has never joined")]),
    ],
)
def test_an_agent_that_has_not_joined_is_named_with_the_nearest(names: list[str], expected: list[Any]) -> None:
    found = check_agents(names, {"support-es": True, "absent": False, "sales-en": True})
    assert [(one.found, one.suggestion) for one in found] == [(name, near) for name, near, _ in expected]
    assert all(why in one.message for one, (_, _, why) in zip(found, expected, strict=True))


def test_where_no_agent_has_ever_joined_none_is_missed() -> None:
    assert check_agents(["anybody"], {}) == []
    assert check_agents(["anybody"], {"other": False}) == []


def test_a_number_that_events_hold_as_a_text_is_suggested_as_one(traffic: Traffic) -> None:
    traffic.add("participant_joined", joined("eva", metadata={"account": "4410", "floor": 3}))
    paths, values = warned({"participant": {"metadata": {"account": [4410]}}}, traffic)
    assert (paths, values) == ([], [("participant.metadata.account", '"4410"')])
    paths, values = warned({"participant": {"metadata": {"floor": ["3"]}}}, traffic)
    assert (paths, values) == ([], [("participant.metadata.floor", "3")])


def test_traffic_counts_events_and_values(traffic: Traffic) -> None:
    counted = traffic.copy()
    counted.add("participant_joined", joined("eva", metadata={"language": "es", "tags": ["c", "d"]}))
    joins = "participant_joined"
    assert counted.values[joins]["participant.metadata.language"] == {"es": 3, "en": 1, "ca": 1}
    assert (counted.paths[joins]["participant.metadata.tags"], counted.events[joins]) == (5, 5)
    assert traffic.values[joins]["participant.metadata.language"] == {"es": 2, "en": 1, "ca": 1}, "a copy is its own"
    assert traffic.paths[joins]["participant.metadata.tags"] == 4
