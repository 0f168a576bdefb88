"""The first schema; its SQL stands beside this file, one text for each kind of database.

It has the number 0008 because databases made before the first release are at that revision already.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alembic import op

revision = "0008"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "dispatch_callers", "dispatch_attempts", "dispatches", "events", "token_dispatches", "audit_log", "rule_changes",
    "rule_editor", "routing_rules", "agent_limits", "heartbeats", "api_tokens", "users", "signing_keys", "probes",
)  # fmt: skip
FUNCTIONS = ("usher_record_rule_change", "usher_stamp_rule", "usher_rules_truncated", "usher_refuse_change")


def upgrade() -> None:
    kind = op.get_bind().dialect.name
    script = Path(__file__).with_suffix(f".{kind}.sql").read_text("utf-8")
    # The driver's cursor: the text is no template, so a percent sign in it is one.
    cursor = op.get_bind().connection.cursor()
    for statement in statements(script) if kind == "sqlite" else (script,):
        cursor.execute(statement)
    cursor.close()


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {', '.join(FUNCTIONS)}")


def statements(script: str) -> Iterator[str]:
    """Yield the statements one by one: SQLite's `executescript` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
