"""The columns of a rule that people write, as rows of plain values: their names, defaults and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.db.column_definition import ColumnKind
from app.db.columns.pause_column import canonical_instant
from app.db.rule_columns import COLUMN, RULE_COLUMNS

WRITABLE: Final = tuple(COLUMN)
"""Every column that people write, in the order of forms and exports."""

REQUIRED: Final = tuple(column.name for column in RULE_COLUMNS if column.is_required)
"""All that an INSERT needs."""

DEFAULTS: Final[Mapping[str, Any]] = {column.name: column.default for column in RULE_COLUMNS if not column.is_required}
"""The database's own defaults, as Python values."""

DOCUMENTS: Final = tuple(column.name for column in RULE_COLUMNS if column.is_document)
"""The columns that hold JSON."""

FLAGS: Final = tuple(column.name for column in RULE_COLUMNS if column.kind is ColumnKind.FLAG)
"""The columns that are true or false."""

INSTANTS: Final = tuple(column.name for column in RULE_COLUMNS if column.kind is ColumnKind.INSTANT)
"""The columns that hold moments."""

STAMPS: Final = ("created_at", "updated_at", "updated_by")
"""Written by the database."""


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the writable columns of `row` in their order, with the defaults of those that are left out."""
    completed = {column: row[column] if column in row else DEFAULTS.get(column) for column in WRITABLE}
    return with_instants(completed)


def with_instants(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with its instants in the one form in which they are shown, so that equal ones are the same."""
    return {name: canonical_instant(value) if name in INSTANTS else value for name, value in row.items()}


def matching_order(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return the key by which rules are tried; a priority that plain SQL set to something other than a number is last.

    SQLite holds any value in any column.
    """
    priority, rule_id = row.get("priority", DEFAULTS["priority"]), row.get("id") or 0
    return (priority if isinstance(priority, int) else 2**31, rule_id if isinstance(rule_id, int) else 0)
