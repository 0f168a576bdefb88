"""Rules, their history, and the limits of agents: the tables that operators edit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from app.db.tables.base import Serial, current_instant, flag, metadata, partial_index
from app.db.types import Json, OnMatch, Quantity, Scope, Timestamp, one_of

# One row per rule; app/rules/README.md explains patterns and templates. Whoever edits it, by SQL or otherwise: the
# triggers write rule_changes, updated_at and updated_by.
routing_rules = Table(
    "routing_rules",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),  # unique; 1 to 200 characters
    Column("description", Text, nullable=False, server_default=""),  # for people
    Column("enabled", flag("enabled"), nullable=False, server_default=true()),  # false: never matches
    Column("priority", Integer, nullable=False, server_default="100"),  # rules are tried from the lowest number up
    Column("pattern", Json, nullable=False),  # which webhooks match
    Column("agent_name", Text, nullable=False),  # the agent to dispatch, as its worker registered at LiveKit
    Column("metadata", Json),  # template of the dispatch's metadata
    Column("attributes", Json),  # further attributes of the dispatch: texts by name
    Column("deployment", Text),  # the agent's deployment at LiveKit Cloud; NULL: its current one
    Column("scope", Text, nullable=False, server_default=Scope.ROOM),  # one agent per room, or one per participant
    Column("on_match", Text, nullable=False, server_default=OnMatch.STOP),  # continue: try later rules as well
    Column("rollout_percent", Integer, nullable=False, server_default="100"),  # share of matching callers to take
    Column("rollout_key", Text, nullable=False, server_default="participant.identity"),  # same value, same decision
    Column("active_hours", Text),  # OpenStreetMap opening hours; NULL: always
    Column("timezone", Text, nullable=False, server_default="UTC"),  # of active_hours
    Column("holidays", Text),  # country code whose public holidays active_hours may name
    Column("answer_timeout_s", Integer, nullable=False, server_default="15"),  # seconds until an agent must have joined
    Column("max_attempts", Integer, nullable=False, server_default="3"),  # dispatches made before giving up
    Column("fallback_agent_name", Text),  # asked for once agent_name has been given up
    Column("recover", flag("recover"), nullable=False, server_default=false()),  # replace an agent that disappears
    Column("withdraw", flag("withdraw"), nullable=False, server_default=false()),  # remove the agent with the caller
    Column("objective_percent", Quantity),  # share of callers who should have their agent ...
    Column("objective_s", Quantity),  # ... within this many seconds; both or neither
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_by", Text),  # user, or `sql`
    UniqueConstraint("name"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("length(agent_name) BETWEEN 1 AND 256", name="agent_name"),
    CheckConstraint("priority BETWEEN -1000000 AND 1000000", name="priority"),
    CheckConstraint("rollout_percent BETWEEN 0 AND 100", name="rollout_percent"),
    CheckConstraint("answer_timeout_s BETWEEN 1 AND 3600", name="answer_timeout_s"),
    CheckConstraint("max_attempts BETWEEN 1 AND 100", name="max_attempts"),
    CheckConstraint(
        "(objective_percent IS NULL AND objective_s IS NULL)"
        " OR (objective_percent IS NOT NULL AND objective_s IS NOT NULL"
        " AND objective_percent >= 1 AND objective_percent < 100 AND objective_s >= 0.1 AND objective_s <= 3600)",
        name="objective",
    ),
    one_of("scope", Scope, "scope"),
    one_of("on_match", OnMatch, "on_match"),
    partial_index("ix_routing_rules_objective", "id", where="objective_s IS NOT NULL"),
)

RULE_COLUMNS = tuple(
    column.name for column in routing_rules.columns if column.name not in {"created_at", "updated_at", "updated_by"}
)
"""The columns that `rule_changes.before` and `after` record, in this order."""

# Append-only, written by triggers. max(id) is the version of the rule book.
rule_changes = Table(
    "rule_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule_id", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),  # the rule as an object; NULL for an insert
    Column("after", Json),  # likewise; NULL for a delete
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", Text, nullable=False),
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "rule_id", "id"),
    # For the SQLite trigger that looks for a removed rule by its name.
    Index("ix_rule_changes_replaced", text("json_extract(\"after\", '$.name')")).ddl_if(dialect="sqlite"),
    sqlite_autoincrement=True,
)

# The user whose edits the current transaction makes: inserted first and deleted before commit, so other transactions
# never see it. The triggers read it; if it is empty, the edit came by plain SQL.
rule_editor = Table(
    "rule_editor",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
)

# Limits per agent; edited by operators with plain SQL.
agent_limits = Table(
    "agent_limits",
    metadata,
    Column("agent_name", Text, primary_key=True),
    Column("max_active", Integer),  # dispatches of this agent at one time; NULL: no limit
    Column("starts_per_second", Integer),  # CreateDispatch calls per second for this agent; NULL: no limit
    CheckConstraint("max_active IS NULL OR max_active >= 0", name="max_active"),
    CheckConstraint("starts_per_second IS NULL OR starts_per_second >= 1", name="starts_per_second"),
)
