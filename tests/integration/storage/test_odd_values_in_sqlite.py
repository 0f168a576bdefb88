"""SQLite holds any value in most columns: one that a column is not for costs its row, and no list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_core import to_json
from sqlalchemy import Connection

from app.accounts.users import list_users
from app.audit.named_agents import agents_of_rules, what_names
from app.audit.people.person import find_person
from app.audit.people.person_export import export_person
from app.audit.people.person_rows import rows_about
from app.incidents.facts.bad_rows import read_bad_rows
from app.incidents.incident_store import IncidentFilter, list_incidents
from app.incidents.messages.channel import list_notifications
from app.incidents.messages.subscription import list_subscriptions
from app.rules.book.read_book import read_book
from tests.conftest import Database, StillClock
from tests.integration.db.test_written_times import fill

LISTS: tuple[Callable[[Connection], Any], ...] = (
    list_users,
    list_notifications,
    list_subscriptions,
    lambda connection: list_incidents(connection, IncidentFilter(), limit=10).items,
    read_bad_rows,
)
DOCUMENTS = (
    ("incidents", "detail"),
    ("notifications", "kinds"),
    ("users", "projects"),
    ("webhook_subscriptions", "events"),
)
TEXTS = (
    ("incidents", "id"),
    ("incidents", "subject"),
    ("incidents", "project"),
    ("users", "id"),
    ("users", "name"),
    ("users", "password_hash"),
    ("users", "identity_subject"),
    ("webhook_subscriptions", "id"),
)
NUMBERS = (("incidents", "count"), ("users", "session_epoch"))


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    fill(sqlite_database)
    sqlite_database.execute("INSERT INTO users (id, name, role, password_hash) VALUES ('u', 'ana', 'viewer', 'x')")
    return sqlite_database


def read_all(database: Database) -> None:
    with database.reader_engine().connect() as connection:
        for read in LISTS:
            to_json([str(one) if isinstance(one, Exception) else one for one in read(connection)])


@pytest.mark.parametrize(("table", "column"), DOCUMENTS)
@pytest.mark.parametrize("value", [7, 2**53 + 1, 2**63 - 1, -1, 1.5, float("inf"), b"\xff", "{bad"])
def test_what_is_no_json_text_takes_no_memory_and_no_list(
    database: Database, table: str, column: str, value: object
) -> None:
    database.execute(f"UPDATE {table} SET {column} = :value", value=value)
    read_all(database)


@pytest.mark.parametrize(("table", "column"), TEXTS)
def test_a_blob_in_place_of_a_text(database: Database, table: str, column: str) -> None:
    database.execute(f"UPDATE {table} SET {column} = :value", value=b"\xff\xfe")
    read_all(database)


@pytest.mark.parametrize(("table", "column"), NUMBERS)
@pytest.mark.parametrize("value", ["many", b"\xff", 1.5, float("inf")])
def test_what_is_no_number_in_place_of_one(database: Database, table: str, column: str, value: object) -> None:
    database.execute(f"UPDATE {table} SET {column} = :value", value=value)
    read_all(database)


@pytest.mark.parametrize("value", ["reception", "{bad", 2**53 + 1, 1.5])
def test_a_rule_whose_fallbacks_are_no_json_hides_no_agent(database: Database, value: object) -> None:
    database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name, fallbacks) VALUES ('bad', '{}', 'support', :value)",
        value=value,
    )
    with database.reader_engine().connect() as connection:
        assert agents_of_rules(connection) == {"sales", "support"}
        assert what_names(connection, "support") == ["the rule 'bad'"]
        assert [one.name for one in read_book(connection).bad.values()] == ["bad"]


@pytest.mark.parametrize("column", ["pattern", "metadata"])
def test_a_rule_that_is_no_json_hinders_no_export_of_a_person(
    database: Database, column: str, clock: StillClock
) -> None:
    database.execute(f"UPDATE routing_rules SET {column} = :value", value="{participant: ana")
    with database.reader_engine().connect() as connection:
        person = find_person(connection, "ana")
        rows = rows_about(connection, person, clock.now())
        assert export_person(connection, person, rows, clock.now())["rules_that_name_the_person"] == ["all"]
