"""The column of `routing_rules` that pauses a rule, and how its instants are shown."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.types import FIRST_INSTANT, LAST_INSTANT, format_instant, parse_instant

PAUSED_UNTIL: Final = RuleColumn(
    "paused_until",
    ColumnKind.INSTANT,
    FormSection.LIMITS,
    "Paused until",
    "The rule is not in force before this moment, such as `2026-12-24T18:00:00Z`. Empty: it is not paused.",
    default=None,
)

# Times of PostgreSQL that Python does not know, as its history has them in JSON.
_BEFORE_ALL: Final = re.compile(r"-infinity|\d{4,6}-\d\d-\d\dT.* BC")
_AFTER_ALL: Final = re.compile(r"infinity|\d{5,6}-\d\d-\d\dT.*")


def canonical_instant(value: Any) -> Any:
    """Return an instant in the one form in which Usher shows it; what is none is returned as it is.

    One outside the years that Python knows is the first or the last of them, as where the column itself is read.
    """
    try:
        if isinstance(value, str) and _BEFORE_ALL.fullmatch(value):
            return format_instant(FIRST_INSTANT)
        if isinstance(value, str) and _AFTER_ALL.fullmatch(value):
            return format_instant(LAST_INSTANT)
        if isinstance(value, datetime):
            return format_instant(value)
        return format_instant(parse_instant(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        return value
