"""Keep in the database which code works with its schema, for replicas of releases that do not know the revision.

Locks on PostgreSQL: none on existing tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("schema_compatibility", sa.Column("oldest_revision", sa.Text(), nullable=False))


def downgrade() -> None:
    op.drop_table("schema_compatibility")
