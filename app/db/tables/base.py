"""What all tables share: the metadata, the naming of constraints, and column types that differ by database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Index, Integer, MetaData, TextClause, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.columns.column_types import Timestamp

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SQLITE_NOW = "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"
"""The current time in the form in which `Timestamp` stores it."""

# SQLite numbers rows by itself only in a column that is declared INTEGER PRIMARY KEY.
Serial = BigInteger().with_variant(Integer(), "sqlite")


class current_instant(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database server's clock, as a column default in the form that `Timestamp` stores."""

    type = Timestamp()
    inherit_cache = True


@compiles(current_instant)
def _instant_anywhere(_element: current_instant, _compiler: SQLCompiler, **_: object) -> str:
    return "now()"


@compiles(current_instant, "sqlite")
def _instant_on_sqlite(_element: current_instant, _compiler: SQLCompiler, **_: object) -> str:
    return SQLITE_NOW


def flag(name: str) -> Boolean:
    """Return a boolean that operators may write with plain SQL: SQLite would take any text without a CHECK."""
    return Boolean(create_constraint=True, name=name)


def partial_index(name: str, *columns: str | TextClause, where: str | TextClause, unique: bool = False) -> Index:
    """Return an index of the rows for which `where` holds.

    A statement uses it only if its condition is the same text: the planners do not see through bound values.
    """
    condition = text(where) if isinstance(where, str) else where
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
