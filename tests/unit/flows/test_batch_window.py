"""Which webhooks wait a moment for others to share their transaction, and which begin one at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.db.types import EventSource
from app.flows.accept.batch_window import WAITS_PER_ROOM, WINDOW_S, BatchWindows
from app.rules import RuleBook
from app.webhook.event import Event
from app.webhook.parse import build_event
from tests.conftest import StillClock
from tests.unit.rules.books import make_row

NOW = datetime(2026, 11, 26, tzinfo=UTC)
BOOK = RuleBook.build([make_row(1, {"participant": {"attributes": {"plan": ["gold"]}}})], 1)
CALLER = {"sid": "PA_1", "identity": "ana"}
AGENT = {"sid": "PA_2", "identity": "agent-AJ_1", "kind": "AGENT", "permission": {"agent": True}}


def webhook(event_type: str, participant: dict[str, Any] | None = None, *, room: str = "room") -> Event:
    content = {"event": event_type, "id": "EV_1", "room": {"sid": "RM_1", "name": room}}
    if participant is not None:
        content["participant"] = participant
    return build_event(content, project="default", source=EventSource.WEBHOOK, received_at=NOW, event_id="1")


def window_of(event: Event, book: RuleBook = BOOK) -> float:
    return BatchWindows(StillClock()).window_of(book, event)


@pytest.mark.parametrize(
    ("event_type", "participant"),
    [
        ("room_started", None),
        ("room_finished", None),
        ("track_published", CALLER),
        ("track_unpublished", AGENT),
        ("egress_ended", None),
        ("participant_joined", AGENT),
        ("participant_left", CALLER),
        ("participant_left", {**AGENT, "disconnectReason": "ROOM_CLOSED"}),
        ("participant_left", {**AGENT, "disconnectReason": "ROOM_DELETED"}),
    ],
)
def test_what_brings_no_call_to_livekit_waits_for_company(event_type: str, participant: dict[str, Any] | None) -> None:
    assert window_of(webhook(event_type, participant)) == WINDOW_S


@pytest.mark.parametrize(
    ("event_type", "participant"),
    [
        ("participant_joined", CALLER),
        ("participant_joined", {**CALLER, "kind": "SIP", "attributes": {"sip.ruleID": "SDR_1"}}),
        ("participant_joined", {**CALLER, "kind": "A_KIND_OF_TOMORROW"}),
        ("participant_left", AGENT),
        ("participant_left", {**AGENT, "disconnectReason": "AGENT_ERROR"}),
        ("participant_left", {**AGENT, "disconnectReason": ["ROOM_CLOSED"]}),
        ("participant_connection_aborted", AGENT),
        ("agent_job_ended", None),
    ],
)
def test_what_may_lead_to_an_agent_does_not_wait(event_type: str, participant: dict[str, Any] | None) -> None:
    assert window_of(webhook(event_type, participant)) == 0.0


def test_nothing_waits_that_a_rule_may_name() -> None:
    tracks = RuleBook.build([make_row(1, {"event": ["track_published"]})], 1)
    assert window_of(webhook("track_published", CALLER), tracks) == 0.0
    agents = RuleBook.build([make_row(1, {"participant": {"role": ["agent"]}})], 1)
    assert window_of(webhook("participant_joined", AGENT), agents) == 0.0
    assert window_of(webhook("track_published", CALLER), agents) == WINDOW_S


def test_the_webhooks_of_a_busy_room_stop_waiting_and_those_of_others_do_not() -> None:
    clock = StillClock()
    windows = BatchWindows(clock)
    busy, other = webhook("track_published", CALLER), webhook("track_published", CALLER, room="other")
    assert [windows.window_of(BOOK, busy) for _ in range(WAITS_PER_ROOM + 2)] == [WINDOW_S] * WAITS_PER_ROOM + [0.0] * 2
    assert windows.window_of(BOOK, other) == WINDOW_S
    clock.advance(1.0)
    assert windows.window_of(BOOK, busy) == WINDOW_S
