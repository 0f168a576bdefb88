"""Finds times in tables that people write which cannot be read; only SQLite holds such, from before it refused them."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, text

from app.db.columns.written_times import TIME_EXAMPLE, WRITTEN_TIMES, is_no_time
from app.errors import Problem
from app.translation import translatable


def unreadable_times(connection: Connection, table: str, key: str, where: str = "1") -> dict[str, list[Problem]]:
    """Return, by the `key` of the row, each time of `table` that is none; of the rows for which `where` holds."""
    found: defaultdict[str, list[Problem]] = defaultdict(list)
    if connection.dialect.name != "sqlite":
        return found
    columns = WRITTEN_TIMES[table]
    values = ", ".join(f"CASE WHEN {is_no_time(column)} THEN {column} END" for column in columns)
    is_bad = " OR ".join(f"({is_no_time(column)})" for column in columns)
    query = f"SELECT {key}, {values} FROM {table} WHERE ({where}) AND ({is_bad})"  # noqa: S608 - names in the schema
    for name, *texts in connection.execute(text(query.replace(":", r"\:"))):
        found[str(name)] += [
            Problem(
                column,
                translatable("is no time; write one such as %(time_example)s", time_example=TIME_EXAMPLE),
                str(value)[:100],
            )
            for column, value in zip(columns, texts, strict=True)
            if value is not None
        ]
    return found
