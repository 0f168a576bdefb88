"""The audit log, heartbeats of background jobs, canary probes, and which code works with this schema."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text

from app.db.columns.column_types import Json, Timestamp
from app.db.tables.base import Serial, metadata

# One line per change of state; append-only, except that pruning deletes old lines.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("entity", Text, nullable=False),  # dispatch, user, token, ...
    Column("entity_id", Text, nullable=False),
    Column("from_state", Text),  # NULL: it was created
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    Column("changed_by", Text, nullable=False),  # user, or `usher`
    Index(None, "entity_id"),
    sqlite_autoincrement=True,
)

# When each background job of each replica last finished, and what it found: for /readyz and the console.
heartbeats = Table(
    "heartbeats",
    metadata,
    Column("component", Text, primary_key=True),  # sweep:<project>, ...
    Column("replica", Text, primary_key=True),
    Column("beat_at", Timestamp, nullable=False),
    Column("detail", Json, nullable=False),
)

# One row per canary: a dispatch into a room made for it, to measure whether and how soon an agent joins.
probes = Table(
    "probes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("arrived", Boolean),  # NULL while it runs
    Column("milliseconds_to_agent", Integer),
    Column("detail", Text, nullable=False, server_default=""),  # what went wrong
    Index(None, "agent_name", "id"),
)

# One row, written by `usher migrate`: the oldest revision whose code works with this schema.
schema_compatibility = Table("schema_compatibility", metadata, Column("oldest_revision", Text, nullable=False))

# Who read which call or person, if USHER_READS_RETENTION_DAYS says for how long to keep it.
personal_reads = Table(
    "personal_reads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("read_at", Timestamp, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("channel", Text, nullable=False),  # console, api, cli
    Column("operation", Text, nullable=False),  # of the API, or the path of the page
    Column("subject", Text, nullable=False),  # the id, identity or number that was asked for; empty for a whole list
    Index(None, "user_name", "id"),
    Index(None, "subject", "id"),
)
