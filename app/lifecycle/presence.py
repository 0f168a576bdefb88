"""How long what a webhook said about a room can be relied on, and how long agents and callers may take to come back."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.db.types import Cause, DispatchStatus
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import given_back
from app.outbox.move import Move
from app.translation import recorded

FRESH_S = 2.0
"""An older event does not prove that its caller is still there: LiveKit is asked before a call."""

RETURN_S = 6.0
"""How long a caller waits for an agent that may come back by itself (5 s seen) before another is asked for."""

RELOAD_S = 1.0
"""A caller who is back this soon has reloaded the page: the agent that serves it, or is on its way, stays.

A caller who comes back later meets an agent that has ended its session, as livekit-agents' sessions do by default.
"""


def rest_of_reload(left_at: datetime, now: datetime) -> float:
    """Return for how many seconds callers who left at `left_at` may still come back from a reload."""
    return max(0.0, RELOAD_S - (now - left_at).total_seconds())


def may_be_reloading(left_at: datetime, now: datetime) -> bool:
    """Return whether callers who left at `left_at` may only have reloaded the page."""
    return rest_of_reload(left_at, now) > 0


def wait_for_reload(dispatch: Dispatch, left_at: datetime) -> Move:
    """Return a dispatch that was about to be sent to its queue: its caller may be back in a moment. A place is kept."""
    reason = recorded("the caller left; waiting a moment, since this may be a reload of the page")
    fields = given_back(dispatch, left_at + timedelta(seconds=RELOAD_S))
    return Move(dispatch, DispatchStatus.PENDING, Cause.CALLER_LEFT, reason, fields=fields)
