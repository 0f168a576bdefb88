"""The schema as it is now, with the meaning of each column: one module per subject.

Names are public: operators and other tools read the tables, and write `routing_rules`, `agents`, `lookups` and
`notifications`, with plain SQL. Defaults and CHECKs therefore live in the database. Times are UTC. How databases get
this schema: `migrations/`.
"""

from app.db.tables.accounts import access_log, api_tokens, saved_views, sessions, signing_keys, users
from app.db.tables.agents import agent_changes, agents
from app.db.tables.base import metadata
from app.db.tables.caller_actions import ACTION_IS_LIVE, ACTION_IS_MADE, caller_actions
from app.db.tables.calls import (
    COMMON_OUTCOMES,
    COMMON_TYPES,
    HAS_IDENTITY,
    HAS_OTHER_KEY,
    IS_OF_ROOM,
    LOST_ROOM,
    MINUTE_LENGTH,
    MINUTE_OF_ID,
    NOT_ENDED,
    RARE_OUTCOME,
    RARE_TYPE,
    dispatch_attempts,
    dispatch_callers,
    dispatches,
    events,
    status_in,
    token_dispatches,
)
from app.db.tables.incidents import (
    incidents,
    notification_deliveries,
    notifications,
    webhook_deliveries,
    webhook_subscriptions,
)
from app.db.tables.lookups import lookup_changes, lookups
from app.db.tables.operations import audit_log, heartbeats, personal_reads, probes, schema_compatibility
from app.db.tables.rules import routing_rules, rule_changes, rule_editor
from app.db.tables.search import (
    HAS_NUMBER,
    HAS_TRUNK_NUMBER,
    IS_CALL,
    IS_CALLER,
    IS_IGNORED_CALLER,
    MAX_DIGITS,
    MAX_RULE_NAME,
    MAX_SEARCHED,
    ignoring_rule,
    reversed_digits,
    reversed_trunk_digits,
    searched_identity,
    searched_name,
    searched_room,
)
from app.db.tables.triggers import triggers

__all__ = [
    "ACTION_IS_LIVE",
    "ACTION_IS_MADE",
    "COMMON_OUTCOMES",
    "COMMON_TYPES",
    "HAS_IDENTITY",
    "HAS_NUMBER",
    "HAS_OTHER_KEY",
    "HAS_TRUNK_NUMBER",
    "IS_CALL",
    "IS_CALLER",
    "IS_IGNORED_CALLER",
    "IS_OF_ROOM",
    "LOST_ROOM",
    "MAX_DIGITS",
    "MAX_RULE_NAME",
    "MAX_SEARCHED",
    "MINUTE_LENGTH",
    "MINUTE_OF_ID",
    "NOT_ENDED",
    "RARE_OUTCOME",
    "RARE_TYPE",
    "access_log",
    "agent_changes",
    "agents",
    "api_tokens",
    "audit_log",
    "caller_actions",
    "dispatch_attempts",
    "dispatch_callers",
    "dispatches",
    "events",
    "heartbeats",
    "ignoring_rule",
    "incidents",
    "lookup_changes",
    "lookups",
    "metadata",
    "notification_deliveries",
    "notifications",
    "personal_reads",
    "probes",
    "reversed_digits",
    "reversed_trunk_digits",
    "routing_rules",
    "rule_changes",
    "rule_editor",
    "saved_views",
    "schema_compatibility",
    "searched_identity",
    "searched_name",
    "searched_room",
    "sessions",
    "signing_keys",
    "status_in",
    "token_dispatches",
    "triggers",
    "users",
    "webhook_deliveries",
    "webhook_subscriptions",
]
