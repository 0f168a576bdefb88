"""How long a refusal of events counts."""

from __future__ import annotations

from app.flows.accept.refused_events import ONE_ROOM_S, SEVERAL_ROOMS_S, RefusedEvents


def test_one_room_counts_between_the_retries_of_livekit() -> None:
    refused = RefusedEvents()
    assert refused.trouble(0.0) == ""
    refused.note("default", "a", "why", 0.0)
    refused.note("default", "a", "why", 8.0)
    assert refused.trouble(17.0) == "why"
    assert refused.trouble(8.0 + ONE_ROOM_S) == ""


def test_several_rooms_count_for_longer() -> None:
    refused = RefusedEvents()
    refused.note("default", "a", "why", 0.0)
    refused.note("default", "b", "why", 1.0)
    refused.note("default", "b", "why", 2.0)
    assert refused.trouble(SEVERAL_ROOMS_S) == "why"
    assert refused.trouble(2.0 + SEVERAL_ROOMS_S) == ""


def test_an_event_that_is_stored_ends_it() -> None:
    refused = RefusedEvents()
    refused.note("default", "a", "why", 0.0)
    refused.note("default", "b", "why", 0.0)
    refused.clear()
    assert refused.trouble(0.0) == ""
    refused.note("default", "a", "why", 1.0)
    assert refused.trouble(1.0 + ONE_ROOM_S) == ""
