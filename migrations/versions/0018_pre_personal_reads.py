"""Record who read which call or person, where the setting asks for it.

Locks on PostgreSQL: none on existing tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = TIMESTAMP(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.Text()
    op.create_table(
        "personal_reads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("read_at", instant, nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_personal_reads"),
    )
    op.create_index("ix_personal_reads_user_name_id", "personal_reads", ["user_name", "id"])
    op.create_index("ix_personal_reads_subject_id", "personal_reads", ["subject", "id"])


def downgrade() -> None:
    op.drop_table("personal_reads")
