"""Keep sessions and a log of accesses in the database, and when each user last logged in.

Sessions of the cookies that were signed until now end: their users log in once more. Users, passwords and API tokens
stay as they are; tokens without an expiry keep none.

Locks on PostgreSQL: ACCESS EXCLUSIVE on users for milliseconds (a nullable column); two new tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KINDS = (
    "kind IN ('login', 'login_failed', 'login_throttled', 'logout', 'session_ended', 'password_confirmed', "
    "'password_refused', 'role_refused', 'form_refused', 'token_refused')"
)


def upgrade() -> None:
    instant = sa.TIMESTAMP(timezone=True) if op.get_bind().dialect.name == "postgresql" else sa.Text()
    op.add_column("users", sa.Column("last_login_at", instant))
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("last_seen_at", instant, nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("password_checked_at", instant, nullable=False),
        sa.Column("address", sa.Text(), nullable=False, server_default=""),
        sa.Column("user_agent", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_sessions_secret_hash"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "access_log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("happened_at", instant, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False, server_default=""),
        sa.Column("address", sa.Text(), nullable=False, server_default=""),
        sa.Column("user_agent", sa.Text(), nullable=False, server_default=""),
        sa.Column("detail", sa.Text(), nullable=False, server_default=""),
        sa.Column("count", sa.Integer(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name="pk_access_log"),
        sa.CheckConstraint(KINDS, name=op.f("ck_access_log_kind")),
    )
    op.create_index("ix_access_log_user_name_id", "access_log", ["user_name", "id"])


def downgrade() -> None:
    op.drop_table("access_log")
    op.drop_table("sessions")
    op.drop_column("users", "last_login_at")
