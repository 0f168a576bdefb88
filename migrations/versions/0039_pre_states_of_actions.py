"""Index actions on callers by their state, so that lists of calls find those that an action decides.

The lists of the release before go on without it.

Locks on PostgreSQL: none for long; the index is built while webhooks go on, in seconds for a million actions.
"""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

NAME = "ix_caller_actions_status_id"


def upgrade() -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        op.execute(f"DROP INDEX{how} IF EXISTS {NAME}")
        op.execute(f"CREATE INDEX{how} {NAME} ON caller_actions (status, id)")


def downgrade() -> None:
    op.drop_index(NAME, table_name="caller_actions")
