"""Figures from the database, and that each question goes through an index, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from app.audit import (
    Waits,
    count_rule_hits,
    count_waiting,
    count_waiting_calls,
    dispatch_statistics,
    known_agents,
    last_hits,
    last_joins,
    longest_waiting,
    over_time,
)
from app.audit.statistics import counts as module
from app.audit.statistics.objectives import Target, tally
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, dispatch_row, event_row, store

START, NOW = at(0) - timedelta(seconds=1), at(3600)
TARGET = Target(1, "rule 3", "agent 3", 95, 3)


def _dispatch(seconds: float, **values: Any) -> dict[str, Any]:
    return dispatch_row(at(seconds), event_row(at(seconds)), **values)


def second_rung(agent_name: str) -> dict[str, Any]:
    return {"rung": 1, "fallbacks": [{"agent_name": agent_name, "answer_timeout_s": 5, "max_attempts": 1}]}


def _came(seconds: float, after: float, **values: Any) -> dict[str, Any]:
    return _dispatch(seconds, joined_at=at(seconds + after), ended_at=at(seconds + after + 60), **values)


def _read(database: Database, rows: list[dict[str, Any]]) -> Connection:
    with database.writer_engine().begin() as writing:
        store(writing, event_rows=[], dispatch_rows=rows, callers=[], attempts=[], changes=[])
    return database.reader_engine().connect()


def test_figures_count_the_outcomes_of_dispatches(database: Database) -> None:
    rows = [
        _came(1, 0.5),
        _came(2, 1.5, asked_agent_name="support-en", **second_rung("support-en")),
        _came(3, 4.0, status="joined"),
        _dispatch(4, status="no_show", ended_at=at(20)),
        _dispatch(5, status="failed", ended_at=at(6)),
        _dispatch(6, status="cancelled", cause="caller_left", ended_at=at(13)),
        _dispatch(
            7, status="cancelled", cause="cancelled_by_hand", reason="the caller gave up after 1 s", ended_at=at(8)
        ),
        _dispatch(8, status="dispatched"),
        _came(9, 2.0, agent_name="other", rule_name="other rule"),
        _came(-100, 9.0),  # before the window
    ]
    with _read(database, rows) as connection:
        found = dispatch_statistics(connection, START, NOW)
        own = next(one for one in found.agents if one.agent == "support-es")
        assert (own.dispatches, own.arrived, own.no_shows, own.failed) == (8, 2, 2, 1)
        other = next(one for one in found.agents if one.agent == "support-en")
        assert (other.dispatches, other.arrived, other.fallbacks) == (1, 1, 0)
        assert (own.abandoned, own.cancelled, own.waiting, own.fallbacks) == (1, 1, 1, 1)
        assert _percentiles(own.seconds_to_agent) == pytest.approx((2, 0.5, 4.0, 4.0), abs=0.002)
        assert [column.count for column in own.histogram if column.count] == [1, 1]
        assert _percentiles(own.seconds_given_up) == pytest.approx((1, 7.0, 7.0, 7.0), abs=0.002)
        assert (own.no_show_share, own.missed_share, own.arrived_share) == pytest.approx((2 / 6, 3 / 6, 2 / 6))
        assert [one.arrived for one in found.rules if one.rule == "other rule"] == [1]
        assert found.overall.dispatches == 9
        assert not found.is_cut
        one = dispatch_statistics(connection, START, NOW, agent="other")
        assert (one.overall.dispatches, [each.agent for each in one.agents]) == (1, ["other"])
        assert dispatch_statistics(connection, START, NOW, rule="spanish").overall.dispatches == 8
        assert count_waiting(connection) == 1


def test_a_handover_counts_for_its_agent_and_as_a_miss_of_the_rule_if_nobody_came(
    database: Database,
) -> None:
    beside = {"replaces_kind": "handover", "agent_name": "expert", "intent_key": "handover/first"}
    joins = [event_row(at(second)) for second in (1, 2, 3, 4)]
    rows = [row for join in joins for row in [dispatch_row(at(5), join, joined_at=at(6), status="joined")]]
    rows += [
        dispatch_row(at(20), joins[0], **beside, status="no_show", ended_at=at(30)),
        dispatch_row(at(20), joins[1], **beside, status="cancelled", cause="caller_left", ended_at=at(22)),
        dispatch_row(at(20), joins[2], **beside | {"intent_key": "a"}, joined_at=at(23), status="joined"),
        dispatch_row(at(20), joins[3], **beside | {"intent_key": "b"}, status="no_show", ended_at=at(30)),  # cold
    ]
    with _read(database, rows) as connection:
        found = dispatch_statistics(connection, START, NOW)
        points = over_time(connection, 1, NOW).points
        own = over_time(connection, 1, NOW, agent="expert").points
        alone = dispatch_statistics(connection, START, NOW, agent="expert").overall
    for one in (found.overall, *found.rules):
        assert (one.dispatches, one.arrived, one.no_shows, one.abandoned, one.cancelled) == (5, 4, 1, 0, 0)
    (expert,) = [one for one in found.agents if one.agent == "expert"]
    for figures in (expert, alone):
        assert (figures.dispatches, figures.arrived, figures.no_shows) == (4, 1, 2)
        assert (figures.abandoned, figures.cancelled) == (0, 1)
    assert found.calls is not None
    assert (found.calls.calls, found.calls.joined, found.calls.no_agent) == (4, 4, 1)
    assert (found.calls.abandoned, found.calls.handed_over) == (0, 1)
    counted = [sum(getattr(one, name) for one in points) for name in ("calls", "dispatches", "arrived", "no_shows")]
    assert counted == [4, 5, 4, 1]
    counted = [sum(getattr(one, name) for one in own) for name in ("dispatches", "arrived", "no_shows", "abandoned")]
    assert counted == [4, 1, 2, 0]


def test_a_call_that_came_back_to_its_first_agent_was_not_handed_over(database: Database) -> None:
    joins = [event_row(at(second)) for second in (1, 2)]
    ladder = [{"agent_name": "support-es", "is_return": True}, {"agent_name": "voicemail"}]
    columns = {"replaces_kind": "handover", "agent_name": "expert", "status": "joined", "fallbacks": ladder}
    rows = [
        dispatch_row(at(20), joins[0], **columns, joined_at=at(40), rung=1, asked_agent_name="support-es"),
        dispatch_row(at(20), joins[1], **columns, joined_at=at(50), rung=2, asked_agent_name="voicemail"),
    ]
    with _read(database, rows) as connection:
        calls = dispatch_statistics(connection, START, NOW).calls
    assert calls is not None
    assert (calls.calls, calls.handed_over, calls.fallback) == (2, 1, 0)


def test_a_dispatch_that_comes_back_to_its_first_agent_counts_once_for_it(database: Database) -> None:
    ladder = [{"agent_name": name, "answer_timeout_s": 5, "max_attempts": 1} for name in ("other", "support-es")]
    row = _came(1, 0.5, agent_name="support-es", rung=2, asked_agent_name="support-es", fallbacks=ladder)
    with _read(database, [row]) as connection:
        overall = dispatch_statistics(connection, START, NOW).agents
        alone = dispatch_statistics(connection, START, NOW, agent="support-es").overall
    (own,) = [one for one in overall if one.agent == "support-es"]
    assert (own.dispatches, own.arrived, own.no_shows) == (alone.dispatches, alone.arrived, alone.no_shows)


def test_agents_and_rules_are_known_with_their_last_dispatch(database: Database) -> None:
    rows = [_came(second, 1, agent_name=f"agent {second % 3}", rule_name=f"rule {second % 2}") for second in range(30)]
    with _read(database, rows) as connection:
        seen = known_agents(connection)
        assert [one.name for one in seen] == ["agent 0", "agent 1", "agent 2"]
        assert [one.last_at for one in seen] == [at(27), at(28), at(29)]
        assert last_hits(connection, ["rule 0", "rule 1", "never"]) == {
            "rule 0": at(28),
            "rule 1": at(29),
            "never": None,
        }


def test_the_last_join_is_that_of_the_agent_that_was_asked(database: Database) -> None:
    rows = [
        _came(1, 1, agent_name="steady"),
        _came(2, 3, agent_name="gone", asked_agent_name="stand-in", **second_rung("stand-in")),
        _dispatch(3, agent_name="steady", status="no_show", ended_at=at(20)),
    ]
    with _read(database, rows) as connection:
        assert last_joins(connection, ["steady", "gone", "stand-in", "unknown"]) == {
            "steady": at(2),
            "stand-in": at(5),
        }
        assert last_joins(connection, []) == {}


def test_statistics_of_an_empty_database_are_empty(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        assert known_agents(connection) == []
        found = dispatch_statistics(connection, START, NOW).to_json()
        assert found["overall"]["seconds_to_agent"] == {"count": 0, "p50": None, "p95": None, "p99": None}
        assert found["overall"]["no_show_share"] is None


def test_a_sample_is_of_the_latest_and_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 10)
    with _read(database, [_came(second, second) for second in range(1, 31)]) as connection:
        found = dispatch_statistics(connection, START, NOW)
        assert found.is_cut
        assert found.since == at(21)
        assert _percentiles(found.overall.seconds_to_agent) == pytest.approx((10, 25, 30, 30), abs=0.002)


def _percentiles(waits: Waits) -> tuple[float, ...]:
    assert waits.p50 is not None
    assert waits.p95 is not None
    assert waits.p99 is not None
    return waits.count, waits.p50, waits.p95, waits.p99


def test_percentiles_are_measured_waits() -> None:
    assert Waits.of([]) == Waits(0, None, None, None)
    assert Waits.of([3.0]) == Waits(1, 3.0, 3.0, 3.0)
    assert Waits.of(range(100, 0, -1)) == Waits(100, 50, 95, 99)


@pytest.fixture
def planned(database: Database) -> Iterator[Connection]:
    rows = [_came(second, 1, agent_name=f"agent {second % 9}", rule_name=f"rule {second % 50}",
                  status="ended" if second % 7 else "dispatched") for second in range(3000)]  # fmt: skip
    with _read(database, rows) as connection:
        connection.rollback()
    database.execute("ANALYZE")
    with database.reader_engine().connect() as connection:
        if database.kind == "postgresql":
            # A handful of rows is as well scanned or sorted; whether the index could do it is the question here.
            for other_way in ("seqscan", "bitmapscan", "sort"):
                connection.exec_driver_sql(f"SET enable_{other_way} = off")
        yield connection


PRIMARY, AGENT, RULE = "pk_dispatches", "agent_name_id", "rule_name_id"
QUESTIONS: dict[str, tuple[Any, str]] = {
    "all": (lambda c: dispatch_statistics(c, at(10), NOW), PRIMARY),
    "agent": (lambda c: dispatch_statistics(c, at(10), NOW, agent="agent 3"), AGENT),
    "rule": (lambda c: dispatch_statistics(c, at(10), NOW, rule="rule 3"), RULE),
    "agents": (known_agents, AGENT),
    "hits": (lambda c: last_hits(c, ["rule 1", "rule 2"]), RULE),
    "last joins": (lambda c: last_joins(c, ["agent 1", "agent 2"]), AGENT),
    "latest hits": (count_rule_hits, PRIMARY),
    "waiting": (count_waiting, ""),
    "waiting calls": (count_waiting_calls, ""),
    "longest waiting": (lambda c: longest_waiting(c, 30), ""),
    "objective": (lambda c: c.execute(tally(c, TARGET, ["rule 3"], NOW, (1, 24))).one(), RULE),
    "objective of a renamed rule": (lambda c: c.execute(tally(c, TARGET, ["rule 3", "old"], NOW, (1, 24))).one(), RULE),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_goes_through_an_index(planned: Connection, name: str) -> None:
    question, index = QUESTIONS[name]
    for statement, plan in _plans(planned, question):
        shown = f"{statement}\n{plan}"
        assert "Seq Scan" not in plan, shown
        assert "SCAN dispatches" not in plan.replace("SCAN dispatches USING", ""), shown
        assert index in plan or (index == PRIMARY and "sqlite_autoindex_dispatches_1" in plan), shown
        # Groups, and the rows of two names, are sorted: as many as the sample holds at most.
        if "GROUP BY" not in statement and "UNION" not in statement:
            assert "Sort" not in plan.replace("Sort Key", ""), shown
            assert "USE TEMP B-TREE" not in plan, shown


def _plans(connection: Connection, question: Any) -> list[tuple[str, str]]:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):  # not the BEGIN of the engine
            asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    question(connection)
    event.remove(connection, "before_cursor_execute", note)
    assert asked
    explain = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    return [
        (statement, "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters)))
        for statement, parameters in asked
    ]
