"""What Usher uses of SQLAlchemy beyond its documentation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, bindparam, create_engine, event, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import OperationalError

TABLE = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("a", Text), Column("b", Text))


class Hinted(SQLiteCompiler):
    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return text


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path}/things.db")
    TABLE.metadata.create_all(made)
    yield made
    made.dispose()


def test_an_engine_compiles_with_the_compiler_that_its_dialect_names(engine: Engine) -> None:
    statement = select(TABLE.c.id).with_hint(TABLE, "INDEXED BY ix_a", "sqlite")
    assert "INDEXED BY" not in str(statement.compile(engine))  # else our compiler could go
    engine.dialect.statement_compiler = Hinted
    assert "FROM things INDEXED BY ix_a" in str(statement.compile(engine))


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.psycopg.dialect()])  # type: ignore[no-untyped-call]
def test_a_compiled_statement_lists_its_parameters_in_their_order(dialect: Any) -> None:
    statement = update(TABLE).where(TABLE.c.id == bindparam("key")).values(a=bindparam("first"), b=bindparam("second"))
    compiled = statement.compile(dialect=dialect)
    assert list(compiled.positiontup or compiled.binds) == ["first", "second", "key"]
    assert compiled.positional == (dialect.name == "sqlite")
    assert (compiled.positiontup is None) != compiled.positional


def test_a_transaction_begins_with_the_statement_of_our_listener_alone(engine: Engine) -> None:
    statements: list[str] = []

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.set_trace_callback(statements.append)

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
    with engine.begin() as connection:
        connection.execute(select(TABLE.c.id))
    assert [one for one in statements if not one.startswith(("SELECT", "PRAGMA"))] == ["BEGIN IMMEDIATE", "COMMIT"]


def test_an_error_that_a_listener_calls_a_disconnect_closes_the_connection(engine: Engine) -> None:
    @event.listens_for(engine, "handle_error")
    def lose(context: Any) -> None:
        context.is_disconnect = True

    with engine.connect() as connection:
        with pytest.raises(OperationalError) as raised:
            connection.exec_driver_sql("SELECT * FROM nowhere")
        assert raised.value.connection_invalidated
        assert connection.invalidated


def test_an_engine_reports_that_it_was_disposed_of(engine: Engine) -> None:
    disposed: list[Engine] = []
    event.listen(engine, "engine_disposed", disposed.append)
    engine.dispose()
    assert disposed == [engine]


def test_an_engine_keeps_options_that_it_does_not_know(engine: Engine) -> None:
    mark = object()
    engine.update_execution_options(usher_mark=mark)
    assert engine.get_execution_options()["usher_mark"] is mark
