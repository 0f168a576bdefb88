"""The column of `routing_rules` that pauses a rule, and how its instants are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.types import LAST_INSTANT, format_instant, parse_instant

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
