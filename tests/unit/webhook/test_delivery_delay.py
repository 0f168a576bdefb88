"""Since when a caller waits whose webhook was late, whatever LiveKit's clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db.types import EventSource
from app.webhook.delivery_delay import MAX_DELAY_S, DeliveryDelays
from app.webhook.event import Event
from app.webhook.parse import build_event

START = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
DIFFERENCES = [0.0, 300.0, -300.0, 7.25, -7.25]
"""Seconds by which LiveKit's clock is behind ours."""


def join(at: float, *, behind: float = 0.0, late: float = 0.0, **participant: Any) -> Event:
    """Return the join of `at` seconds after the start, by our clock, whose webhook came `late` seconds later."""
    joined = (START + timedelta(seconds=at - behind)).timestamp()
    return webhook(
        "participant_joined",
        at,
        behind=behind,
        late=late,
        participant={"joinedAtMs": int(joined * 1000), **participant},
    )


def webhook(
    event: str, at: float, *, behind: float = 0.0, late: float = 0.0, project: str = "default", **content: Any
) -> Event:
    made = (START + timedelta(seconds=at - behind)).timestamp()
    return build_event(
        {"event": event, "createdAt": str(int(made)), "room": {"name": "room", "sid": "RM_1"}, **content},
        project=project,
        source=EventSource.WEBHOOK,
        received_at=START + timedelta(seconds=at + late),
        event_id="event",
    )


def counted(event: Event) -> float | None:
    """Return how long the caller had waited when the webhook came; None if it counts from then."""
    return None if event.waiting_since is None else (event.received_at - event.waiting_since).total_seconds()


def some_minutes_of(delays: DeliveryDelays, behind: float, *, until: float = 300.0) -> None:
    for number in range(int(until)):
        delays.dated(join(number + 0.37 * (number % 3), behind=behind, late=0.05))


@pytest.mark.parametrize("behind", DIFFERENCES)
def test_a_late_join_counts_from_the_join_whatever_the_difference_of_the_clocks(behind: float) -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, behind)
    late = delays.dated(join(301.4, behind=behind, late=10))
    assert counted(late) == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("behind", DIFFERENCES)
def test_joins_on_time_count_from_their_receipt(behind: float) -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, behind)
    for number in range(100):
        assert counted(delays.dated(join(300 + number * 1.03, behind=behind, late=0.3))) is None


def test_the_first_webhook_may_be_late_if_the_clocks_agree() -> None:
    delays = DeliveryDelays()
    assert counted(delays.dated(join(0.4, late=9))) == pytest.approx(9, abs=0.1)
    assert counted(delays.dated(join(1.9, late=7.6))) == pytest.approx(7.6, abs=0.1)
    assert counted(delays.dated(join(9.6, late=0.1))) is None


@pytest.mark.parametrize("behind", [300.0, -300.0])
def test_of_clocks_that_are_minutes_apart_the_first_joins_count_from_their_receipt(behind: float) -> None:
    delays = DeliveryDelays()
    assert [counted(delays.dated(join(number, behind=behind, late=0.1))) for number in range(50)] == [None] * 50


def test_a_clock_that_is_some_seconds_behind_is_known_after_a_minute() -> None:
    delays = DeliveryDelays()
    found = [counted(delays.dated(join(number, behind=8.0, late=0.1))) for number in range(120)]
    assert found[0] == pytest.approx(8.1, abs=0.1)
    assert found[61:] == [None] * 59


@pytest.mark.parametrize("step", [5.0, -5.0, 3600.0, -3600.0])
def test_a_clock_that_is_set_is_known_after_two_minutes(step: float) -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, 0.0, until=100)
    found = [counted(delays.dated(join(100 + number, behind=step, late=0.1))) for number in range(300)]
    assert found[121:] == [None] * 179
    assert all(one is None or one < MAX_DELAY_S for one in found)


def test_after_a_failure_all_that_was_retried_counts_from_its_join() -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, 300.0)
    found = [
        counted(delays.dated(join(700 + number / 10, behind=300.0, late=20 - number / 10))) for number in range(180)
    ]
    assert found == [pytest.approx(20 - number / 10, abs=0.1) for number in range(180)]


def test_what_cannot_be_a_delay_is_none() -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, 0.0)
    assert counted(delays.dated(join(300, late=MAX_DELAY_S - 1))) == pytest.approx(MAX_DELAY_S - 1, abs=0.1)
    assert counted(delays.dated(join(310, late=MAX_DELAY_S + 1))) is None  # another node's clock, or one was set


@pytest.mark.parametrize("created_at", [None, "0", "-5", "99999999999999999999", 10**400, 1e308, "soon", {}, True])
def test_times_that_no_clock_shows_change_nothing(created_at: Any) -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, 0.0)
    for number in range(3):
        event = webhook("room_started", 300 + number, participant={"joinedAtMs": 10**400}, createdAt=created_at)
        assert delays.dated(event) == event
    assert counted(delays.dated(join(310.2, late=5))) == pytest.approx(5, abs=0.1)


def test_only_joins_are_dated_and_each_project_has_its_clock() -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, 0.0)
    assert delays.dated(webhook("participant_left", 301, late=9)).waiting_since is None
    other = delays.dated(webhook("track_published", 302, behind=-300, project="other"))
    assert other.waiting_since is None
    assert counted(delays.dated(join(303.1, late=9))) == pytest.approx(9, abs=0.1)


@pytest.mark.parametrize("behind", DIFFERENCES)
def test_what_a_sweep_finds_counts_from_the_join_for_two_sweeps_at_most(behind: float) -> None:
    delays = DeliveryDelays()
    some_minutes_of(delays, behind)
    for waited, expected in ((0.5, None), (25.0, 25.0), (59.0, 59.0), (61.0, 60.0), (7200.0, 60.0)):
        found = delays.dated_by_sweep(join(300.0, behind=behind, late=waited), 30.0)
        assert counted(found) == (None if expected is None else pytest.approx(expected, abs=0.1))
    assert counted(delays.dated_by_sweep(join(300.0, late=59.0, joinedAtMs=0), 30.0)) is None


def test_without_webhooks_a_sweep_takes_the_clocks_to_agree() -> None:
    assert counted(DeliveryDelays().dated_by_sweep(join(0.0, late=20.0), 30.0)) == pytest.approx(20.0, abs=0.1)
    assert counted(DeliveryDelays().dated_by_sweep(join(0.0, behind=-300, late=20.0), 30.0)) is None
    assert counted(DeliveryDelays().dated_by_sweep(join(0.0, behind=300, late=20.0), 30.0)) == 60.0
