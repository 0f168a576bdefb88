"""Everything that is in a database, as text."""

from __future__ import annotations

from sqlalchemy import inspect, text

from tests.conftest import Database


def dump(database: Database) -> str:
    """Return every value of every table."""
    engine = database.reader_engine()
    with engine.connect() as connection:
        rows = [
            f"{table} {tuple(row)}"
            for table in sorted(inspect(engine).get_table_names())
            for row in connection.execute(text(f'SELECT * FROM "{table}" ORDER BY 1'))
        ]
    return "\n".join(rows)
