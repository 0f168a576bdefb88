"""Many rows with one `executemany` of the driver.

SQLAlchemy's own looks up the conversion of each value of each row again. Here it renders the statement once per set of
columns, and rows go to the driver directly: 6 % more webhooks acknowledged per second, and 4 to 6 % less time from
webhook to CreateDispatch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, Connection, Dialect, Insert, Table, Update, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from app.db.columns.column_types import Timestamp
from app.db.columns.packed_json import PackedJson
from app.db.engine import execute_later, execute_on_driver
from app.db.types import format_instant

Row = Mapping[str, Any]
_Convert = Callable[[Any], Any]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert those of `rows` that no unique index holds already, in their order; return how many they are.

    All rows name the same columns; the others get their defaults.
    """
    if not rows:
        return 0
    statement = _statement(connection, _insert_new, table, rows)
    parameters = [statement.parameters(row) for row in rows]
    count: int = execute_on_driver(connection, statement.text, parameters, many=True).rowcount
    return count


def insert_new_later(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """As `insert_new`, when it does not matter how many they are: on PostgreSQL no round trip of its own."""
    _run_later(connection, _insert_new, table, rows)


def insert_unseen(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert `rows`, whose keys this transaction has looked for and not found; otherwise as `insert_new_later`.

    If another replica has inserted one of them since, the transaction fails, and the writer runs its units again.
    """
    _run_later(connection, _insert, table, rows)


def update_many(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write each of `rows` over the columns that it names of the row with its `id`; all name the same columns.

    On PostgreSQL no round trip of its own.
    """
    _run_later(connection, _update, table, rows)


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    columns: tuple[tuple[str, _Convert | None], ...]
    """In the order of the driver's parameters, each with the conversion of its values, if any."""
    is_positional: bool

    def parameters(self, row: Row) -> Any:
        if self.is_positional:
            return tuple([row[name] if change is None else change(row[name]) for name, change in self.columns])
        return {name: row[name] if change is None else change(row[name]) for name, change in self.columns}


_Build = Callable[[Dialect, Table, tuple[str, ...]], _Statement]


def _run_later(connection: Connection, build: _Build, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        statement = _statement(connection, build, table, rows)
        execute_later(connection, statement.text, [statement.parameters(row) for row in rows])


def _statement(connection: Connection, build: _Build, table: Table, rows: Sequence[Row]) -> _Statement:
    names = tuple(rows[0])
    if any(len(row) != len(names) for row in rows):
        raise ValueError(f"rows for {table.name} name different columns")
    return build(connection.dialect, table, names)


@lru_cache
def _insert_new(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Statement:
    dialect_insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    return _compile(dialect, table, dialect_insert(table).on_conflict_do_nothing(), names)


@lru_cache
def _insert(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Statement:
    return _compile(dialect, table, insert(table), names)


@lru_cache
def _update(dialect: Dialect, table: Table, names: tuple[str, ...]) -> _Statement:
    changed = [name for name in names if name != "id"]
    statement = update(table).where(table.c.id == bindparam("id")).values({name: bindparam(name) for name in changed})
    return _compile(dialect, table, statement, None)


def _compile(
    dialect: Dialect, table: Table, statement: Insert | Update, column_keys: Sequence[str] | None
) -> _Statement:
    compiled = statement.compile(dialect=dialect, column_keys=column_keys)
    order = compiled.positiontup or list(compiled.binds)
    columns = tuple((name, _converter(dialect, table.c[name].type)) for name in order)
    return _Statement(str(compiled), columns, compiled.positional)


def _converter(dialect: Dialect, kind: TypeEngine[Any]) -> _Convert | None:
    if isinstance(kind, PackedJson):
        return kind.for_driver(dialect)
    if isinstance(kind, JSON):
        return _document
    return _instant if isinstance(kind, Timestamp) and dialect.name == "sqlite" else None


def _instant(value: datetime | None) -> str | None:
    return None if value is None else format_instant(value)


def _document(value: Any) -> str | None:
    return None if value is None else to_json(value).decode()  # takes a quarter of the time of json.dumps
