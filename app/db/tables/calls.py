"""Webhooks and the dispatches that they caused: the life of a call, row by row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    false,
    text,
)

from app.db.columns.action_types import OnNoShow
from app.db.columns.column_types import Json, Timestamp, one_of
from app.db.columns.packed_json import PackedJson
from app.db.tables.base import metadata, partial_index
from app.db.types import (
    LIVE,
    AttemptOutcome,
    Cause,
    DispatchStatus,
    EventOutcome,
    EventSource,
    Recover,
    ReplacesKind,
    Scope,
)

COMMON_TYPES = frozenset({"participant_joined", "participant_left", "room_finished", "room_started"})
"""Types of events that every call has: a list of those of one type is read by the primary key."""
RARE_TYPE = "type NOT IN (" + ", ".join(f"'{one}'" for one in sorted(COMMON_TYPES)) + ")"
"""Condition of other events, spelled as their partial index needs it."""
COMMON_OUTCOMES = frozenset({EventOutcome.IGNORED, EventOutcome.PLANNED})
"""Outcomes that every answered call has: a list of those of one outcome is read by the primary key."""
RARE_OUTCOME = "outcome NOT IN (" + ", ".join(f"'{one}'" for one in sorted(COMMON_OUTCOMES)) + ")"
"""Condition of other events, likewise."""
IS_OF_ROOM = "type IN ('room_finished', 'room_started')"
"""Condition of the begin and the end of room sessions, likewise: few of the thousands of events of a big room."""
HAS_IDENTITY = "participant_identity <> ''"
"""Condition of events of participants, likewise."""
HAS_OTHER_KEY = "dedupe_key <> 'default/' || livekit_id"
"""Condition of events whose dedupe key is not made of LiveKit's id in the project `default`, likewise."""
NOT_ENDED = f"status <> '{DispatchStatus.ENDED}'"
"""Condition of all dispatches but those that went well, likewise."""
LOST_ROOM = f"cause = '{Cause.ROOM_LOST}'"
"""Condition of calls whose room vanished, spelled as its partial index needs it."""

MINUTE_LENGTH: Final = 8
"""Characters of an id that `MINUTE_OF_ID` takes."""
MINUTE_OF_ID = text(f"substr(id, 1, {MINUTE_LENGTH})")
"""The 65 seconds in which an id was made, spelled as indexes need it; ids of all forms begin with it."""
ASKED_AGENT = text("coalesce(asked_agent_name, agent_name)")
"""The agent that is asked now, spelled as the index of the queues needs it."""
PLACE_KEPT = "status = 'pending' AND placed_at IS NOT NULL"
"""Condition of dispatches between two attempts, spelled as their partial index needs it."""
ANNOUNCED = "announce AND status IN ('pending', 'sending', 'dispatched', 'joined')"
"""Condition of live dispatches that announce their state, spelled as their partial index needs it."""


def status_in(*statuses: DispatchStatus) -> TextClause:
    """Return the condition of a partial index of `dispatches`, in exactly the text that its statements must use."""
    return text("status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")")


