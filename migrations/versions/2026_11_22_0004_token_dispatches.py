"""Dispatches promised to a token server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.types import Json, Timestamp

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_dispatches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("participant_identity", sa.Text(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.BigInteger(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("used_at", Timestamp(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_dispatches")),
    )
    op.create_index(
        op.f("ix_token_dispatches_room_name_participant_identity"),
        "token_dispatches",
        ["room_name", "participant_identity"],
    )
    op.create_index(op.f("ix_token_dispatches_created_at"), "token_dispatches", ["created_at"])


def downgrade() -> None:
    op.drop_table("token_dispatches")
