"""Times that operators write with plain SQL: what is none is refused with a clear text, or read without harm."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from app.agents.stored_agents import list_agents
from app.db.types import parse_instant
from app.incidents.incident_store import IncidentFilter, list_incidents
from app.incidents.messages.channel import list_notifications
from app.incidents.messages.subscription import list_subscriptions
from app.rules.book.read_book import read_book
from tests.conftest import Database

GOOD = (
    "2026-12-24",
    "2026-12-24 18:00",
    "2026-12-24T18:00",
    "2026-12-24 18:00:00",
    "2026-12-24T18:00:00Z",
    "2026-12-24T18:00:00.5Z",
    "2026-12-24T18:00:00.123456789Z",
    "2026-12-24T18:00:00+02:00",
    "2028-02-29",
    "9999-12-31T00:00:00.000000Z",
)
IMPOSSIBLE = (
    "2026-99-99",
    "2026-02-30",
    "2026-02-29T10:00:00Z",
    "2026-12-24T25:00:00Z",
    "2026-12-24T18:60:00Z",
)
NO_TIMES = (
    *IMPOSSIBLE,
    "",
    "tomorrow",
    "now",
    "24.12.2026",
    "20261224",
    "1766599200",
    "18:00",
    "0000-01-01",
    "1500-01-01",
    "2026-12-24T",
    "2026-12-24 ",
    "2026-12-24T24:00:00Z",
    "2026-12-24T18",
    "2026-12-24T18:00:00 CET",
    "2026-12-24 18:00:00 +02:00",
    "2026-12-24  18:00:00",
    "2026-12-24T18:00:00z",
    "9999-12-31T23:59:59-10:00",
)
COLUMNS = (
    ("agents", "out_of_service_until"),
    ("agents", "updated_at"),
    ("incidents", "muted_until"),
    ("incidents", "opened_at"),
    ("incidents", "closed_at"),
    ("lookups", "created_at"),
    ("lookups", "updated_at"),
    ("notifications", "created_at"),
    ("notifications", "updated_at"),
    ("routing_rules", "created_at"),
    ("routing_rules", "updated_at"),
    ("webhook_subscriptions", "created_at"),
    ("webhook_subscriptions", "failing_since"),
    ("webhook_subscriptions", "paused_at"),
)
"""Each time in a table that operators write."""


def fill(database: Database) -> Database:
    """Insert one row into each table that operators write."""
    database.execute("INSERT INTO agents (agent_name) VALUES ('sales')")
    database.execute("""INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'https://crm.test')""")
    database.execute("INSERT INTO notifications (name, url) VALUES ('ops', 'json://ops.test')")
    database.execute("""INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'sales')""")
    database.execute(
        "INSERT INTO webhook_subscriptions (id, name, url, secret) VALUES ('1', 'erp', 'https://erp.test', 'whsec_x')"
    )
    database.execute(
        "INSERT INTO incidents (id, kind, opened_at, updated_at, detail)"
        " VALUES ('1', 'no_rule', '2026-11-22T10:00:00Z', '2026-11-22T10:00:00Z', '{}')"
    )
    return database


def insert_again(database: Database, table: str, column: str, value: str) -> None:
    """Insert another row that differs from the first by its key and by this column."""
    (row,) = database.execute(f"SELECT * FROM {table}")
    key = {"agents": "agent_name", "incidents": "id", "webhook_subscriptions": "id"}.get(table, "name")
    values = {name: one for name, one in row.items() if one is not None and name not in {"id", column, key}}
    if table == "webhook_subscriptions":
        values["name"] = "another"
    if table == "incidents":
        values["subject"] = "another"
    values |= {key: "another", column: value}
    names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", **values)


def read_all(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        assert [one.agent_name for one in list_agents(connection)] == ["sales"]
        assert [one.id for one in list_incidents(connection, IncidentFilter(), limit=10).items] == ["1"]
        assert [one.name for one in list_notifications(connection)] == ["ops"]
        assert [one.name for one in list_subscriptions(connection)] == ["erp"]
        assert len(read_book(connection)) == 1


def write(database: Database, table: str, column: str, value: str) -> None:
    database.execute(f"UPDATE {table} SET {column} = :value", value=value)


@pytest.fixture
def on_sqlite(sqlite_database: Database) -> Database:
    return fill(sqlite_database)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_sqlite_refuses_what_is_no_time_and_names_the_column(on_sqlite: Database, table: str, column: str) -> None:
    for value in NO_TIMES:
        with pytest.raises(DBAPIError, match=f"{table}.{column} must be a time such as 2026-"):
            write(on_sqlite, table, column, value)
        with pytest.raises(DBAPIError, match=f"{table}.{column} must be a time such as 2026-"):
            insert_again(on_sqlite, table, column, value)
    read_all(on_sqlite)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_each_time_that_is_taken_can_be_read(on_sqlite: Database, table: str, column: str) -> None:
    for value in GOOD:
        assert parse_instant(value).tzinfo is not None
        write(on_sqlite, table, column, value)
        read_all(on_sqlite)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_what_is_no_time_in_a_database_from_before_hinders_no_reading(
    on_sqlite: Database, table: str, column: str
) -> None:
    on_sqlite.execute(f"DROP TRIGGER {table}_times_updated")
    for value in ("2026-99-99", "2026-02-30", "9999-12-31T23:59:59-10:00"):
        write(on_sqlite, table, column, value)
        read_all(on_sqlite)


@pytest.mark.parametrize(("table", "column"), [*COLUMNS, ("routing_rules", "paused_until")])
def test_postgresql_refuses_impossible_dates_and_its_own_bounds_can_be_read(
    postgres_database: Database, table: str, column: str
) -> None:
    filled = fill(postgres_database)
    for value in IMPOSSIBLE:
        with pytest.raises(DBAPIError, match="DatetimeFieldOverflow"):
            filled.execute(f"UPDATE {table} SET {column} = '{value}'")
    for value in ("infinity", "-infinity", "12026-01-01", "4000-01-01 BC"):
        filled.execute(f"UPDATE {table} SET {column} = '{value}'")
        read_all(filled)


def test_other_columns_of_a_row_with_a_bad_time_can_be_edited(on_sqlite: Database) -> None:
    (trigger,) = on_sqlite.execute("SELECT sql FROM sqlite_master WHERE name = 'agents_times_updated'")
    on_sqlite.execute("DROP TRIGGER agents_times_updated")
    write(on_sqlite, "agents", "out_of_service_until", "2026-99-99")
    with on_sqlite.writer_engine().begin() as connection:
        connection.exec_driver_sql(trigger["sql"])
    on_sqlite.execute("UPDATE agents SET max_calls = 3")
    (row,) = on_sqlite.execute("SELECT * FROM agents")
    assert (row["max_calls"], row["out_of_service_until"]) == (3, "2026-99-99")
