"""Statements given to the driver directly behave as if SQLAlchemy had run them, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

from app.db.any_of import any_of, one_of_texts
from app.db.bulk_insert import insert_new
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import HotStatement
from app.db.tables import agents, dispatches, token_dispatches
from app.db.writer import Writer
from app.errors import DatabaseUnavailableError
from app.outbox.dispatch import Dispatch
from tests.conftest import Database

NOON = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)

FOUND = (
    select(token_dispatches)
    .where(
        any_of(token_dispatches.c.room_name, "room_names"),
        one_of_texts(token_dispatches.c.agent_name, ["it's me", "b"]),
        token_dispatches.c.project == "default",
        token_dispatches.c.created_at >= bindparam("since", type_=Timestamp()),
    )
    .order_by(token_dispatches.c.id)
)


def _promise(identity: str, room_name: str, agent_name: str) -> dict[str, object]:
    return {
        "id": identity,
        "project": "default",
        "room_name": room_name,
        "participant_identity": "ana",
        "agent_name": agent_name,
        "rule_id": 1,
        "rules_version": 1,
        "metadata": "{}",
        "attributes": {"plan": "goud € 'x'"},
        "created_at": NOON,
    }


def test_rows_and_parameters_are_converted_as_sqlalchemy_does(database: Database) -> None:
    asked = {"room_names": {"r 'quoted'", 'r "two"', "not there"}, "since": NOON}
    with database.writer_engine().begin() as connection:
        insert_new(
            connection,
            token_dispatches,
            [_promise("1", "r 'quoted'", "b"), _promise("2", 'r "two"', "b"), _promise("3", "other", "b")],
        )
        rows = HotStatement(FOUND).rows(connection, asked)
        expected = [tuple(row) for row in connection.execute(FOUND, asked)]
    assert rows == expected
    assert [row[0] for row in rows] == ["1", "2"]
    assert rows[0][list(token_dispatches.c.keys()).index("created_at")] == NOON
    assert rows[0][list(token_dispatches.c.keys()).index("attributes")] == {"plan": "goud € 'x'"}


def test_a_constant_list_may_hold_quotes(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        insert_new(connection, token_dispatches, [_promise("1", "r", "it's me"), _promise("2", "r", "else")])
        rows = HotStatement(FOUND).rows(connection, {"room_names": ["r"], "since": NOON})
    assert [row[0] for row in rows] == ["1"]


def test_no_text_is_one_of_no_texts(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        insert_new(connection, token_dispatches, [_promise("1", "r", "b")])
        assert HotStatement(FOUND).rows(connection, {"room_names": [], "since": NOON}) == []


def test_a_list_that_must_be_rendered_for_its_length_is_refused(database: Database) -> None:
    statement = HotStatement(select(dispatches.c.id).where(dispatches.c.id.in_(["a"])))
    with database.reader_engine().connect() as connection, pytest.raises(ValueError, match="any_of"):
        statement.rows(connection, {})


def test_errors_of_the_driver_are_sqlalchemys(database: Database) -> None:
    with database.writer_engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE agents RENAME TO elsewhere")
        with pytest.raises(DBAPIError, match="agents"):
            HotStatement(select(agents.c.agent_name)).rows(connection, {})
        connection.rollback()


async def test_a_connection_that_breaks_is_replaced(postgres_database: Database) -> None:
    writer = Writer(postgres_database.writer_engine())
    statement = HotStatement(select(agents.c.agent_name))
    killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid"

    async def broken() -> None:
        def unit(connection: object) -> None:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()  # type: ignore[attr-defined]
            postgres_database.execute(killed, pid=pid)
            statement.rows(connection, {})  # type: ignore[arg-type]

        await writer.run(unit)

    with pytest.raises(DatabaseUnavailableError):
        await broken()
    assert await writer.run(lambda connection: statement.rows(connection, {})) == []
    await writer.close()


def test_a_dispatch_has_the_columns_of_its_table_in_their_order() -> None:
    assert Dispatch._fields == tuple(dispatches.c.keys())
