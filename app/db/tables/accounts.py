"""Users of the console and the API, their tokens, and the keys that sign sessions."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, Table, Text, UniqueConstraint, false

from app.db.tables.base import current_instant, metadata
from app.db.types import Timestamp

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("session_epoch", Integer, nullable=False, server_default="0"),  # raised by "log out everywhere"
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    UniqueConstraint("name"),
    CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),  # what it is for
    Column("role", Text, nullable=False),  # at most the user's
    Column("token_hash", Text, nullable=False),  # the token itself is shown once and not stored
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
    UniqueConstraint("token_hash"),
    CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),
)

# Secrets shared by all replicas, made at first use: they sign console sessions and one-time links.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)
