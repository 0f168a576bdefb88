"""Time between two columns, as both databases tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TIMESTAMP, ColumnElement, Connection, Float, extract, func, type_coerce


def seconds_between(connection: Connection, begin: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the seconds from `begin` to `end` (both `Timestamp`) as SQL; NULL where one is."""
    if connection.dialect.name == "postgresql":
        begin, end = (type_coerce(each, TIMESTAMP(timezone=True)) for each in (begin, end))
        return extract("epoch", end - begin).cast(Float)
    return ((func.julianday(end) - func.julianday(begin)) * 86_400.0).cast(Float)
