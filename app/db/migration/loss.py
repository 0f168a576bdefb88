"""What a downgrade drops: found by doing it to an empty database, so that no revision has to list it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import URL

from app.db import schema

_Columns = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Loss:
    """A table, or a column of a table that stays, and how many rows have something in it."""

    table: str
    column: str | None
    rows: int

    def __str__(self) -> str:
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        return f"table {self.table}: {rows}" if self.column is None else f"column {self.table}.{self.column}: {rows}"


@dataclass(frozen=True, slots=True)
class Downgrade:
    """From which revision to which, and what it drops."""

    before: str
    after: str
    losses: tuple[Loss, ...]


def plan_downgrade(connection: Connection, revision: str) -> Downgrade:
    """Return what a downgrade of the connected database to `revision` would drop; changes nothing.

    Raises alembic's `CommandError` for a revision that does not exist or is not below.
    """
    before = schema.current_revision(connection) or "base"
    with tempfile.TemporaryDirectory(prefix="usher-") as folder:
        url = URL.create("sqlite", database=str(Path(folder) / "empty.db"))
        if before != "base":
            schema.upgrade(url, before)
        columns = _columns(url)
        schema.downgrade(url, revision)
        left = _columns(url)
        after = _revision(url)
    losses = []
    for table in sorted(columns):
        if table not in left:
            losses.append(Loss(table, None, _count(connection, table)))
            continue
        losses += [Loss(table, name, _count(connection, table, name)) for name in sorted(columns[table] - left[table])]
    return Downgrade(before, after, tuple(losses))


def _columns(url: URL) -> _Columns:
    engine = create_engine(url)
    try:
        found = inspect(engine)
        tables = [table for table in found.get_table_names() if table != "alembic_version"]
        return {table: {column["name"] for column in found.get_columns(table)} for table in tables}
    finally:
        engine.dispose()


def _revision(url: URL) -> str:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return schema.current_revision(connection) or "base"
    finally:
        engine.dispose()


def _count(connection: Connection, table: str, column: str | None = None) -> int:
    quote = connection.dialect.identifier_preparer.quote
    condition = "" if column is None else f" WHERE {quote(column)} IS NOT NULL"
    # The names are those of the schema that the revisions make.
    return int(connection.execute(text(f"SELECT count(*) FROM {quote(table)}{condition}")).scalar_one())  # noqa: S608
