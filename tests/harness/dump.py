"""Everything that is in a database, as text."""

from __future__ import annotations

import json

from sqlalchemy import inspect, select, text

from app.db.tables import events
from tests.conftest import Database


def dump(database: Database) -> str:
    """Return every value of every table, what is compressed also as what it stands for."""
    engine = database.reader_engine()
    with engine.connect() as connection:
        rows = [
            f"{table} {tuple(row)}"
            for table in sorted(inspect(engine).get_table_names())
            for row in connection.execute(text(f'SELECT * FROM "{table}" ORDER BY 1'))
        ]
        rows += [f"events {json.dumps(body, ensure_ascii=False)}" for body in connection.scalars(select(events.c.body))]
    return "\n".join(rows)