# Accepted webhooks, and what the sweep found that no webhook had reported.
events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),  # sorts by time
    Column("livekit_id", Text, nullable=False),  # the webhook's id; empty if it has none
    Column("dedupe_key", Text, nullable=False),  # unique: LiveKit repeats a webhook until it is answered
    Column("project", Text, nullable=False),  # LiveKit project that sent it
    Column("type", Text, nullable=False),  # participant_joined, room_finished, ...
    Column("source", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("room_sid", Text, nullable=False),  # of the room session: a name may have many, one after the other
    Column("participant_identity", Text, nullable=False),  # empty for events of a room
    Column("participant_sid", Text, nullable=False),
    Column("participant_kind", Text, nullable=False),  # STANDARD, SIP, AGENT, ...; empty if not known
    Column("participant_role", Text, nullable=False, server_default=""),  # caller, agent, ...; empty if not known
    Column("phone_number", Text),  # of the caller, from SIP attributes
    Column("occurred_at", Timestamp, nullable=False),  # by LiveKit's clock
    Column("received_at", Timestamp, nullable=False),  # by Usher's clock
    # The webhook as app.webhook.stored_body packs it; JSON null once USHER_RETENTION_BODIES_DAYS are over.
    Column("body", PackedJson, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rules_version", BigInteger, nullable=False),  # of the rule book that decided
    Column("decision", Json),  # which rules matched, which did not and why; NULL if none matched an ignored event
    Column("lookups", Json),  # answers of lookups by name, without what USHER_REDACT names; NULL: none was asked
    Column("lookup_due_at", Timestamp),  # looking_up: when any replica may ask again
    Column("participant_name", Text),  # in joins, if it has one; earlier releases have it in the body only
    Column("trunk_number", Text),  # in joins: our own number, which the caller dialled; likewise
    UniqueConstraint("dedupe_key"),
    one_of("source", EventSource, "source"),
    one_of("outcome", EventOutcome, "outcome"),
    Index(None, "participant_sid"),
    # Names with the minute in place of the id: PostgreSQL stores what the events of a call have in common once.
    partial_index("ix_events_identity_minute", "participant_identity", MINUTE_OF_ID, where=HAS_IDENTITY),
    Index("ix_events_room_minute", "room_name", MINUTE_OF_ID),
    Index(None, "room_sid"),  # without more, PostgreSQL stores it once for the events of a session
    partial_index("ix_events_of_room", "room_sid", where=IS_OF_ROOM),  # whether a session is over
    partial_index("ix_events_rare_type", "type", "id", where=RARE_TYPE),
    partial_index("ix_events_unusual_outcome", "outcome", "id", where=RARE_OUTCOME),
    partial_index("ix_events_other_livekit_id", "livekit_id", where=HAS_OTHER_KEY),  # others: by `dedupe_key`
    partial_index("ix_events_source", "source", "id", where="source <> 'webhook'"),
    partial_index("ix_events_phone_number", "phone_number", "id", where="phone_number IS NOT NULL"),
)

# One row per wanted agent. app/outbox/states.py has the states and which may follow which.
dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Text, primary_key=True),  # sorts by time; also an attribute of the dispatch at LiveKit
    Column("event_id", Text, nullable=False),  # the event that caused it
    Column("rule_id", BigInteger, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("room_sid", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),  # of the caller it was made for
    Column("participant_sid", Text, nullable=False),
    Column("agent_name", Text, nullable=False),  # the rule's; which one an attempt asked for is with the attempt
    Column("metadata", Text, nullable=False),  # rendered, as sent to LiveKit
    Column("attributes", Json, nullable=False),  # likewise
    Column("deployment", Text),
    Column("scope", Text, nullable=False),
    Column("intent_key", Text, nullable=False),  # digest of project, session, agent and, with scope participant, caller
    Column("status", Text, nullable=False),
    Column("cause", Text, nullable=False, server_default=Cause.RULE_MATCHED),  # why it is in this state
    Column("reason", Text, nullable=False, server_default=""),  # the same as a text for people; nothing reads it
    # From the rule as it was when it matched: a later edit does not change a dispatch under way.
    Column("answer_timeout_s", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fallbacks", Json),  # agents to ask in turn when agent_name did not come, each with its time and attempts
    Column("on_no_show", Text, nullable=False, server_default=OnNoShow.WAIT),  # what becomes of the callers then
    Column("transfer_to", Text),
    Column("min_stay_s", Integer, nullable=False, server_default="3"),
    Column("recover", Text, nullable=False, server_default=Recover.NEVER),
    Column("withdraw", Boolean, nullable=False),
    Column("max_calls", Integer),  # of the rule, if the rule does not exist any more
    Column("queue_timeout_s", Integer),
    Column("queue_priority", Integer, nullable=False, server_default="100"),
    Column("announce", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False, server_default="0"),  # calls made to LiveKit
    Column("counted_attempts", Integer, nullable=False, server_default="0"),  # those that max_attempts counts
    Column("rung", Integer, nullable=False, server_default="0"),  # of fallbacks: 0 is agent_name, 1 the first of them
    Column("asked_agent_name", Text),  # by the latest attempt, if a fallback was asked
    # pending, sending: not before this; in the queue: when the wait is over, NULL for one without an end
    Column("next_attempt_at", Timestamp),
    Column("queued_at", Timestamp),  # pending: in the queue of its agent and its rule since then
    # live: when the agent that is asked was last started for it; pending: it keeps its place between two attempts
    Column("placed_at", Timestamp),
    Column("must_look", Boolean, nullable=False, server_default=false()),  # LiveKit may have it: look before sending
    Column("deletion_announced_at", Timestamp),  # dispatched: we began to delete it at LiveKit, since no agent came
    # joined: it was being deleted as its agent joined, so LiveKit sends that agent away in a while
    Column("is_sent_away", Boolean, nullable=False, server_default=false()),
    # live: until then it proves nothing that LiveKit lists no room, no agent or no callers
    Column("doubtful_until", Timestamp),
    # when LiveKit did not list the room though it lives on: lists do not show who was in it before
    Column("unlisted_at", Timestamp),
    Column("lease_owner", Text),  # the replica that works on it
    Column("lease_until", Timestamp),  # another replica may take over after this
    # dispatched: LiveKit is checked then if the agent has not joined; the first time when its lists are certain, the
    # last time answer_timeout_s after dispatched_at
    Column("answer_deadline", Timestamp),
    Column("livekit_dispatch_id", Text),  # LiveKit's id of the dispatch that the latest attempt made
    Column("job_id", Text),  # LiveKit's job
    Column("worker_id", Text),  # the worker that runs it
    Column("agent_identity", Text),  # the agent's participant in the room
    Column("agent_sid", Text),
    Column("replaces", Text),  # id of the dispatch whose place this one takes
    Column("replaces_kind", Text),
    Column("handed_to", Text),  # id of the dispatch that is to take this one's place once its agent is there
    Column("request_key", Text),  # Idempotency-Key of the request that made it
    Column("recoveries", Integer, nullable=False, server_default="0"),  # replacements so far for this call
    Column("previous", Json),  # the agent before this one, as its metadata names it
    Column("created_at", Timestamp, nullable=False),
    Column("waiting_since", Timestamp),  # when its caller joined; NULL: at created_at
    Column("dispatched_at", Timestamp),
    Column("joined_at", Timestamp),
    Column("ended_at", Timestamp),
    one_of("status", DispatchStatus, "status"),
    one_of("scope", Scope, "scope"),
    one_of("cause", Cause, "cause"),
    one_of("recover", Recover, "recover"),
    one_of("on_no_show", OnNoShow, "on_no_show"),
    one_of("replaces_kind", ReplacesKind, "replaces_kind"),
    CheckConstraint("NOT must_look OR status IN ('pending', 'sending')", name="must_look"),
    CheckConstraint("queued_at IS NULL OR status = 'pending'", name="queued_at"),
    CheckConstraint("deletion_announced_at IS NULL OR status = 'dispatched'", name="deletion_announced_at"),
    CheckConstraint(f"doubtful_until IS NULL OR {status_in(*LIVE)}", name="doubtful_until"),
    CheckConstraint("NOT is_sent_away OR status = 'joined'", name="is_sent_away"),
    partial_index("uq_dispatches_live_intent", "intent_key", where=status_in(*LIVE), unique=True),
    # The claim query: what is due, oldest first.
    partial_index(
        "ix_dispatches_due", "next_attempt_at", where=status_in(DispatchStatus.PENDING, DispatchStatus.SENDING)
    ),
    # The queues: of each agent and rule those that wait, in their order.
    partial_index(
        "ix_dispatches_queue",
        "project",
        ASKED_AGENT,
        "rule_id",
        "queue_priority",
        "queued_at",
        "id",
        where="queued_at IS NOT NULL",
    ),
    partial_index("ix_dispatches_place_kept", "placed_at", where=PLACE_KEPT),
    partial_index("ix_dispatches_announced", "id", where=ANNOUNCED),
    partial_index("ix_dispatches_unanswered", "answer_deadline", where=status_in(DispatchStatus.DISPATCHED)),
    partial_index("ix_dispatches_live_room", "room_name", where=status_in(*LIVE)),
    partial_index("ix_dispatches_doubtful_until", "doubtful_until", where="doubtful_until IS NOT NULL"),
    # Few rows: LiveKit may bring their agent back by itself into the next session of the name, and a webhook may show
    # that the session lives on.
    partial_index("ix_dispatches_lost_room", "room_name", where=LOST_ROOM),
    Index(None, "event_id"),
    Index(None, "room_sid"),
    partial_index("ix_dispatches_not_ended", "status", "id", where=NOT_ENDED),
    Index(None, "agent_name", "id"),
    partial_index("ix_dispatches_asked_agent_name_id", "asked_agent_name", "id", where="asked_agent_name IS NOT NULL"),
    Index(None, "rule_name", "id"),
    Index(None, "participant_identity", "id"),
    Index(None, "room_name", "id"),
    partial_index("uq_dispatches_request_key", "request_key", where="request_key IS NOT NULL", unique=True),
    partial_index("ix_dispatches_agent_sid", "agent_sid", where="agent_sid IS NOT NULL"),
    partial_index("ix_dispatches_job_id", "job_id", where="job_id IS NOT NULL"),
)

# Everyone a dispatch serves: the caller it was made for and, with scope `room`, those who joined later. It is given up
# when the last of them has left.
dispatch_callers = Table(
    "dispatch_callers",
    metadata,
    Column("dispatch_id", Text, ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("participant_sid", Text, primary_key=True),
    Column("event_id", Text, nullable=False),  # the caller's join
    Column("participant_identity", Text, nullable=False),
    Column("left_at", Timestamp),
    Index(None, "participant_sid"),
)

# One row per CreateDispatch call, and one for what LiveKit took from an access token.
dispatch_attempts = Table(
    "dispatch_attempts",
    metadata,
    Column("dispatch_id", Text, ForeignKey("dispatches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 1, 2, ...; 0: made by an access token
    Column("agent_name", Text, nullable=False),  # the agent it asked for
    Column("started_at", Timestamp, nullable=False),
    Column("finished_at", Timestamp),
    # unknown: no answer came; adopted: LiveKit had it all the same; no_show: accepted, but no agent joined; left_early:
    # accepted, but its agent left before min_stay_s
    Column("outcome", Text),
    Column("livekit_dispatch_id", Text),
    Column("job_id", Text),  # of an accepted attempt whose agent never joined
    Column("error_code", Text),
    Column("error_text", Text),
    Column("joined_at", Timestamp),  # left_early: when its agent joined; of the last attempt the dispatch says it
    Column("left_at", Timestamp),
    one_of("outcome", AttemptOutcome, "outcome"),
    partial_index(
        "ix_dispatch_attempts_livekit_dispatch_id", "livekit_dispatch_id", where="livekit_dispatch_id IS NOT NULL"
    ),
    # Few rows while agents join: those that did not.
    partial_index(
        "ix_dispatch_attempts_missed", "dispatch_id", "agent_name", where="outcome IN ('no_show', 'left_early')"
    ),
)

# Dispatches promised to a token server (POST /api/v1/decide), which puts them into an access token. When the
# participant joins, the row of `dispatches` gets this id: if LiveKit took the token's dispatch, it carries the same id.
token_dispatches = Table(
    "token_dispatches",
    metadata,
    Column("id", Text, primary_key=True),  # of the dispatch to come
    Column("project", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("participant_identity", Text, nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("rule_id", BigInteger, nullable=False),
    Column("rules_version", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("attributes", Json, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("used_at", Timestamp),  # when the participant joined
    Index(None, "room_name", "participant_identity"),
    Index(None, "created_at"),
)
