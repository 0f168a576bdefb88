"""Values of columns as Python sees them: the enums that CHECK constraints hold columns to, instants as text.

The enums live here, not with the stages that use them: the tables need them, and a stage may import the tables but the
tables no stage. Nothing here imports SQLAlchemy: what checks a rules file needs these values, and no database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

LAST_INSTANT: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""What PostgreSQL's `infinity` is read as."""
FIRST_INSTANT: Final = datetime(1, 1, 2, tzinfo=UTC)
"""What PostgreSQL's `-infinity` is read as; a day of any time zone before it would be in no year of Python."""


class JsonText(str):
    """A JSON column as the database holds it: text that is not parsed yet and may not be JSON."""

    __slots__ = ()


class DispatchStatus(StrEnum):
    """The state of a dispatch; `app.outbox.states` says which may follow which."""

    PENDING = "pending"
    SENDING = "sending"
    DISPATCHED = "dispatched"
    JOINED = "joined"
    ENDED = "ended"
    NO_SHOW = "no_show"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = (DispatchStatus.PENDING, DispatchStatus.SENDING, DispatchStatus.DISPATCHED, DispatchStatus.JOINED)
"""States of a dispatch that has its agent or still wants it; `intent_key` is unique among them."""


class Cause(StrEnum):
    """Why a dispatch is in its state. Decisions and statistics read this; `reason` is text for people."""

    # Created
    RULE_MATCHED = "rule_matched"
    PROMISED = "promised"  # an access token may have carried it
    AGENT_MAY_RETURN = "agent_may_return"  # that of the previous session of the room name
    REPLACES_AGENT = "replaces_agent"
    TEMPLATE_FAILED = "template_failed"
    OVER_BUDGET = "over_budget"  # its caller caused too many dispatches within a minute
    # Delivered
    CLAIMED = "claimed"
    SENDER_LOST = "sender_lost"  # claimed from a replica that died while it sent
    CALLER_PRESENT = "caller_present"  # LiveKit was asked before the call
    WAITS_FOR_LIMIT = "waits_for_limit"  # written before there were queues
    ACCEPTED = "accepted"
    ADOPTED = "adopted"  # LiveKit had it, though no call said so
    LATE_ANSWER = "late_answer"  # LiveKit accepted an attempt that had been given up
    REFUSED = "refused"
    LIVEKIT_UNREACHABLE = "livekit_unreachable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    LIVEKIT_RECOVERED = "livekit_recovered"  # the sweep tries again what failed for LiveKit's trouble
    # Awaited
    AGENT_OVERDUE = "agent_overdue"
    NO_AGENT = "no_agent"
    FALLBACK = "fallback"
    CLOCK_STEP = "clock_step"  # the wall clock was set, and deadlines were corrected
    PROCESS_RESTARTED = "process_restarted"
    # Joined
    AGENT_JOINED = "agent_joined"
    AGENT_RECONNECTED = "agent_reconnected"
    AGENT_NOT_OURS = "agent_not_ours"  # it came by another dispatch
    # Over
    AGENT_LEFT = "agent_left"
    AGENT_LEFT_EARLY = "agent_left_early"  # before `min_stay_s`: the attempt failed
    CALLERS_LEFT = "callers_left"  # before a caller came back who gets another agent
    CALLER_LEFT = "caller_left"  # before the agent came
    ROOM_CLOSED = "room_closed"
    ROOM_LOST = "room_lost"  # without a webhook: Usher was down, or LiveKit was killed
    # By an operator
    CANCELLED_BY_HAND = "cancelled_by_hand"
    REDRIVEN = "redriven"
    # In doubt, after trouble of LiveKit's
    ROOM_RESTARTED = "room_restarted"  # LiveKit has made it again, under the SID it had
    ROOM_UNLISTED = "room_unlisted"  # LiveKit does not list it, and no webhook said that it has closed
    ROOM_FOUND = "room_found"  # it is alive: the doubt, or an end by ROOM_LOST, is taken back
    AGENT_LOST = "agent_lost"  # it did not return after its LiveKit node was lost
    # Handed over
    HANDOVER = "handover"  # the call is to go on with this agent
    HANDED_OVER = "handed_over"  # another agent has the call
    HANDOVER_FAILED = "handover_failed"  # the other did not come
    # Queued
    QUEUED = "queued"  # its rule or agent is at its limit, or the agent is out of service
    QUEUE_TIMEOUT = "queue_timeout"  # no place within `queue_timeout_s`, and no other agent to ask
    SUBSTITUTE = "substitute"  # another agent is asked in place of one that is out of service
    OUT_OF_SERVICE = "out_of_service"  # its agent is out of service, or was for too long, and no other can be asked


