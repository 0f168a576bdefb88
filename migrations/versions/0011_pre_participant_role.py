"""Give events the role of their participant, as it was decided when they were stored; empty in the rows that exist.

Of those the role is read off the body when they are looked at.

Locks on PostgreSQL: ACCESS EXCLUSIVE on events for milliseconds (a column with a constant default).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("participant_role", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("events", "participant_role")
