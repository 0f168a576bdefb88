"""Add lookups with their history, and the answers that events hold.

The tables and triggers stand beside this file, one text for each kind of database.

Locks on PostgreSQL: ACCESS EXCLUSIVE on events for milliseconds (nullable columns, a CHECK that is not validated);
SHARE UPDATE EXCLUSIVE while the CHECK is validated, which lets writers go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BEFORE = "outcome IN ('planned', 'served', 'no_match', 'ignored')"
AFTER = "outcome IN ('planned', 'served', 'no_match', 'ignored', 'looking_up')"


def upgrade() -> None:
    kind = op.get_bind().dialect.name
    script = Path(__file__).with_suffix(f".{kind}.sql").read_text("utf-8")
    # The driver's cursor: the text is no template, so a percent sign in it is one.
    cursor = op.get_bind().connection.cursor()
    for statement in statements(script) if kind == "sqlite" else (script,):
        cursor.execute(statement)
    cursor.close()
    is_postgresql = kind == "postgresql"
    op.add_column("events", sa.Column("lookups", JSONB() if is_postgresql else sa.JSON()))
    op.add_column("events", sa.Column("lookup_due_at", sa.TIMESTAMP(timezone=True) if is_postgresql else sa.Text()))
    change_outcomes(BEFORE, AFTER)


def downgrade() -> None:
    # Nobody would evaluate them any more; their callers are found by the sweep.
    op.execute("UPDATE events SET outcome = 'ignored' WHERE outcome = 'looking_up'")
    change_outcomes(AFTER, BEFORE)
    op.drop_column("events", "lookup_due_at")
    op.drop_column("events", "lookups")
    op.drop_table("lookup_changes")
    op.drop_table("lookups")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION usher_record_lookup_change, usher_lookups_truncated")


def change_outcomes(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE events DROP CONSTRAINT ck_events_outcome")
        op.execute(f"ALTER TABLE events ADD CONSTRAINT ck_events_outcome CHECK ({after}) NOT VALID")
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE events VALIDATE CONSTRAINT ck_events_outcome")
        return
    # As https://sqlite.org/lang_altertable.html says for CHECKs: to copy ten million events would take minutes.
    op.execute("PRAGMA writable_schema = ON")
    rewrite = "UPDATE sqlite_master SET sql = replace(sql, :before, :after) WHERE type = 'table' AND name = 'events'"
    op.get_bind().execute(sa.text(rewrite), {"before": before, "after": after})
    op.execute("PRAGMA writable_schema = RESET")


def statements(script: str) -> Iterator[str]:
    """Yield the statements one by one: SQLite's `executescript` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
