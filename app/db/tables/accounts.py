"""Users of the console and the API, their sessions, tokens and saved views, keys that sign links, the access log."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from app.db.columns.column_types import Timestamp, one_of
from app.db.columns.written_types import EPOCH, WrittenInteger, WrittenJson, WrittenText, WrittenTimestamp
from app.db.tables.base import current_instant, metadata
from app.db.types import AccessKind

users = Table(
    "users",
    metadata,
    Column("id", WrittenText, primary_key=True),
    Column("name", WrittenText, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", WrittenText, nullable=False),  # argon2
    Column("disabled", Boolean, nullable=False, server_default=false()),
    # Raised by whatever ends all sessions.
    Column("session_epoch", WrittenInteger(-1), nullable=False, server_default="0"),
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("last_login_at", WrittenTimestamp(EPOCH)),
    Column("projects", WrittenJson),  # a list of LiveKit projects, whose calls and rules the user may see; NULL: all
    Column("identity_issuer", WrittenText),  # the OpenID Connect provider through which the user logs in, and
    Column("identity_subject", WrittenText),  # the user's `sub` there, which the provider never gives to another person
    UniqueConstraint("name"),
    Index("uq_users_identity", "identity_issuer", "identity_subject", unique=True),
    CheckConstraint("role IN ('viewer', 'editor', 'admin', 'decider')", name="role"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),  # what it is for
    Column("role", Text, nullable=False),  # at most the user's
    Column("token_hash", Text, nullable=False),  # the token itself is shown once and not stored
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("expires_at", WrittenTimestamp(EPOCH)),
    Column("revoked_at", WrittenTimestamp(EPOCH)),
    Column("last_used_at", WrittenTimestamp(EPOCH)),
    Column("projects", WrittenJson),  # as those of users; both hold
    UniqueConstraint("token_hash"),
    CheckConstraint("role IN ('viewer', 'editor', 'admin', 'decider')", name="role"),
)

# One row per browser that is logged in; ending a session deletes its row.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),  # of the cookie's value, which is not stored
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_epoch", Integer, nullable=False),  # the user's at the login; the session ends when that is raised
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False),
    Column("last_seen_at", WrittenTimestamp(EPOCH), nullable=False),
    Column("expires_at", WrittenTimestamp(EPOCH), nullable=False),  # whatever happens in it
    Column(
        "password_checked_at", WrittenTimestamp(EPOCH), nullable=False
    ),  # when the user last typed the password, or logged in at the provider
    Column("address", Text, nullable=False, server_default=""),
    Column("user_agent", Text, nullable=False, server_default=""),
    Column("id_token", Text),  # of the login at the provider, which a logout there names; no page or API shows it
    UniqueConstraint("secret_hash"),
    Index(None, "user_id"),
)

# Logins, failed logins, and requests that were refused; equal ones of a minute are one row.
access_log = Table(
    "access_log",
    metadata,
    Column("id", Text, primary_key=True),
    Column("happened_at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_name", Text, nullable=False, server_default=""),  # empty: no user of that name, or none was named
    Column("address", Text, nullable=False, server_default=""),
    Column("user_agent", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("count", Integer, nullable=False, server_default="1"),
    one_of("kind", AccessKind, "kind"),
    Index(None, "user_name", "id"),
)

# Filters of the list of calls that a user has given a name.
saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("project", Text, nullable=False, server_default=""),  # that the filters name; empty: none
    Column("name", WrittenText, nullable=False),
    Column("query", WrittenText, nullable=False),  # the filters, as the address of the list has them
    Column("shared", Boolean, nullable=False, server_default=false()),  # others see it, too
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False),
    UniqueConstraint("user_id", "project", "name"),
)

# Secrets shared by all replicas, made at first use: they sign one-time links, and forms before the login.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)
