"""The report on what the database takes, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from app.audit import Retention, read_storage
from app.audit.storage.event_counts import count_events
from app.db.tables import events, metadata
from tests.conftest import Database
from tests.integration.audit.audit_rows import at, change_row, dispatch_row, event_row, store

CALLS = 400
APART_S = 60.0
INDEXES = {
    "sqlite": "SELECT tbl_name AS table_name, name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT tablename AS table_name, indexname AS name FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def stored(database: Database) -> Database:
    """Calls one minute apart, each with its join, its dispatch and a line of the audit log."""
    joins = [event_row(at(number * APART_S), participant_identity=f"caller-{number}") for number in range(CALLS)]
    orders = [dispatch_row(at(number * APART_S), join) for number, join in enumerate(joins)]
    changes = [change_row(at(0), order, None, "sending", reason="rule matched") for order in orders]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=joins, dispatch_rows=orders, changes=changes)
    if database.kind == "postgresql":
        database.execute("ANALYZE")
    return database


def test_every_table_and_index_is_in_the_report(stored: Database) -> None:
    with stored.reader_engine().connect() as connection:
        report = read_storage(connection, Retention(30))
    assert report.database == stored.kind
    assert report.tables is not None
    by_name = {table.name: table for table in report.tables}
    assert by_name.keys() >= metadata.tables.keys()
    every = {(table.name, index.name) for table in report.tables for index in table.indexes}
    assert every >= {(row["table_name"], row["name"]) for row in stored.execute(INDEXES[stored.kind])}
    for name in metadata.tables:
        assert by_name[name].total_bytes == by_name[name].bytes + sum(one.bytes for one in by_name[name].indexes)
    assert sum(table.total_bytes for table in report.tables) <= report.total_bytes
    assert report.tables[0].name == "events"


def test_the_cost_of_a_call_of_a_day_and_of_the_retention(stored: Database) -> None:
    with stored.reader_engine().connect() as connection:
        facts = read_storage(connection, Retention(30))
        shorter = read_storage(connection, Retention(30, 3))
        forever = read_storage(connection, Retention(0, 3))
    assert facts.calls == CALLS
    per_call, per_day = facts.bytes_per_call or 0, facts.calls_per_day or 0
    of_bodies = facts.body_bytes_per_call or 0
    assert per_day == pytest.approx(86_400 / APART_S, rel=0.01)
    assert facts.bytes_per_day == pytest.approx(per_call * per_day)
    assert facts.retained_bytes == pytest.approx(30 * per_call * per_day)
    assert 50 < of_bodies < per_call
    assert shorter.retained_bytes == pytest.approx(per_day * (30 * per_call - 27 * of_bodies))
    assert forever.retained_bytes is None
    for report in (facts, shorter):
        assert report.costs[0].name == "events"
        assert {cost.name for cost in report.costs} >= {"events", "dispatches", "audit_log"}
        assert sum(cost.bytes_per_call for cost in report.costs) == pytest.approx(report.bytes_per_call)
        assert sum(cost.bytes_per_day or 0 for cost in report.costs) == pytest.approx(report.bytes_per_day)
        assert sum(cost.retained_bytes or 0 for cost in report.costs) == pytest.approx(report.retained_bytes)
    assert {cost.retained_bytes for cost in forever.costs} == {None}


def test_dropped_bodies_are_not_saved_twice(database: Database) -> None:
    metadata_of_caller = "".join(f"{number:x}" for number in range(20_000))
    body = {"event": "participant_joined", "participant": {"identity": "ana", "metadata": metadata_of_caller}}
    joins = [event_row(at(number * APART_S), body=body) for number in range(100)]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=joins)
    with database.reader_engine().connect() as connection:
        before = read_storage(connection, Retention(30, 3))
    with database.writer_engine().begin() as connection:  # as after three of thirty days
        old = [join["id"] for join in joins[:90]]
        connection.execute(update(events).where(events.c.id.in_(old)).values(body=None))
    if database.kind == "postgresql":
        database.execute("CLUSTER events USING pk_events")  # as VACUUM FULL, in a transaction
    with database.reader_engine().connect() as connection:
        after = read_storage(connection, Retention(30, 3))
    assert (before.body_bytes_per_call or 0) > 0.5 * (before.bytes_per_call or 0)
    assert after.body_bytes_per_call == pytest.approx(before.body_bytes_per_call, rel=0.01)
    # Pages have gaps where bodies were, and large bodies of PostgreSQL an index of their own.
    assert after.bytes_per_call == pytest.approx(before.bytes_per_call, rel=0.2)
    assert after.retained_bytes == pytest.approx(before.retained_bytes, rel=0.6)


def test_projects_with_a_retention_of_their_own_count_by_their_calls(database: Database) -> None:
    projects = ["clinic" if number % 4 == 0 else "default" for number in range(CALLS)]
    joins = [event_row(at(number * APART_S), project=project) for number, project in enumerate(projects)]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=joins)
    with database.reader_engine().connect() as connection:
        report = read_storage(connection, Retention(30, 0, {"clinic": 10}))
        forever = read_storage(connection, Retention(30, 0, {"clinic": 0}))
        unused = read_storage(connection, Retention(30, 0, {"of nobody": 0}))
    assert report.retained_bytes == pytest.approx((0.75 * 30 + 0.25 * 10) * (report.bytes_per_day or 0))
    assert forever.retained_bytes is None
    assert unused.retained_bytes == pytest.approx(30 * (report.bytes_per_day or 0))
    assert report.to_json()["retention_days_of_projects"] == {"clinic": 10}


def test_a_large_table_of_postgresql_is_sampled(postgres_database: Database) -> None:
    with postgres_database.writer_engine().begin() as connection:
        store(connection, event_rows=[event_row(at(number)) for number in range(5_000)])
    with postgres_database.reader_engine().connect() as connection:
        whole, sample = count_events(connection), count_events(connection, sampled_pages=100)
    assert whole.calls == 5_000
    assert sample.calls != whole.calls
    assert sample.calls == pytest.approx(whole.calls, rel=0.4)
    assert sample.body_bytes == pytest.approx(whole.body_bytes, rel=0.4)
    assert sample.body_bytes_per_call == pytest.approx(whole.body_bytes_per_call, rel=0.1)
    assert sample.calls_per_day == pytest.approx(whole.calls_per_day, rel=0.4)


def test_the_rate_is_that_of_the_last_day(database: Database) -> None:
    busy, quiet = range(0, 86_400, 600), range(86_400, 3 * 86_400, 3_600)
    joins = [event_row(at(second), participant_identity=f"caller-{second}") for second in (*busy, *quiet)]
    with database.writer_engine().begin() as connection:
        store(connection, event_rows=joins)
    with database.reader_engine().connect() as connection:
        assert read_storage(connection, Retention(30)).calls_per_day == pytest.approx(24, abs=1)


def test_an_empty_database_has_a_report(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        report = read_storage(connection, Retention(30))
    assert (report.calls, report.bytes_per_call, report.calls_per_day, report.retained_bytes) == (0, None, None, None)
    assert report.total_bytes > 0
    assert report.costs == ()
    assert (report.log_bytes is None) is (database.kind == "postgresql")


def test_the_write_ahead_log_beside_the_file_is_in_the_report(sqlite_database: Database) -> None:
    with sqlite_database.writer_engine().begin() as connection:
        store(connection, event_rows=[event_row(at(number)) for number in range(100)])
    log = Path(f"{sqlite_database.writer_engine().url.database}-wal")
    with sqlite_database.reader_engine().connect() as connection:
        assert read_storage(connection, Retention(30)).log_bytes == log.stat().st_size > 0


def test_deleted_calls_leave_pages_that_are_used_before_the_file_grows(sqlite_database: Database) -> None:
    rows = [event_row(at(number)) for number in range(2_000)]
    with sqlite_database.writer_engine().begin() as connection:
        store(connection, event_rows=rows)
    with sqlite_database.reader_engine().connect() as connection:
        full = read_storage(connection, Retention(30))
    sqlite_database.execute("DELETE FROM events")
    with sqlite_database.reader_engine().connect() as connection:
        empty = read_storage(connection, Retention(30))
    assert empty.total_bytes == full.total_bytes
    assert (empty.free_bytes or 0) > full.total_bytes / 2
    with sqlite_database.writer_engine().begin() as connection:
        store(connection, event_rows=[event_row(at(number)) for number in range(1_000)])
    with sqlite_database.reader_engine().connect() as connection:
        assert read_storage(connection, Retention(30)).total_bytes == full.total_bytes
