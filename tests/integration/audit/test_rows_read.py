"""How many rows each question looks at among a hundred thousand calls, with PostgreSQL's planner left to itself.

The calls are those of the benchmark, whose shares lead a planner astray: it walks the primary key until an agent comes
up that has not been asked for in weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, event

from app.audit import (
    agent_trends,
    compare_rollout,
    count_attainment,
    count_rule_hits,
    count_waiting,
    dispatch_statistics,
    known_agents,
    last_hits,
    last_joins,
    longest_waiting,
    objective_targets,
    over_time,
    recent_events,
)
from app.audit.lists.path_rows import MAX_PREFIXED
from app.audit.statistics.counts import MAX_ROWS
from app.db import hot_statement
from app.db.engine import execute_on_driver
from app.db.types import IncidentKind
from app.incidents import Incident
from app.incidents.facts.agent_attempts import read_attempts, read_waiting
from app.incidents.facts.lost_calls import read_lost_calls
from app.incidents.facts.queue_lengths import read_queues
from tests.conftest import Database
from tests.workload.audit_questions import questions
from tests.workload.stored_calls import StoredCalls, fill

CALLS = 100_000
MOST_OF_LISTS = MAX_PREFIXED + 1
"""One more shows that there are more."""
NEWEST = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NEWEST - timedelta(days=30)
INCIDENTS = [
    Incident("", IncidentKind.AGENT_NOT_JOINING, agent, "default", NEWEST, NEWEST, None, 1, {}, None, "", "")
    for agent in ("steady", "retired", "agent-3", "agent-19", "unknown")
]

FIGURES: Mapping[str, Callable[[Connection], Any]] = {
    "figures of all": lambda c: dispatch_statistics(c, LONG_AGO, NEWEST),
    "figures of an agent": lambda c: dispatch_statistics(c, LONG_AGO, NEWEST, agent="agent-3"),
    "figures of an agent that retired": lambda c: dispatch_statistics(c, LONG_AGO, NEWEST, agent="retired"),
    "figures of an agent that is none": lambda c: dispatch_statistics(c, LONG_AGO, NEWEST, agent="unknown"),
    "figures of a rule": lambda c: dispatch_statistics(c, LONG_AGO, NEWEST, rule_id=8),
    "objective": lambda c: count_attainment(c, target=objective_targets(c)[7], now=NEWEST, windows=(1, 24)),
    "a month": lambda c: over_time(c, 720, NEWEST),
    "a month of an agent": lambda c: over_time(c, 720, NEWEST, agent="agent-3"),
    "a month of an agent that retired": lambda c: over_time(c, 720, NEWEST, agent="retired"),
    "a month of a rule": lambda c: over_time(c, 720, NEWEST, rule="rule-3"),
    "rollout": lambda c: compare_rollout(c, 8, LONG_AGO, NEWEST),
    "trends of agents": lambda c: agent_trends(c, 720, NEWEST),
    "attempts of agents": lambda c: read_attempts(c, INCIDENTS, NEWEST),
    "callers who wait": lambda c: read_waiting(c, NEWEST),
    "queues": lambda c: read_queues(c, NEWEST),
    "callers without an agent": lambda c: read_lost_calls(c, NEWEST),
    "agents": known_agents,
    "last joins": lambda c: last_joins(c, ["agent-3", "retired", "unknown"]),
    "hits": lambda c: last_hits(c, ["steady", "rule-3", "unknown"]),
    "latest hits": count_rule_hits,
    "longest waiting": lambda c: (longest_waiting(c, 30), count_waiting(c)),
    "recent events": lambda c: recent_events(c, {}, 200),
    "recent events of a type that is none": lambda c: recent_events(c, {"event": ["track_published"]}, 200),
}


def test_no_query_reads_many_more_rows_than_it_returns(postgres_database: Database) -> None:
    fill(postgres_database.url, CALLS, NEWEST)
    lists = questions(StoredCalls(postgres_database.url, CALLS, NEWEST))
    with postgres_database.reader_engine().connect() as connection:
        of_figures = {name: _rows_looked_at(connection, question) for name, question in FIGURES.items()}
        of_lists = {name: _rows_looked_at(connection, _page(question)) for name, question in lists.items()}
    assert of_figures["figures of all"] == MAX_ROWS
    assert {name: rows for name, rows in of_figures.items() if rows > MAX_ROWS} == {}
    assert {name: rows for name, rows in of_lists.items() if rows > MOST_OF_LISTS} == {}


def _page(question: Callable[[Connection, str | None], Any]) -> Callable[[Connection], Any]:
    def first_and_second(connection: Connection) -> None:
        cursor = getattr(question(connection, None), "next_cursor", None)
        if cursor is not None:
            question(connection, cursor)

    return first_and_second


def _rows_looked_at(connection: Connection, question: Callable[[Connection], Any]) -> int:
    """Return the most rows of tables that one statement of the question goes through."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append((statement, parameters))

    def run(connection: Connection, statement: str, parameters: Any, **options: Any) -> Any:
        asked.append((statement, parameters))
        return execute_on_driver(connection, statement, parameters, **options)

    event.listen(connection, "before_cursor_execute", note)
    try:
        with patch.object(hot_statement, "execute_on_driver", run):
            question(connection)
    finally:
        event.remove(connection, "before_cursor_execute", note)
    assert asked
    plans = (
        connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {one}", bound).scalar_one() for one, bound in asked
    )
    return max(sum(_rows_of(node) for node in _nodes(plan[0]["Plan"])) for plan in plans)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _rows_of(node: Mapping[str, Any]) -> int:
    if "Relation Name" not in node:
        return 0
    rows: int = (
        node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    )
    loops: float = node["Actual Loops"]
    return round(rows * loops)
