"""The enums of what a rule does with a caller, and of the actions on callers that follow from it.

Beside `app.db.types`, for the same reason: CHECK constraints hold columns to them.
"""

from __future__ import annotations

from enum import StrEnum


class RuleAction(StrEnum):
    """What a rule does with the participants that it matches."""

    DISPATCH = "dispatch"  # an agent
    IGNORE = "ignore"  # nothing, and later rules are not tried
    REMOVE = "remove"
    TRANSFER = "transfer"


class OnNoShow(StrEnum):
    """What becomes of the callers when neither the rule's agent nor a fallback has joined."""

    WAIT = "wait"
    REMOVE = "remove"
    TRANSFER = "transfer"


class CallerActionKind(StrEnum):
    """What LiveKit is asked to do with a participant."""

    REMOVE = "remove"
    TRANSFER = "transfer"


class CallerActionStatus(StrEnum):
    """The state of an action on a caller."""

    PENDING = "pending"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CallerActionCause(StrEnum):
    """Why an action on a caller is in its state."""

    # Created
    RULE_MATCHED = "rule_matched"
    NO_AGENT = "no_agent"  # neither the rule's agent nor a fallback joined
    # Delivered
    CLAIMED = "claimed"
    SENDER_LOST = "sender_lost"  # claimed from a replica that died while it sent
    REFUSED = "refused"
    LIVEKIT_UNREACHABLE = "livekit_unreachable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_ANSWERED = "not_answered"  # LiveKit transfers no call that still rings
    # Over
    ACCEPTED = "accepted"  # LiveKit has done it
    CALLER_GONE = "caller_gone"  # after an outcome that is not known: it had its effect
    CALLER_LEFT = "caller_left"  # before it was asked for
    SERVED_AGAIN = "served_again"  # another dispatch has the caller since
    NO_PHONE_CALL = "no_phone_call"  # only SIP participants can be transferred
