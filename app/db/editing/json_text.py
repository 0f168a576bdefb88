"""JSON columns as texts: on SQLite, plain SQL may have stored what is not JSON."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Text, cast, type_coerce

from app.db.types import JsonText


def text_of(connection: Connection, column: Column[Any]) -> ColumnElement[Any]:
    """Return a JSON column as an expression that gives its text, under the column's name."""
    if connection.dialect.name == "sqlite":
        return type_coerce(column, Text).label(column.name)
    return cast(column, Text).label(column.name)


def json_text(value: Any) -> JsonText | None:
    """Return what `text_of` gave as a text; None for NULL."""
    # SQLite turns text that looks like a number into one, and keeps a blob as it is.
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return None if value is None else JsonText(value)
