"""The triggers by which SQLite refuses what is no time in a table that people write; PostgreSQL does so by its types.

Triggers and no CHECKs: their text says what to write, and a row from before them can still be edited elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

WRITTEN_TIMES: Final[Mapping[str, Sequence[str]]] = {
    "agents": ("out_of_service_until", "updated_at"),
    "incidents": ("opened_at", "updated_at", "closed_at", "muted_until"),
    "lookups": ("created_at", "updated_at"),
    "notifications": ("created_at", "updated_at"),
    "routing_rules": ("created_at", "updated_at"),
    "webhook_subscriptions": ("failing_since", "paused_at", "created_at"),
}
"""By table, the columns that hold times. `routing_rules.paused_until` is checked with the rule."""
TIME_EXAMPLE: Final = "2026-12-24T18:00:00Z"


def is_no_time(column: str) -> str:
    """Return the condition, on SQLite, that a column holds what `app.db.types.parse_instant` cannot read.

    SQLite takes 30 February for 2 March, and reads forms that Python does not.
    """
    return (
        f"{column} IS NOT NULL AND (typeof({column}) = 'text'"
        f" AND {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        f" AND {column} NOT GLOB '*[^-0-9T:.Z+ ]*'"
        f" AND length({column}) <> 11 AND instr(substr({column}, 12), ' ') = 0 AND substr({column}, 12, 2) <> '24'"
        f" AND date(substr({column}, 1, 10), '+0 days') = substr({column}, 1, 10)"
        f" AND julianday({column}) BETWEEN julianday('1970-01-01') AND julianday('9999-12-31 23:59:59')) IS NOT 1"
    )


def time_triggers() -> list[str]:
    """Return the statements that create the triggers."""
    return [
        f"""CREATE TRIGGER {table}_times_{done} BEFORE {change} ON {table} BEGIN
            {" ".join(_refuse(table, column, change) for column in columns)}
        END"""
        for table, columns in WRITTEN_TIMES.items()
        for done, change in (("inserted", "INSERT"), ("updated", f"UPDATE OF {', '.join(columns)}"))
    ]


def _refuse(table: str, column: str, change: str) -> str:
    message = f"{table}.{column} must be a time such as {TIME_EXAMPLE}"
    # A row from before keeps a bad time until that column is written.
    is_new = "" if change == "INSERT" else f"NEW.{column} IS NOT OLD.{column} AND "
    return f"SELECT raise(ABORT, '{message}') WHERE {is_new}{is_no_time(f'NEW.{column}')};"
