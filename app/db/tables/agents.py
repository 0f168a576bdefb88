"""Agents: how many calls each takes at a time, whether it is in service, and the history of both."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, cast, type_coerce

from app.db.columns.column_types import Json, Timestamp
from app.db.columns.queue_columns import MAX_CALLS, MAX_STARTS_PER_SECOND
from app.db.columns.written_types import EPOCH, WrittenText, WrittenTimestamp
from app.db.rule_columns import MAX_AGENT_NAME, MAX_DESCRIPTION
from app.db.tables.base import Serial, current_instant, metadata, partial_index

IS_LIMITED = "max_calls IS NOT NULL OR starts_per_second IS NOT NULL OR out_of_service_until IS NOT NULL"
"""Condition of agents that may not start at any time, spelled as their partial index needs it."""

# One row per agent with a limit, out of service, or with a note; other agents need none. Triggers write agent_changes,
# updated_at and updated_by for every edit, by SQL or otherwise.
agents = Table(
    "agents",
    metadata,
    Column("agent_name", Text, primary_key=True),  # as rules name it
    Column("max_calls", Integer),  # of one project at a time; NULL: no limit
    Column("starts_per_second", Integer),  # calls of CreateDispatch in any second, of one project; NULL: no limit
    Column("out_of_service_until", WrittenTimestamp),  # not asked before; NULL or past: in service
    Column("substitute_agent_name", Text),  # asked in its place meanwhile; NULL: the fallbacks of the rule are
    Column("note", Text, nullable=False, server_default=""),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_by", WrittenText),  # user, or `sql`
    CheckConstraint(f"length(agent_name) BETWEEN 1 AND {MAX_AGENT_NAME}", name="agent_name"),
    CheckConstraint(f"max_calls BETWEEN 0 AND {MAX_CALLS}", name="max_calls"),
    CheckConstraint(f"starts_per_second BETWEEN 1 AND {MAX_STARTS_PER_SECOND}", name="starts_per_second"),
    CheckConstraint(
        f"length(substitute_agent_name) BETWEEN 1 AND {MAX_AGENT_NAME} AND substitute_agent_name <> agent_name",
        name="substitute_agent_name",
    ),
    CheckConstraint(f"length(note) <= {MAX_DESCRIPTION}", name="note"),
    # SQLite holds any text in any column.
    CheckConstraint(
        "out_of_service_until GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
        " AND julianday(out_of_service_until) > 0",
        name="out_of_service_until",
    ).ddl_if(dialect="sqlite"),
    partial_index("ix_agents_limited", "agent_name", where=IS_LIMITED),
)
END_AS_TEXT = cast(type_coerce(agents.c.out_of_service_until, Text), Text)
"""SQLite holds whatever plain SQL has written, and PostgreSQL `infinity`."""

# Append-only, written by triggers.
agent_changes = Table(
    "agent_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("agent_name", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),  # the row as an object; NULL for an insert
    Column("after", Json),  # likewise; NULL for a delete
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", WrittenText, nullable=False),
    Column("change_set", Text),  # as in rule_changes
    Column("why", Text),
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "agent_name", "id"),
    sqlite_autoincrement=True,
)
