"""SQL that differs between the databases: seconds between two columns, lists of values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Text,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import NullType


def seconds_between(connection: Connection, begin: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the seconds from `begin` to `end` (both `Timestamp`) as SQL; NULL if either is NULL."""
    if connection.dialect.name == "postgresql":
        begin, end = (type_coerce(each, TIMESTAMP(timezone=True)) for each in (begin, end))
        return func.date_part("epoch", end - begin, type_=Float)  # EXTRACT computes a numeric, which takes longer
    return ((func.julianday(end) - func.julianday(begin)) * 86_400.0).cast(Float)


def listed(
    connection: Connection, seconds: ColumnElement[Any], where: ColumnElement[bool] | None = None
) -> ColumnElement[Any]:
    """Return the aggregate of the `seconds` for which `where` holds (None: all but NULL), to be read by `read_list`."""
    known = seconds.is_not(None) if where is None else where
    if connection.dialect.name == "postgresql":
        return func.array_agg(seconds, type_=NullType()).filter(known)
    return func.json_group_array(seconds).filter(known)


def read_list(value: str | list[float] | None) -> list[float]:
    """Return the numbers of a `listed` column; negative ones, from a clock set back, become 0."""
    numbers: list[float] = json.loads(value) if isinstance(value, str) else value or []
    return [max(0.0, number) for number in numbers] if min(numbers, default=0.0) < 0 else numbers


def names_table(connection: Connection, names: Sequence[str]) -> FromClause:
    """Return a table with a column `name` that holds the names; the statement is the same for any number of them."""
    if connection.dialect.name == "postgresql":
        return func.unnest(literal(list(names), ARRAY(Text))).table_valued("name").alias("wanted").render_derived()
    listed_names = func.json_each(json.dumps(list(names))).table_valued("value")
    return select(listed_names.c.value.label("name")).subquery("wanted")
