"""What LiveKit is asked to do with callers, other than dispatching an agent."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, false, text

from app.db.columns.action_types import CallerActionCause, CallerActionKind, CallerActionStatus
from app.db.columns.column_types import Timestamp, one_of
from app.db.tables.base import metadata, partial_index

ACTION_IS_LIVE = text(f"status IN ('{CallerActionStatus.PENDING}', '{CallerActionStatus.SENDING}')")
"""Condition of actions that are not over, spelled as their partial index needs it."""
ACTION_IS_MADE = text(
    f"status IN ('{CallerActionStatus.PENDING}', '{CallerActionStatus.SENDING}', '{CallerActionStatus.DONE}')"
)
"""Condition of actions that are not to be made again, likewise."""

# One row per participant that a rule wants removed or transferred, by itself or because no agent joined.
caller_actions = Table(
    "caller_actions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("event_id", Text, nullable=False),  # the event that caused it; with a dispatch, the caller's join
    Column("dispatch_id", Text),  # the dispatch whose agents did not join; NULL: the rule's own action
    Column("rule_id", BigInteger, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("room_sid", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("participant_sid", Text, nullable=False),  # another stay of the same identity is never touched
    Column("participant_kind", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("transfer_to", Text),
    Column("status", Text, nullable=False),
    Column("cause", Text, nullable=False),  # why it is in this status
    Column("reason", Text, nullable=False, server_default=""),  # the same as a text for people; nothing reads it
    Column("answer", Text, nullable=False, server_default=""),  # what LiveKit answered to the latest call
    Column("attempts", Integer, nullable=False, server_default="0"),  # calls made to LiveKit
    Column("refusals", Integer, nullable=False, server_default="0"),  # calls that LiveKit refused
    # the outcome of a call is not known: find out whether it had its effect before calling again
    Column("must_check", Boolean, nullable=False, server_default=false()),
    Column("next_attempt_at", Timestamp),  # pending, sending: not before this
    Column("lease_owner", Text),  # the replica that works on it
    Column("lease_until", Timestamp),  # another replica may take over after this
    Column("created_at", Timestamp, nullable=False),
    Column("called_at", Timestamp),  # when the latest call to LiveKit began
    Column("ended_at", Timestamp),
    one_of("kind", CallerActionKind, "kind"),
    one_of("status", CallerActionStatus, "status"),
    one_of("cause", CallerActionCause, "cause"),
    CheckConstraint("(kind = 'transfer') = (transfer_to IS NOT NULL)", name="transfer_to"),
    partial_index("ix_caller_actions_due", "next_attempt_at", where=ACTION_IS_LIVE),
    partial_index("uq_caller_actions_once", "project", "participant_sid", "kind", where=ACTION_IS_MADE, unique=True),
    Index(None, "event_id"),
    Index(None, "dispatch_id"),
    Index(None, "participant_sid"),
    Index(None, "room_sid"),
    Index(None, "participant_identity", "id"),
    Index(None, "status", "id"),  # lists of calls in a state that an action decides
    Index(None, "rule_name", "id"),  # lists of the calls of a rule
)
