"""Note when the caller of a dispatch joined, where the dispatch was created later.

A replica of the release before leaves it NULL: its callers count from the creation of the dispatch, as before.

Locks on PostgreSQL: ACCESS EXCLUSIVE on dispatches for milliseconds (a column that may be null).
"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    kind = "TIMESTAMP WITH TIME ZONE" if is_postgresql else "TEXT"
    op.execute(f"ALTER TABLE dispatches ADD COLUMN waiting_since {kind}")


def downgrade() -> None:
    op.drop_column("dispatches", "waiting_since")
