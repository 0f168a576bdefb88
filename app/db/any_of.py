"""`column IN (list)` for statements that are built once and get the list when they run."""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam


def any_of(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition that `column`, a text, is one of the texts bound as `name`."""
    return column.in_(bindparam(name, expanding=True))
