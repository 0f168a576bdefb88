"""Figures over time: each dispatch in its interval, scaled where they are sampled, and the changes of rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from app.audit import Point, agent_trends, over_time
from app.audit.trends import time_slices
from app.audit.trends.time_slices import MAX_POINTS, grid_of
from app.db.tables import routing_rules, rule_changes
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

HOUR = 3600
NOW = at(6 * HOUR + 100)


def _dispatch(seconds: float, **values: Any) -> dict[str, Any]:
    known = {"dispatched_at": at(seconds), **values}
    return dispatch_row(at(seconds), event_row(at(seconds)), **known)


def _came(seconds: float, after: float, **values: Any) -> dict[str, Any]:
    return _dispatch(seconds, joined_at=at(seconds + after), ended_at=at(seconds + after + 60), **values)


def _read(database: Database, rows: list[dict[str, Any]], attempts: list[dict[str, Any]] | None = None) -> Connection:
    with database.writer_engine().begin() as writing:
        store(writing, event_rows=[], dispatch_rows=rows, callers=[], attempts=attempts or [], changes=[])
    return database.reader_engine().connect()


def _at(points: tuple[Point, ...], seconds: float) -> Point:
    return max((one for one in points if one.at <= at(seconds)), key=lambda one: one.at)


def test_each_dispatch_counts_in_the_interval_in_which_it_was_created(database: Database) -> None:
    rows = [
        _came(10, 1.0),
        _came(20, 3.0),
        _dispatch(30, status="no_show", ended_at=at(60)),
        _dispatch(40, status="cancelled", cause="caller_left", ended_at=at(45)),
        _dispatch(50, status="cancelled", cause="cancelled_by_hand", ended_at=at(55)),
        _came(2 * HOUR, 7.0, rung=1, asked_agent_name="second", fallbacks=[{"agent_name": "second"}]),
        _dispatch(6 * HOUR + 50, status="dispatched"),
        _came(-7 * 24 * HOUR, 1.0),
    ]
    with _read(database, rows) as connection:
        found = over_time(connection, 24, NOW)
    assert not found.is_sampled
    assert len(found.points) <= MAX_POINTS + 1
    assert sum(one.dispatches for one in found.points) == 7
    first = _at(found.points, 10)
    assert (first.calls, first.dispatches, first.arrived, first.no_shows, first.abandoned, first.cancelled) == (
        5, 5, 2, 1, 1, 1,
    )  # fmt: skip
    assert first.no_show_share == pytest.approx(0.25)
    assert (first.seconds_to_agent.p50, first.seconds_to_agent.p95) == pytest.approx((1.0, 3.0), abs=0.002)
    assert (_at(found.points, 2 * HOUR).arrived, _at(found.points, 2 * HOUR).fallbacks) == (1, 1)
    assert found.points[-1].waiting == 1


def test_a_fallback_that_joins_is_a_no_show_of_the_agent_before(database: Database) -> None:
    rows = [
        _came(10, 1.0),
        _came(20, 7.0, rung=1, asked_agent_name="second", fallbacks=[{"agent_name": "second"}]),
        _came(30, 1.0, asked_agent_name="substitute"),  # out of service: not asked
        _came(40, 1.0, agent_name="other"),
    ]
    with _read(database, rows) as connection:
        own = _at(over_time(connection, 24, NOW, agent="support-es").points, 10)
        second = _at(over_time(connection, 24, NOW, agent="second").points, 10)
        substitute = _at(over_time(connection, 24, NOW, agent="substitute").points, 10)
    assert (own.dispatches, own.arrived, own.no_shows, own.seconds_to_agent.count) == (2, 1, 1, 1)
    assert (second.dispatches, second.arrived, second.no_shows) == (1, 1, 0)
    assert (substitute.dispatches, substitute.arrived) == (1, 1)


def test_a_rule_and_projects_restrict_the_figures(database: Database) -> None:
    rows = [_came(10, 1.0), _came(20, 1.0, rule_name="sales"), _came(30, 1.0, project="other")]
    with _read(database, rows) as connection:
        assert _at(over_time(connection, 24, NOW, rule="sales").points, 10).dispatches == 1
        both = over_time(connection, 24, NOW, rule="sales", agent="support-es")
        assert _at(both.points, 10).dispatches == 1
        assert _at(over_time(connection, 24, NOW, projects={"other"}).points, 10).dispatches == 1
        assert sum(one.dispatches for one in over_time(connection, 24, NOW, rule="none").points) == 0


def test_the_queue_is_as_long_as_its_callers_waited_in_all(database: Database) -> None:
    """Two callers wait half an hour each within the same half hour; a third is retried, which is no queue."""
    rows = [
        _came(0, 1805.0, id="a" * 8, dispatched_at=at(1800)),
        _dispatch(0, id="b" * 8, status="cancelled", cause="caller_left", ended_at=at(1800), dispatched_at=None),
        _came(5, 60.0, id="c" * 8, dispatched_at=at(60)),
    ]
    for number, row in enumerate(rows):
        row["id"] = dispatch_row(at(number), event_row(at(0)))["id"]
    attempts = [
        {"dispatch_id": rows[0]["id"], "number": 1, "agent_name": "support-es", "started_at": at(1800)},
        {"dispatch_id": rows[2]["id"], "number": 1, "agent_name": "support-es", "started_at": at(5)},
        {"dispatch_id": rows[2]["id"], "number": 2, "agent_name": "support-es", "started_at": at(60)},
    ]
    with _read(database, rows, [{**_ATTEMPT, **one} for one in attempts]) as connection:
        found = over_time(connection, 24, NOW)
    assert found.step_s == 1800
    assert _at(found.points, 10).queue_length == pytest.approx(2.0, abs=0.01)
    assert _at(found.points, 1810).queue_length == 0


_ATTEMPT = {
    "finished_at": None,
    "outcome": None,
    "livekit_dispatch_id": None,
    "job_id": None,
    "error_code": None,
    "error_text": None,
    "joined_at": None,
    "left_at": None,
}


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slices, "MAX_SAMPLED", 50)
    monkeypatch.setattr(time_slices, "ROWS_OF_SLICE", 10)


@pytest.mark.usefixtures("small_sample")
@pytest.mark.parametrize("selection", [{}, {"agent": "support-es"}, {"rule": "spanish"}])
def test_a_sample_estimates_how_many_there_were(database: Database, selection: dict[str, Any]) -> None:
    """One dispatch each 10 s for three hours, each fourth without an agent."""
    rows = [
        _came(seconds, 2.0) if seconds % 40 else _dispatch(seconds, status="no_show", ended_at=at(seconds + 5))
        for seconds in range(0, 3 * HOUR, 10)
    ]
    with _read(database, rows) as connection:
        found = over_time(connection, 24, NOW, **selection)
    assert found.is_sampled
    assert sum(one.dispatches for one in found.points) == pytest.approx(len(rows), rel=0.1)
    middle = _at(found.points, HOUR)
    assert middle.dispatches == pytest.approx(180, rel=0.1)
    assert middle.no_show_share == pytest.approx(0.25, abs=0.1)
    assert middle.seconds_to_agent.count <= 40
    assert middle.seconds_to_agent.p50 == pytest.approx(2.0, abs=0.01)


def test_trends_count_each_agent_that_was_asked(database: Database) -> None:
    rows = [
        _came(10, 1.0),
        _came(20, 7.0, rung=1, asked_agent_name="second", fallbacks=[{"agent_name": "second"}]),
        _dispatch(2 * HOUR, status="no_show", agent_name="third"),
        _came(30, 1.0, asked_agent_name="substitute"),
    ]
    with _read(database, rows) as connection:
        found = agent_trends(connection, 24, NOW)
    sums = {name: (sum(one.asked), sum(one.missed)) for name, one in found.items()}
    assert sums == {"support-es": (2, 1), "second": (1, 0), "third": (1, 1), "substitute": (1, 0)}
    assert [count for count in found["third"].missed if count] == [1]
    assert found["third"].missed.index(1) > found["support-es"].missed.index(1)


def test_changes_of_rules_are_marked_once_for_each_set(database: Database) -> None:
    with database.writer_engine().begin() as writing:
        for name in ("sales", "support"):
            writing.execute(
                insert(routing_rules).values(name=name, pattern={"room": {"name": [name]}}, agent_name="one")
            )
    with database.reader_engine().connect() as connection:
        now = database_now(connection)
        found = over_time(connection, 1, now)
        own = over_time(connection, 1, now, rule="sales").changes
        none = over_time(connection, 1, now, rule_ids=()).changes
    assert {name for mark in found.changes for name in mark.rules} == {"sales", "support"}
    assert sum(mark.changes for mark in found.changes) == 2
    assert {mark.change for mark in found.changes} == {"created"}
    assert [mark.rules for mark in own] == [("sales",)]
    assert none == ()


def database_now(connection: Connection) -> Any:
    """Return a moment after all that the database has stored."""
    return connection.scalar(select(func.max(rule_changes.c.changed_at))) + timedelta(seconds=1)


@pytest.mark.parametrize("hours", [0.01, 1, 6, 24, 100, 168, 720, 744])
def test_a_grid_covers_its_hours_with_a_bounded_number_of_round_intervals(hours: float) -> None:
    grid = grid_of(hours, NOW)
    assert 1 <= len(grid.starts) <= MAX_POINTS + 1
    assert timedelta(0) <= NOW - grid.since - timedelta(hours=hours) < grid.step * 2
    assert grid.starts[-1] <= NOW < grid.starts[-1] + grid.step
    assert (grid.since - at(0).replace(hour=0)) % grid.step == timedelta(0)
