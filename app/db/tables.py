"""The whole schema on one page.

Tables and columns named in the design are public: operators and outside tools read and (for `routing_rules` and
`agent_limits`) write them with plain SQL, so defaults live in the database. `migrations/` holds the same schema plus
the triggers, which write `rule_changes` and keep the append-only tables append-only.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.types import (
    DispatchStatus,
    EventOutcome,
    EventSource,
    Json,
    OnMatch,
    Quantity,
    Scope,
    Timestamp,
    one_of,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class current_instant(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's own clock, in the form `types.Timestamp` stores."""

    type = Timestamp()
    inherit_cache = True


@compiles(current_instant)
def _instant_anywhere(_element: current_instant, _compiler: SQLCompiler, **_: object) -> str:
    return "now()"


@compiles(current_instant, "sqlite")
def _instant_on_sqlite(_element: current_instant, _compiler: SQLCompiler, **_: object) -> str:
    return "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')"


# SQLite only makes INTEGER PRIMARY KEY columns count by themselves.
Serial = BigInteger().with_variant(Integer(), "sqlite")


# Refuses anything but 0 and 1 on SQLite, where a plain SQL edit could store any text.
def _flag(name: str) -> Boolean:
    return Boolean(create_constraint=True, name=name)


LIVE = (DispatchStatus.PENDING, DispatchStatus.SENDING, DispatchStatus.DISPATCHED, DispatchStatus.JOINED)
"""States in which a dispatch still wants, or has, its agent; `intent_key` is unique among them."""

ROOM_LOST = "the room is gone"
"""The reason of a dispatch whose room vanished without a word: closed while we did not hear, or LiveKit was killed."""


def status_in(*statuses: DispatchStatus) -> TextClause:
    """Return the condition of the partial indexes of `dispatches`, in their very words.

    With bound values neither database can see that such an index has all that is asked for.
    """
    return text("status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")")


