"""Index callers who were ignored, so that their list needs not walk past the joins of agents.

The lists of the release before go on without it.

Locks on PostgreSQL: none for long; the index is built while webhooks go on, in one reading of `events`.
"""

from __future__ import annotations

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

NAME = "ix_events_ignored_callers"
CONDITION = "type = 'participant_joined' AND outcome = 'ignored' AND participant_role IN ('callee', 'caller')"


def upgrade() -> None:
    how = " CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
    with op.get_context().autocommit_block() if how else op.get_bind().begin_nested():
        op.execute(f"DROP INDEX{how} IF EXISTS {NAME}")
        op.execute(f"CREATE INDEX{how} {NAME} ON events (participant_role, id) WHERE {CONDITION}")


def downgrade() -> None:
    op.drop_index(NAME, table_name="events")
