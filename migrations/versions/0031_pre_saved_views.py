"""Let users save filters of the list of calls under a name.

Replicas of the release before know nothing of the table, and need not.

Locks on PostgreSQL: none that anybody waits for (a new table; SHARE ROW EXCLUSIVE on users for the foreign key).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.TIMESTAMP(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.Text()
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False, server_default=""),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_saved_views"),
        sa.UniqueConstraint("user_id", "project", "name", name="uq_saved_views_user_id_project_name"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_saved_views_user_id"),
    )


def downgrade() -> None:
    op.drop_table("saved_views")
