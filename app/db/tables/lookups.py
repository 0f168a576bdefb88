"""Lookups and their history: HTTP questions about a caller that are asked before its rules are evaluated."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint, text, true

from app.db.columns.column_types import Json, Timestamp
from app.db.columns.lookup_columns import MAX_CACHE_S, MAX_TIMEOUT_MS
from app.db.columns.written_types import EPOCH, WrittenText, WrittenTimestamp
from app.db.tables.base import Serial, current_instant, flag, metadata

# One row per lookup. Triggers write lookup_changes, updated_at and updated_by for every edit, by SQL or otherwise.
lookups = Table(
    "lookups",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),  # rules and templates read the answer at `lookup.<name>`
    Column("enabled", flag("enabled"), nullable=False, server_default=true()),
    Column("pattern", Json, nullable=False),  # which joins it is asked about
    Column("url", Text, nullable=False),
    Column("headers", Json),  # secrets as {"authorization": "env:CRM_TOKEN"}
    Column("timeout_ms", Integer, nullable=False, server_default="1500"),
    Column("cache_s", Integer, nullable=False, server_default="0"),  # how long an answer is used again
    Column("on_error", Json),  # what stands for the answer if none comes
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_by", WrittenText),  # user, or `sql`
    UniqueConstraint("name"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint(f"timeout_ms BETWEEN 1 AND {MAX_TIMEOUT_MS}", name="timeout_ms"),
    CheckConstraint(f"cache_s BETWEEN 0 AND {MAX_CACHE_S}", name="cache_s"),
    sqlite_autoincrement=True,  # as of rules
)

# Append-only, written by triggers. max(id) is the version of the lookups.
lookup_changes = Table(
    "lookup_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("lookup_id", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),  # the lookup as an object; NULL for an insert
    Column("after", Json),  # likewise; NULL for a delete
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", WrittenText, nullable=False),
    Column("change_set", Text),  # as in rule_changes
    Column("why", Text),
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "lookup_id", "id"),
    # For the SQLite trigger that looks for a removed lookup by its name.
    Index("ix_lookup_changes_replaced", text("json_extract(\"after\", '$.name')")).ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,
)