class AttemptOutcome(StrEnum):
    """How one call to LiveKit, and what followed it, turned out."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ADOPTED = "adopted"
    NO_SHOW = "no_show"
    LEFT_EARLY = "left_early"


class EventOutcome(StrEnum):
    """What was decided for an accepted event."""

    PLANNED = "planned"
    SERVED = "served"
    NO_MATCH = "no_match"
    IGNORED = "ignored"
    LOOKING_UP = "looking_up"  # its rules are evaluated once its lookups are answered


class EventSource(StrEnum):
    """How an event reached Usher."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"
    REPLAY = "replay"


class Scope(StrEnum):
    """How many agents a rule wants: one per room session, or one per participant in it."""

    ROOM = "room"
    PARTICIPANT = "participant"


class OnMatch(StrEnum):
    """Whether later rules are tried after a match."""

    STOP = "stop"
    CONTINUE = "continue"


class ReplacesKind(StrEnum):
    """Why one dispatch takes the place of another."""

    RECOVERY = "recovery"  # the other's agent left its caller
    HANDOVER = "handover"  # the call goes on with another agent
    REDRIVE = "redrive"  # the other had ended without an agent


class Recover(StrEnum):
    """Which agents a rule replaces when they leave a caller alone."""

    NEVER = "never"
    LOST = "lost"  # those that crashed or lost their connection
    ALWAYS = "always"  # also those that ended without saying that they were done


def replaces_agents(recover: Recover, min_stay_s: int) -> bool:
    """Return whether a rule with these columns may ask for another agent when one leaves its caller alone."""
    return recover is not Recover.NEVER or min_stay_s > 0


class AccessKind(StrEnum):
    """What happened at the login, in a session, or to a request that was refused."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGIN_THROTTLED = "login_throttled"  # too many attempts: the password was not looked at
    LOGOUT = "logout"
    SESSION_ENDED = "session_ended"  # by its user from another session, or by an admin
    PASSWORD_CONFIRMED = "password_confirmed"  # noqa: S105 - no password; asked for again in a session
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - likewise, and it was wrong
    ROLE_REFUSED = "role_refused"
    FORM_REFUSED = "form_refused"  # without the token of its session
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - likewise; unknown, expired or revoked, or its user is disabled


class IncidentKind(StrEnum):
    """What can be wrong; `app.incidents` says when an incident of each kind opens and closes."""

    AGENT_NOT_JOINING = "agent_not_joining"
    NO_SHOW = "no_show"
    NO_RULE = "no_rule"
    OBJECTIVE_BURNING = "objective_burning"
    LIVEKIT_REFUSES = "livekit_refuses"
    LIVEKIT_UNREACHABLE = "livekit_unreachable"
    WEBHOOKS_SILENT = "webhooks_silent"
    RULE_BROKEN = "rule_broken"
    QUEUE_GROWING = "queue_growing"
    REPLICA_CLOCK = "replica_clock"
    WEBHOOK_PAUSED = "webhook_paused"  # a webhook of ours to a program


class OutgoingEvent(StrEnum):
    """What programs can subscribe to; people are notified of incidents alone."""

    CALL_ANSWERED = "call.answered"
    CALL_NO_SHOW = "call.no_show"
    CALL_ABANDONED = "call.abandoned"
    CALL_HANDED_OVER = "call.handed_over"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"


class DeliveryStatus(StrEnum):
    """What became of a message to a person or a program."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


def format_instant(value: datetime) -> str:
    """Return `value` in the one text form that Usher stores and prints: UTC, microseconds, `Z`.

    Raises `ValueError` for one without a time zone.
    """
    if value.tzinfo is not UTC:
        value = aware(value).astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def aware(value: datetime) -> datetime:
    """Return `value`; raises `ValueError` if it has no time zone."""
    if value.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    return value


def parse_instant(text: str) -> datetime:
    """Read what `format_instant` or a person's `datetime('now')` wrote; UTC unless the text says otherwise.

    Raises `ValueError` for what is no time, and for one whose year in UTC is none.
    """
    instant = datetime.fromisoformat(text)
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"not in the years 1 to 9999: {text}") from error
