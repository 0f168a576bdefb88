"""Index actions on callers by their state and rule, so that lists of calls find those that an action decides.

The lists of the release before go on without it.

Locks on PostgreSQL: none for long; the indexes are built while webhooks go on, in seconds for a million actions.
"""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

COLUMNS = ("status", "rule_name")


def upgrade() -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        for column in COLUMNS:
            name = f"ix_caller_actions_{column}_id"
            op.execute(f"DROP INDEX{how} IF EXISTS {name}")
            op.execute(f"CREATE INDEX{how} {name} ON caller_actions ({column}, id)")


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_index(f"ix_caller_actions_{column}_id", table_name="caller_actions")
