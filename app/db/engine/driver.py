"""Statements given to the driver directly: SQLAlchemy's execution takes 30 to 60 µs of each, SQLite's often 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.db.engine import postgres


def execute_on_driver(connection: Connection, text: str, parameters: Any = (), *, many: bool = False) -> Any:
    """Run `text` in the transaction of `connection` and return the driver's cursor.

    `many`: `parameters` are those of several rows. Errors are SQLAlchemy's, and a broken connection is given up, as if
    SQLAlchemy had run it.
    """
    _begin_if_needed(connection)
    return execute_without_begin(connection, text, parameters, many=many)


def execute_later(connection: Connection, text: str, rows: Sequence[Any]) -> None:
    """Run `text` for each of `rows` in the transaction of `connection`, before any statement that comes after.

    PostgreSQL gets it with the next statement, or with COMMIT, and raises its errors then.
    """
    run_later = getattr(connection.connection.driver_connection, "run_later", None)  # `PipelinedConnection` has it
    if run_later is None:
        execute_on_driver(connection, text, rows, many=True)
        return
    _begin_if_needed(connection)
    run_later(text, rows)


def execute_without_begin(connection: Connection, text: str, parameters: Any = (), *, many: bool = False) -> Any:
    """As `execute_on_driver`, but begin no transaction."""
    cursor = connection.connection.cursor()
    try:
        if many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except Exception as error:
        errors = connection.dialect.loaded_dbapi.Error
        is_lost = has_lost_connection(connection, error)
        if is_lost:
            connection.invalidate(error)
        dialect = connection.dialect
        raise DBAPIError.instance(text, None, error, errors, connection_invalidated=is_lost, dialect=dialect) from error
    return cursor


def has_lost_connection(connection: Connection, error: Exception) -> bool:
    """Return whether `error`, raised by the driver, means that `connection` must not be used again."""
    driver_connection: Any = connection.connection.driver_connection
    dialect = connection.dialect
    return dialect.is_disconnect(cast("Any", error), driver_connection, None) or postgres.is_read_only(error)


def _begin_if_needed(connection: Connection) -> None:
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy does at a connection's first statement
