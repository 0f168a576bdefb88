"""Many rows with one `executemany`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]

_OPTIONS = {"preserve_rowcount": True}


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert those of `rows` that no unique index holds already, in their order; return how many they are.

    All rows name the same columns; the others get their defaults.
    """
    if not rows:
        return 0
    return connection.execute(_insert(connection.dialect.name, table), list(rows), execution_options=_OPTIONS).rowcount


def update_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write each of `rows` over the columns that it names of the row with its `id`; all name the same columns."""
    if rows:
        values = [{f"new_{name}": value for name, value in row.items()} for row in rows]
        connection.execute(_update(table, tuple(rows[0])), values)


@lru_cache
def _insert(dialect: str, table: Table) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


@lru_cache
def _update(table: Table, names: tuple[str, ...]) -> Executable:
    # A parameter that has a column's name would be taken for a value to set.
    changed: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name != "id"}
    return update(table).where(table.c.id == bindparam("new_id")).values(changed)
