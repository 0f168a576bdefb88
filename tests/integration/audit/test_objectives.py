"""Objectives per rule: who counts, what burns, on both kinds of database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.audit import Objective, count_attainment, dispatch_statistics, objective_targets
from app.audit.statistics import objectives as module
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

NOW = at(3600)
RULE = (
    "INSERT INTO routing_rules (name, pattern, agent_name, objective_percent, objective_s) "
    "VALUES (:name, '{}', 'support-es', :percent, :seconds)"
)


def _rule(database: Database, name: str = "spanish", percent: float | None = 95, seconds: float | None = 3) -> None:
    database.execute(RULE, name=name, percent=percent, seconds=seconds)


def _dispatch(seconds: float, **values: Any) -> dict[str, Any]:
    return dispatch_row(at(seconds), event_row(at(seconds)), **values)


def _came(seconds: float, after: float, **values: Any) -> dict[str, Any]:
    return _dispatch(seconds, joined_at=at(seconds + after), ended_at=at(seconds + after + 60), **values)


def _left(seconds: float, after: float) -> dict[str, Any]:
    reason = f"a text that nothing reads, after {after} s"
    return _dispatch(seconds, status="cancelled", cause="caller_left", reason=reason, ended_at=at(seconds + after))


def _store(database: Database, rows: list[dict[str, Any]]) -> None:
    with database.writer_engine().begin() as writing:
        store(writing, event_rows=[], dispatch_rows=rows, callers=[], attempts=[], changes=[])


def _ask(database: Database, *windows: float, **which: Any) -> list[Objective]:
    with database.reader_engine().connect() as connection:
        return [
            Objective.of(target, count_attainment(connection, target=target, now=NOW, windows=windows or (1, 24)))
            for target in objective_targets(connection, **which)
        ]


def test_it_counts_callers_that_had_an_agent_or_should_have_had_one(database: Database) -> None:
    _rule(database)
    _store(
        database,
        [
            _came(10, 1.0),
            _came(20, 2.9, status="joined"),
            _came(30, 3.2),  # too late
            _dispatch(40, status="no_show", ended_at=at(42)),
            _dispatch(50, status="failed", ended_at=at(50)),
            _left(60, 9.0),  # after more than the three seconds
            _left(70, 1.0),  # sooner: tells nothing
            _dispatch(
                80,
                status="cancelled",
                cause="cancelled_by_hand",
                reason="the caller gave up after 1 s",
                ended_at=at(90),
            ),
            _dispatch(90, status="dispatched"),  # has been waiting for very long
            _dispatch(3599, status="pending"),  # for a second
            _came(100, 60.0, rule_name="other rule"),
        ],
    )
    (found,) = _ask(database)
    hour, day = found.windows
    assert (hour.hours, day.hours) == (1, 24)
    assert (hour.calls, hour.missed) == (day.calls, day.missed) == (7, 5)
    assert hour.share == pytest.approx(2 / 7)
    assert hour.burn_rate == pytest.approx(5 / 7 / 0.05)
    assert (found.rule_id, found.rule, found.agent) == (1, "spanish", "support-es")
    assert (found.percent, found.seconds) == (95, 3)
    assert found.is_burning


def test_a_fallback_is_a_miss_and_a_substitute_and_the_wait_in_a_queue_count_as_they_are(database: Database) -> None:
    _rule(database)
    ladder = [{"agent_name": "reception", "answer_timeout_s": 5, "max_attempts": 1, "rule_rung": 1}]
    fallback = {"rung": 1, "asked_agent_name": "reception", "fallbacks": ladder}
    _store(
        database,
        [
            _came(10, 1.0, **fallback),  # soon, and yet not the agent of the rule
            _came(20, 1.0, asked_agent_name="substitute"),  # for one out of service
            _came(30, 40.0, placed_at=at(69)),  # 39 s of them in a queue
            _dispatch(40, status="pending", cause="queued", queued_at=at(41)),
            _came(50, 60.0, replaces="another", replaces_kind="handover"),  # no new call
        ],
    )
    (found,) = _ask(database, 1)
    assert (found.windows[0].calls, found.windows[0].missed) == (4, 3)
    with database.reader_engine().connect() as connection:
        agents = {one.agent: one for one in dispatch_statistics(connection, at(0), NOW).agents}
    assert (agents["reception"].arrived, agents["substitute"].arrived) == (1, 1)
    assert agents["support-es"].no_shows == 1


def test_each_window_has_its_own_counts(database: Database) -> None:
    _rule(database, percent=99.9, seconds=0.5)
    _store(database, [_came(second, 0.1 if second % 10 else 0.7) for second in range(0, 3600, 6)])
    (found,) = _ask(database, 24, 0.5, 1)
    assert [(one.hours, one.calls, one.missed) for one in found.windows] == [
        (0.5, 300, 60),
        (1, 600, 120),
        (24, 600, 120),
    ]
    assert found.windows[0].burn_rate == pytest.approx(200)
    windows = found.to_json()["windows"]
    assert windows[0]["share"] == pytest.approx(0.8)
    assert found.percent == 99.9


def test_without_calls_nothing_is_claimed(database: Database) -> None:
    _rule(database)
    (found,) = _ask(database)
    assert [(one.calls, one.share, one.burn_rate) for one in found.windows] == [(0, None, None)] * 2
    assert not found.is_burning


def test_one_miss_among_few_calls_is_no_alarm_yet(database: Database) -> None:
    _rule(database, percent=90)
    _store(database, [_came(-7200 + second, 1.0) for second in range(30)] + [_came(3000, 4.0), _came(3100, 1.0)])
    (found,) = _ask(database)
    assert found.windows[0].burn_rate == pytest.approx(5)
    assert not found.is_burning


def test_only_enabled_rules_that_have_one_in_matching_order(database: Database) -> None:
    _rule(database, "late")
    _rule(database, "off")
    _rule(database, "none", None, None)
    _rule(database, "early")
    database.execute("UPDATE routing_rules SET priority = 1, agent_name = 'other' WHERE name = 'early'")
    database.execute("UPDATE routing_rules SET enabled = false WHERE name = 'off'")
    assert [one.rule for one in _ask(database)] == ["early", "late"]
    assert [one.rule for one in _ask(database, agent="other")] == ["early"]
    assert [one.rule for one in _ask(database, rule="late")] == ["late"]
    assert [one.rule for one in _ask(database, rule_id=1)] == ["late"]


def test_a_renamed_rule_keeps_its_calls_and_takes_no_others(database: Database) -> None:
    _rule(database)
    _rule(database, "catalan")
    _store(database, [_came(10, 1.0, rule_id=1), _came(20, 4.0, rule_id=2, rule_name="catalan")])
    # Renamed, and its name given to another
    database.execute("UPDATE routing_rules SET name = 'castilian' WHERE id = 1")
    database.execute("UPDATE routing_rules SET name = 'spanish' WHERE id = 2")
    rows = [_came(30, 4.0, rule_id=1, rule_name="castilian"), _came(40, 1.0, rule_id=2), _came(50, 1.0, rule_id=2)]
    _store(database, rows)
    now = datetime.now(UTC)
    with database.reader_engine().connect() as connection:
        castilian, spanish = objective_targets(connection)
        span = now - at(0) + timedelta(hours=1)
        (kept,) = count_attainment(connection, target=castilian, now=now, windows=[span / timedelta(hours=1)])
        (other,) = count_attainment(connection, target=spanish, now=now, windows=[span / timedelta(hours=1)])
        assert (castilian.rule, kept.calls, kept.missed) == ("castilian", 2, 1)
        assert (spanish.rule, other.calls, other.missed) == ("spanish", 3, 1)
        figures = dispatch_statistics(connection, at(0), now, rule_id=1)
        assert {one.rule: one.arrived for one in figures.rules} == {"spanish": 1, "castilian": 1}
        assert dispatch_statistics(connection, at(0), now, rule="spanish").overall.arrived == 3


def test_more_rules_than_are_counted_are_reported(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OBJECTIVES", 2)
    for name in "abcd":
        _rule(database, name)
    assert [one.rule for one in _ask(database)] == ["a", "b", "c"]


def test_a_busy_rule_is_counted_up_to_a_bound_and_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED", 20)
    _rule(database)
    _store(database, [_came(second, 1.0) for second in range(30)])
    (found,) = _ask(database, 1)
    assert (found.windows[0].calls, found.windows[0].is_cut) == (20, True)


@pytest.mark.parametrize(
    ("percent", "seconds"),
    [(95, None), (None, 3), (0, 3), (100, 3), (0.5, 3), (95, 0), (95, 3601), (-1, -1)],
)
def test_the_database_refuses_what_is_no_objective(
    database: Database, percent: float | None, seconds: float | None
) -> None:
    with pytest.raises(IntegrityError):
        _rule(database, percent=percent, seconds=seconds)
