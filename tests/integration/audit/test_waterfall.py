"""The course of a call on one time axis: what each lane says, where it begins and ends, and where deadlines are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.audit import Waterfall, timeline, waterfall_of
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, attempt_row, caller_row, dispatch_row, event_row, store


def _picture(
    database: Database,
    join: dict[str, Any],
    order: dict[str, Any],
    attempts: list[dict[str, Any]],
    *,
    left: float | None = None,
    now: datetime,
) -> Waterfall:
    rows = [join]
    if left is not None:
        sid = join["participant_sid"]
        rows.append(event_row(at(left), type="participant_left", participant_sid=sid, outcome="ignored", decision={}))
    with database.writer_engine().begin() as connection:
        callers = [caller_row(order, join, at(left) if left is not None else None)]
        store(connection, event_rows=rows, dispatch_rows=[order], callers=callers, attempts=attempts, changes=[])
    with database.reader_engine().connect() as connection:
        return waterfall_of(timeline(connection, join["id"]), now)


def _told(picture: Waterfall) -> list[tuple[str, str]]:
    return [(lane.label, lane.text) for lane in picture.lanes]


def _spans(picture: Waterfall, label: str) -> list[tuple[str, float, float]]:
    lane = next(one for one in picture.lanes if one.label == label)
    return [(str(span.kind), round(span.begin, 2), round(span.end, 2)) for span in lane.spans]


def test_a_refused_call_and_an_agent_that_joined(database: Database) -> None:
    join = event_row(at(0))
    order = dispatch_row(at(0.01), join, attempts=2, joined_at=at(3), dispatched_at=at(2.5), ended_at=at(63))
    attempts = [attempt_row(at(0.02), order, 1, "rejected"), attempt_row(at(2.5), order, 2, "accepted")]
    picture = _picture(database, join, order, attempts, left=62, now=at(100))
    assert _told(picture) == [
        ("caller", "stayed 1 min 02 s"),
        ("webhook", "received"),
        ("rules", "rule 'spanish' matched"),
        ("support-es, call 1", "LiveKit refused"),
        ("support-es, call 2", "joined after 500 ms, stayed 1 min 00 s"),
    ]
    # The axis ends a little after the agent joined; its stay goes on behind the end.
    assert picture.length == pytest.approx(3 * 1.15)
    assert _spans(picture, "support-es, call 2") == [("request", 2.5, 2.5), ("waiting", 2.5, 3.0), ("stay", 3.0, 3.45)]
    assert [lane.spans[-1].is_cut for lane in picture.lanes] == [True, False, False, False, True]
    assert picture.lanes[-1].deadline is None  # 15 s: behind the end
    assert picture.ticks[0] == 0
    assert 3 <= len(picture.ticks) <= 7


def test_an_agent_that_missed_its_deadline_and_the_fallback_that_is_awaited(database: Database) -> None:
    join = event_row(at(0))
    order = dispatch_row(
        at(0), join, status="dispatched", attempts=2, rung=1, asked_agent_name="second", answer_timeout_s=5,
        dispatched_at=at(6), fallbacks=[{"agent_name": "second", "answer_timeout_s": 2, "max_attempts": 1}],
    )  # fmt: skip
    attempts = [
        attempt_row(at(0), order, 1, "no_show"),
        attempt_row(at(6), order, 2, "accepted", agent_name="second"),
    ]
    picture = _picture(database, join, order, attempts, now=at(9))
    assert _told(picture)[-2:] == [("support-es, call 1", "did not join in 6.0 s"), ("second, call 2", "is awaited")]
    assert [round(lane.deadline or 0, 1) for lane in picture.lanes[-2:]] == [5.0, 8.0]
    assert _spans(picture, "second, call 2")[-1] == ("waiting", 6.0, 9.0)
    assert _told(picture)[0] == ("caller", "is in the room")


def test_a_queue_and_a_caller_who_left(database: Database) -> None:
    join = event_row(at(0))
    order = dispatch_row(at(0), join, status="cancelled", cause="caller_left", dispatched_at=at(20), ended_at=at(24))
    picture = _picture(database, join, order, [attempt_row(at(20), order, 1, "accepted")], left=24, now=at(60))
    assert _told(picture)[-2:] == [
        ("queue of support-es", "waited 20.0 s"),
        ("support-es, call 1", "had not joined when the caller left, after 4.0 s"),
    ]
    assert _spans(picture, "queue of support-es") == [("queue", 0.0, 20.0)]


def test_a_late_webhook_begins_before_the_rules(database: Database) -> None:
    join = event_row(at(5), occurred_at=at(0))
    order = dispatch_row(at(5), join, status="no_show", dispatched_at=at(5), ended_at=at(20))
    picture = _picture(database, join, order, [attempt_row(at(5), order, 1, "no_show")], now=at(60))
    assert ("webhook", "arrived 5.0 s late") in _told(picture)
    assert _spans(picture, "webhook") == [("request", 0.0, 5.0)]
    assert _spans(picture, "rules") == [("rules", 5.0, 5.0)]
    assert picture.lanes[-1].deadline == pytest.approx(20, abs=0.1)


def test_a_call_without_dispatch_has_a_picture_too(database: Database) -> None:
    join = event_row(at(0), outcome="no_match", decision={"rules_version": 1, "matched": []})
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=[join], dispatch_rows=[], callers=[], attempts=[], changes=[])
    with database.reader_engine().connect() as connection:
        picture = waterfall_of(timeline(connection, join["id"]), at(0) + timedelta(hours=5))
    assert [lane.label for lane in picture.lanes] == ["caller", "webhook", "rules"]
    assert picture.length < 1
