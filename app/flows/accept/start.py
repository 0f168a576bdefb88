"""How a new dispatch starts: a pure decision, and the columns that carry it out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, assert_never

from app.db.types import Cause, DispatchStatus
from app.flows.accept.stored_state import StoredState
from app.flows.token_dispatches import redeemed
from app.lifecycle.presence import FRESH_S, RETURN_S
from app.livekit.vocabulary import JOINS, EventType
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import ended
from app.plan.build import Intent
from app.translation import recorded
from app.webhook.event import Event

_SHOWS_PRESENCE = JOINS | {EventType.ROOM_STARTED, EventType.TRACK_PUBLISHED}
"""Event types that prove a participant, or a room, to be there."""
_FRESH = timedelta(seconds=FRESH_S)
_RETURN = timedelta(seconds=RETURN_S)


class Start(Enum):
    """How a new dispatch starts."""

    FAILED = auto()
    """Its metadata or attributes could not be made."""
    OVER_BUDGET = auto()
    """Its caller caused too many dispatches within a minute: it is on record, and no agent is sent."""
    FROM_TOKEN = auto()
    """The participant's access token carried it: LiveKit is asked before a call whether it has it."""
    PERHAPS_FROM_TOKEN = auto()
    """A token may have brought its agent under another promise's id, as one that is used again: LiveKit is asked."""
    AFTER_RETURN = auto()
    """Its agent of the previous session of this room name may come back by itself; it is asked for if it does not.

    A LiveKit that was killed forgets its rooms; callers and their agents meet again in new ones of the same names.
    """
    AT_ONCE = auto()
    """The event proves that the caller is there: this process may call without asking LiveKit first."""
    WHEN_CLAIMED = auto()


def start_of(event: Event, intent: Intent, state: StoredState, now: datetime) -> Start:
    """Return how the dispatch for `intent` of `event` starts."""
    if intent.failure is not None:
        return Start.FAILED
    if event.type in JOINS and state.promises.unused_of(event, intent.agent_name) is not None:
        return Start.FROM_TOKEN
    if event.type == EventType.PARTICIPANT_JOINED and state.served_elsewhere(event, intent.agent_name):
        return Start.AFTER_RETURN
    if state.promises.may_bring(event, intent.agent_name, intent.scope):
        return Start.PERHAPS_FROM_TOKEN
    is_limited = intent.agent_name in state.limited or intent.rule.max_calls is not None
    if not is_limited and _is_fresh(event, now):
        return Start.AT_ONCE
    return Start.WHEN_CLAIMED


def started(
    start: Start,
    new: Dispatch,
    intent: Intent,
    promise: Mapping[str, Any] | None,
    *,
    lease: Mapping[str, Any],
    now: datetime,
) -> Dispatch:
    """Return the pending dispatch `new` as it is stored for this start.

    `promise`: what an access token may have carried. `lease`: the columns that `leased` made for this process.
    """
    match start:
        case Start.FAILED:
            return new._replace(
                status=DispatchStatus.FAILED,
                cause=Cause.TEMPLATE_FAILED,
                reason=intent.failure or "",
                **ended(now),
            )
        case Start.OVER_BUDGET:
            reason = recorded("its caller has caused more dispatches within a minute than USHER_CALLER_BUDGET allows")
            return new._replace(status=DispatchStatus.CANCELLED, cause=Cause.OVER_BUDGET, reason=reason, **ended(now))
        case Start.FROM_TOKEN:
            return new if promise is None else new._replace(**redeemed(promise))
        case Start.PERHAPS_FROM_TOKEN:
            reason = f"rule {intent.rule.name!r} matched; an access token may have brought its agent"
            return new._replace(must_look=True, cause=Cause.PROMISED, reason=reason)
        case Start.AFTER_RETURN:
            reason = f"rule {intent.rule.name!r} matched; its agent of the session before may come back by itself"
            return new._replace(next_attempt_at=now + _RETURN, cause=Cause.AGENT_MAY_RETURN, reason=reason)
        case Start.AT_ONCE:
            return new._replace(status=DispatchStatus.SENDING, attempts=1, **lease)
        case Start.WHEN_CLAIMED:
            return new
        case _:
            assert_never(start)


def _is_fresh(event: Event, now: datetime) -> bool:
    """Return whether `event` proves by itself that its caller is there now; else LiveKit is asked before the call."""
    return event.is_immediate and event.type in _SHOWS_PRESENCE and now - event.received_at < _FRESH
