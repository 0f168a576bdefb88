"""Refuse impossible times that plain SQL writes into a SQLite database: its date functions took them for NULL.

Rows that hold such a time stay as they are; Usher shows them as bad. PostgreSQL has refused them by its types.

No lock on PostgreSQL: nothing changes there.
"""

from __future__ import annotations

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TIMES = {
    "agents": ("out_of_service_until", "updated_at"),
    "incidents": ("opened_at", "updated_at", "closed_at", "muted_until"),
    "lookups": ("created_at", "updated_at"),
    "notifications": ("created_at", "updated_at"),
    "routing_rules": ("created_at", "updated_at"),
    "webhook_subscriptions": ("failing_since", "paused_at", "created_at"),
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, columns in TIMES.items():
        for done, change in (("inserted", "INSERT"), ("updated", f"UPDATE OF {', '.join(columns)}")):
            refused = " ".join(refuse(table, column, change) for column in columns)
            # On the driver's cursor: op.execute takes `:` for a parameter.
            cursor = op.get_bind().connection.cursor()
            cursor.execute(f"CREATE TRIGGER {table}_times_{done} BEFORE {change} ON {table} BEGIN {refused} END")
            cursor.close()


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for table in TIMES:
        for done in ("inserted", "updated"):
            op.execute(f"DROP TRIGGER {table}_times_{done}")


def refuse(table: str, column: str, change: str) -> str:
    message = f"{table}.{column} must be a time such as 2026-12-24T18:00:00Z"
    is_new = "" if change == "INSERT" else f"NEW.{column} IS NOT OLD.{column} AND "
    return f"SELECT raise(ABORT, '{message}') WHERE {is_new}{is_no_time('NEW.' + column)};"


def is_no_time(column: str) -> str:
    return (
        f"{column} IS NOT NULL AND (typeof({column}) = 'text'"
        f" AND {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        f" AND {column} NOT GLOB '*[^-0-9T:.Z+ ]*'"
        f" AND length({column}) <> 11 AND instr(substr({column}, 12), ' ') = 0 AND substr({column}, 12, 2) <> '24'"
        f" AND date(substr({column}, 1, 10), '+0 days') = substr({column}, 1, 10)"
        f" AND julianday({column}) BETWEEN julianday('1970-01-01') AND julianday('9999-12-31 23:59:59')) IS NOT 1"
    )