routing_rules = Table(
    "routing_rules",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("enabled", _flag("enabled"), nullable=False, server_default=true()),
    Column("priority", Integer, nullable=False, server_default="100"),
    Column("pattern", Json, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("metadata", Json),
    Column("attributes", Json),
    Column("deployment", Text),
    Column("scope", Text, nullable=False, server_default=Scope.ROOM),
    Column("on_match", Text, nullable=False, server_default=OnMatch.STOP),
    Column("rollout_percent", Integer, nullable=False, server_default="100"),
    Column("rollout_key", Text, nullable=False, server_default="participant.identity"),
    Column("active_hours", Text),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("holidays", Text),
    Column("answer_timeout_s", Integer, nullable=False, server_default="15"),
    Column("max_attempts", Integer, nullable=False, server_default="3"),
    Column("fallback_agent_name", Text),
    Column("recover", _flag("recover"), nullable=False, server_default=false()),
    Column("withdraw", _flag("withdraw"), nullable=False, server_default=false()),
    Column("objective_percent", Quantity),  # of the callers are to have their agent
    Column("objective_s", Quantity),  # within so many seconds; both or neither
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("updated_by", Text),
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
    Index(
        "ix_routing_rules_objective",
        "id",
        sqlite_where=text("objective_s IS NOT NULL"),
        postgresql_where=text("objective_s IS NOT NULL"),
    ),
)

RULE_COLUMNS = tuple(
    column.name for column in routing_rules.columns if column.name not in {"created_at", "updated_at", "updated_by"}
)
"""What `rule_changes.before` and `after` record of a rule, in this order."""

# Written by triggers only, whoever edits `routing_rules`. `max(id)` is the rule book version.
rule_changes = Table(
    "rule_changes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("rule_id", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("before", Json),
    Column("after", Json),
    Column("changed_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("changed_by", Text, nullable=False),
    CheckConstraint("change IN ('insert', 'update', 'delete')", name="change"),
    Index(None, "rule_id", "id"),
    sqlite_autoincrement=True,
)

# Who edits rules in the present transaction: a row is put in first and taken out before commit, so other
# transactions never see it. The triggers read it; with none there, the edit came by plain SQL.
rule_editor = Table(
    "rule_editor",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7: sorts by time
    Column("livekit_id", Text, nullable=False),
    Column("dedupe_key", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("room_sid", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("participant_sid", Text, nullable=False),
    Column("participant_kind", Text, nullable=False),
    Column("phone_number", Text),  # of the caller, from SIP attributes
    Column("occurred_at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False),
    Column("body", Json, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("decision", Json),
    UniqueConstraint("dedupe_key"),
    one_of("source", EventSource, "source"),
    one_of("outcome", EventOutcome, "outcome"),
    Index(None, "participant_sid"),
    Index(None, "participant_identity", "id"),
    Index(None, "room_name", "id"),
    Index(None, "room_sid", "type"),  # whether a session is over, among all that happened in it
    Index(None, "type", "id"),
    Index(None, "outcome", "id"),
    Index(None, "livekit_id"),
    Index(
        "ix_events_source",
        "source",
        "id",
        sqlite_where=text("source <> 'webhook'"),
        postgresql_where=text("source <> 'webhook'"),
    ),
    Index(
        "ix_events_phone_number",
        "phone_number",
        "id",
        sqlite_where=text("phone_number IS NOT NULL"),
        postgresql_where=text("phone_number IS NOT NULL"),
    ),
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7; rides in the LiveKit dispatch attributes
    Column("event_id", Text, nullable=False),
    Column("rule_id", BigInteger, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("room_sid", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("participant_sid", Text, nullable=False),
    Column("agent_name", Text, nullable=False),  # the rule's agent; which agent an attempt asked is with the attempt
    Column("metadata", Text, nullable=False),  # as sent to LiveKit
    Column("attributes", Json, nullable=False),
    Column("deployment", Text),
    Column("scope", Text, nullable=False),
    Column("intent_key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    # What the rule said when it matched: a later edit must not change a dispatch under way.
    Column("answer_timeout_s", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fallback_agent_name", Text),
    Column("recover", Boolean, nullable=False),
    Column("withdraw", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),  # calls made to LiveKit
    Column("counted_attempts", Integer, nullable=False, server_default="0"),  # those that `max_attempts` counts
    Column("asked_agent_name", Text),  # by the latest attempt: agent_name or fallback_agent_name
    Column("next_attempt_at", Timestamp),
    Column("must_look", Boolean, nullable=False, server_default=false()),  # outcome unknown: look before sending
    Column("lease_owner", Text),
    Column("lease_until", Timestamp),
    Column("answer_deadline", Timestamp),
    Column("livekit_dispatch_id", Text),
    Column("job_id", Text),
    Column("worker_id", Text),
    Column("agent_identity", Text),
    Column("agent_sid", Text),
    Column("recovers", Text),  # the dispatch whose vanished agent this one replaces
    Column("recoveries", Integer, nullable=False, server_default="0"),  # replacements made so far for this call
    Column("created_at", Timestamp, nullable=False),
    Column("dispatched_at", Timestamp),
    Column("joined_at", Timestamp),
    Column("ended_at", Timestamp),
    one_of("status", DispatchStatus, "status"),
    one_of("scope", Scope, "scope"),
    Index(
        "uq_dispatches_live_intent",
        "intent_key",
        unique=True,
        sqlite_where=status_in(*LIVE),
        postgresql_where=status_in(*LIVE),
    ),
    # The claim query: what is due, oldest first.
    Index(
        "ix_dispatches_due",
        "next_attempt_at",
        sqlite_where=status_in(DispatchStatus.PENDING, DispatchStatus.SENDING),
        postgresql_where=status_in(DispatchStatus.PENDING, DispatchStatus.SENDING),
    ),
    Index(
        "ix_dispatches_unanswered",
        "answer_deadline",
        sqlite_where=status_in(DispatchStatus.DISPATCHED),
        postgresql_where=status_in(DispatchStatus.DISPATCHED),
    ),
    Index(
        "ix_dispatches_live_room",
        "room_name",
        sqlite_where=status_in(*LIVE),
        postgresql_where=status_in(*LIVE),
    ),
    # Few: whose agent may come back by itself to the next session of the name.
    Index(
        "ix_dispatches_lost_room",
        "room_name",
        sqlite_where=text(f"reason = '{ROOM_LOST}'"),
        postgresql_where=text(f"reason = '{ROOM_LOST}'"),
    ),
    Index(None, "event_id"),
    Index(None, "room_sid"),
    Index(None, "status", "id"),
    Index(None, "agent_name", "id"),
    Index(None, "rule_name", "id"),
    Index(None, "participant_identity", "id"),
    Index(None, "room_name", "id"),
    Index(
        "ix_dispatches_agent_sid",
        "agent_sid",
        sqlite_where=text("agent_sid IS NOT NULL"),
        postgresql_where=text("agent_sid IS NOT NULL"),
    ),
)

# Dispatches promised to a token server (POST /api/v1/decide), which puts them into an access token. When the
# participant joins, the row of `dispatches` gets this id: if LiveKit took the token's dispatch, its mark says so.
token_dispatches = Table(
    "token_dispatches",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7, of the dispatch to come
    Column("project", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("rule_id", BigInteger, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("used_at", Timestamp),
    Index(None, "room_name", "participant_identity"),
    Index(None, "created_at"),
)

# Everybody a dispatch serves: the participant it was made for and, with scope `room`, those who came later.
# A dispatch is given up only when the last of them has left.
dispatch_callers = Table(
    "dispatch_callers",
    metadata,
    Column("dispatch_id", Text, ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("participant_sid", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("left_at", Timestamp),
    Index(None, "participant_sid"),
    Index(None, "event_id"),
)

dispatch_attempts = Table(
    "dispatch_attempts",
    metadata,
    Column("dispatch_id", Text, ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("agent_name", Text, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("outcome", Text),
    Column("livekit_dispatch_id", Text),
    Column("job_id", Text),  # of an attempt whose agent never came
    Column("error_code", Text),
    Column("error_text", Text),
    CheckConstraint(
        "outcome IN ('accepted', 'rejected', 'unknown', 'adopted', 'no_show')",
        name="outcome",
    ),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("entity", Text, nullable=False),  # dispatch, user, token, ...
    Column("entity_id", Text, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Timestamp, nullable=False),
    Column("changed_by", Text, nullable=False),
    Index(None, "entity_id", "id"),
    Index(None, "changed_at"),
    sqlite_autoincrement=True,
)

# Edited by operators: at most so many simultaneous dispatches, and so many starts per second, of one agent.
agent_limits = Table(
    "agent_limits",
    metadata,
    Column("agent_name", Text, primary_key=True),
    Column("max_active", Integer),
    Column("starts_per_second", Integer),
    CheckConstraint("max_active IS NULL OR max_active >= 0", name="max_active"),
    CheckConstraint("starts_per_second IS NULL OR starts_per_second >= 1", name="starts_per_second"),
)

# When a background loop of some replica last finished, and what it found: read by /readyz and the console.
heartbeats = Table(
    "heartbeats",
    metadata,
    Column("component", Text, primary_key=True),
    Column("replica", Text, primary_key=True),
    Column("beat_at", Timestamp, nullable=False),
    Column("detail", Json, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
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
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=current_instant()),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
    UniqueConstraint("token_hash"),
    CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role"),
)

# What signs console sessions and one-time links: made once, the same for every replica.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
)

# One row per canary dispatch into a throw-away room.
probes = Table(
    "probes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    Column("arrived", Boolean),
    Column("milliseconds_to_agent", Integer),
    Column("detail", Text, nullable=False, server_default=""),
    Index(None, "agent_name", "id"),
)
