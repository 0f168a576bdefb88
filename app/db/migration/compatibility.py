"""Which code works with a schema that is newer than it: replicas of older releases run on while revisions only add.

A `post` revision, which drops or tightens something, says in `works_with` the oldest revision whose code works with it.
The latest of these is kept in the database, where code that does not know the newer revisions reads it.
"""

from __future__ import annotations

from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from app.db.tables import schema_compatibility


def record_oldest(connection: Connection, script: ScriptDirectory, revision: str | None) -> None:
    """Write which code works with the schema at `revision`; nothing where the schema has no place for it."""
    if revision is None or not inspect(connection).has_table(schema_compatibility.name):
        return
    connection.execute(schema_compatibility.delete())
    connection.execute(schema_compatibility.insert().values(oldest_revision=oldest_code(script, revision)))


def oldest_code(script: ScriptDirectory, revision: str) -> str:
    """Return the oldest revision whose code works with the schema at `revision`."""
    oldest = ""
    applied: list[Any] = list(script.iterate_revisions(revision, "base"))
    for one in applied:  # newest first
        oldest = max(oldest, getattr(one.module, "works_with", ""))
    return oldest or str(applied[-1].revision)


def read_oldest(connection: Connection) -> str | None:
    """Return the oldest revision whose code works with this schema; None if the schema does not say."""
    if not inspect(connection).has_table(schema_compatibility.name):
        return None
    return connection.execute(text("SELECT oldest_revision FROM schema_compatibility")).scalar()
