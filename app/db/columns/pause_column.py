"""The column of `routing_rules` that pauses a rule, and how its instants are stored and shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.columns.written_types import LAST_INSTANT, readable_instant
from app.db.types import format_instant, parse_instant

PAUSED_UNTIL: Final = RuleColumn(
    "paused_until",
    ColumnKind.INSTANT,
    FormSection.LIMITS,
    "Paused until",
    "The rule is not in force before this moment, such as `2026-12-24T18:00:00Z`. Empty: it is not paused.",
    default=None,
)


def canonical_instant(value: Any) -> Any:
    """Return an instant in the one form in which Usher shows it; what is none is returned as it is."""
    try:
        if value == "infinity":  # as PostgreSQL records it in the history
            return format_instant(LAST_INSTANT)
        if isinstance(value, datetime):
            return format_instant(value)
        return format_instant(parse_instant(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        return value


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
