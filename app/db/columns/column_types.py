"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Dialect, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator

from app.db.types import aware, format_instant, parse_instant


class Timestamp(TypeDecorator[datetime]):
    """A point in time with microseconds.

    PostgreSQL: `timestamptz`. SQLite: text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, which sorts by time and which
    SQLite's own date functions read. Only timezone-aware values go in; UTC comes out.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return aware(value) if dialect.name == "postgresql" else format_instant(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return parse_instant(value)


class Quantity(TypeDecorator[float]):
    """A decimal number that stays as it was written: 95 comes back as 95, 99.9 as 99.9, on both databases."""

    impl = Numeric(asdecimal=False)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:  # noqa: ARG002 - SQLAlchemy's signature
        return int(value) if isinstance(value, float) and value.is_integer() else value


# JSONB on PostgreSQL: smaller and comparable. JSON text on SQLite. Python None is SQL NULL in both.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def one_of(column: str, enum: type[StrEnum], name: str) -> CheckConstraint:
    """Return the CHECK constraint that holds `column` to the members of `enum`."""
    allowed = ", ".join(f"'{member}'" for member in enum)
    return CheckConstraint(f"{column} IN ({allowed})", name=name)
