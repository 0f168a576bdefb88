"""Types of columns that people write with plain SQL: what cannot be read costs its column, not the whole list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, ColumnElement, Dialect, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.db.columns.column_types import Timestamp
from app.db.columns.pause_column import canonical_instant
from app.db.types import parse_instant

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What a stamp that cannot be read is shown as."""


class readable_instant(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """A time within the years that Python knows: on PostgreSQL `infinity` is 9999-12-31."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], kind: TypeEngine[Any]) -> None:
        super().__init__(column)
        self.type = kind


@compiles(readable_instant)
def _as_it_is(element: readable_instant, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(readable_instant, "postgresql")
def _within_years(element: readable_instant, compiler: SQLCompiler, **options: Any) -> str:
    value = compiler.process(element.clauses, **options)
    bounded = f"least(greatest({value}, '0001-01-02 00:00+00'), '9999-12-31 00:00+00')"
    return f"CASE WHEN {value} IS NOT NULL THEN {bounded} END"  # they would pass over NULL


class WrittenTimestamp(Timestamp):
    """A `Timestamp` that reads as `if_unreadable` where SQLite holds what is no time."""

    cache_ok = True

    def __init__(self, if_unreadable: datetime | None = None) -> None:
        super().__init__()
        self.if_unreadable = if_unreadable

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return readable_instant(column, self)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        try:
            return super().process_result_value(value, dialect)
        except (ValueError, TypeError):
            return self.if_unreadable


class InstantText(TypeDecorator[str]):
    """An instant that Python sees as text, since rows of rules are JSON; `timestamptz` on PostgreSQL, text on SQLite.

    On SQLite plain SQL may have stored any text.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        kind = TIMESTAMP(timezone=True) if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return readable_instant(column, self)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return canonical_instant(value)
        return parse_instant(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return canonical_instant(value)


class WrittenInteger(TypeDecorator[int]):
    """A whole number that reads as `if_unreadable` where SQLite holds none."""

    impl = Integer
    cache_ok = True

    def __init__(self, if_unreadable: int) -> None:
        super().__init__()
        self.if_unreadable = if_unreadable

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value if value is None or isinstance(value, int) else self.if_unreadable


class UnreadableText(str):
    """What a text column of SQLite holds that is a BLOB, as far as it is UTF-8."""

    __slots__ = ()


class WrittenText(TypeDecorator[str]):
    """Text that reads as `UnreadableText` where SQLite holds a BLOB."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return UnreadableText(value.decode("utf-8", "replace")) if isinstance(value, bytes) else value


class UnreadableJson(str):
    """What a JSON column of SQLite holds that is no JSON."""

    __slots__ = ()


class WrittenJson(TypeDecorator[Any]):
    """JSON that reads as `UnreadableJson` where SQLite holds what is none. Python None is SQL NULL."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], Any] | None:
        parse = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return value if parse is None else parse(value)
            except (ValueError, TypeError):
                shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                return UnreadableJson(shown)

        return read
