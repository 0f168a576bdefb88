"""What follows when LiveKit's lists cannot be relied on for a while: pure decisions, each with its move.

A dispatch is in doubt until `doubtful_until`. Till then it proves nothing that its room, its agent or its callers are
not listed, or that they are: a LiveKit with Redis that loses a node makes the room again under its SID and lists the
dead, and one whose Redis loses its data lists no room although calls go on. After that LiveKit's lists count again; but
a room that was unlisted is listed again with those only who have come or changed since, so that only webhooks say who
left it (`unlisted_at`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.db.types import Cause, DispatchStatus
from app.lifecycle.departure import NOT_REPLACED
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import ended, given_back, restarted
from app.outbox.move import Move
from app.translation import recorded

RETURNS_WITHIN_S = 10.0
"""How long agents and callers may take to join anew after LiveKit has made their room again.

Agents came 2.5 to 9 s after the second `room_started`; callers no later, for the first of them makes the room.
"""
UNLISTED_S = 15.0
"""How long a room may be unlisted before its node is asked; also how often it is asked while it answers.

A `room_finished` that LiveKit repeats comes within that (`RETRY_DELAYS_S`).
"""
ASK_AGAIN_S = 2.0
"""Delay of a call into a room that LiveKit does not list: the call would open another."""


def room_restarted(dispatch: Dispatch, now: datetime) -> Move:
    """Return the doubt about a dispatch whose room LiveKit has made again: everybody in it has to join anew."""
    until = now + timedelta(seconds=RETURNS_WITHIN_S)
    reason = recorded("LiveKit has made the room again; who does not join anew is gone")
    fields = {"doubtful_until": until, "unlisted_at": None}
    return Move(dispatch, dispatch.status, Cause.ROOM_RESTARTED, reason, fields=fields)


def room_unlisted(dispatch: Dispatch, now: datetime, *, is_served: bool | None) -> Move | None:
    """Return the doubt about a dispatch whose room LiveKit does not list; None if it is in doubt already.

    That a node serves the room (None: it was not asked) prolongs a doubt that is over.
    """
    is_doubted = dispatch.unlisted_at is not None and dispatch.doubtful_until is not None
    if is_doubted and (not is_served or (dispatch.doubtful_until or now) > now):
        return None
    reason = recorded("LiveKit does not list the room, and has not said that it closed")
    fields = {"doubtful_until": now + timedelta(seconds=UNLISTED_S), "unlisted_at": dispatch.unlisted_at or now}
    return Move(dispatch, dispatch.status, Cause.ROOM_UNLISTED, reason, fields=fields)


def put_off(dispatch: Dispatch, now: datetime) -> Move:
    """Return a dispatch that was about to be sent to its queue: its room is not listed now, and may be again."""
    doubt = room_unlisted(dispatch, now, is_served=None)
    fields = given_back(dispatch, now + timedelta(seconds=ASK_AGAIN_S))
    fields |= doubt.fields if doubt is not None else {}
    reason = recorded("LiveKit does not list the room; waiting until it does")
    return Move(dispatch, DispatchStatus.PENDING, Cause.ROOM_UNLISTED, reason, fields=fields)


def doubt_over(dispatch: Dispatch) -> Move:
    """Return the end of the doubt about a dispatch that is still live."""
    reason = (
        recorded("LiveKit lists the room again")
        if dispatch.agent_sid is None
        else recorded("the agent is still in the room")
    )
    return Move(dispatch, dispatch.status, Cause.ROOM_FOUND, reason, fields={"doubtful_until": None})


def agent_lost(dispatch: Dispatch, *, is_replaced: bool, is_budget_spent: bool, now: datetime) -> Move:
    """Return the end of a dispatch whose agent did not join anew."""
    reason = recorded("the agent did not return after LiveKit had made the room again")
    if is_replaced:
        reason += "; " + recorded("it is being replaced")
    elif is_budget_spent:
        reason += f"; {NOT_REPLACED}: {dispatch.recoveries} replacements were made for this call already"
    return Move(dispatch, DispatchStatus.ENDED, Cause.AGENT_LOST, reason, fields=ended(now))


def revived(dispatch: Dispatch, now: datetime) -> Move:
    """Return a dispatch of which LiveKit had lost sight to the state it had; a little later it is checked."""
    reason = recorded("LiveKit shows the room alive after all")
    until = now + timedelta(seconds=UNLISTED_S)
    if dispatch.status is DispatchStatus.ENDED:
        fields: dict[str, Any] = {"ended_at": None, "doubtful_until": until}
        return Move(dispatch, DispatchStatus.JOINED, Cause.ROOM_FOUND, reason, fields=fields)
    fields = {**restarted(now), "counted_attempts": dispatch.counted_attempts, "doubtful_until": until}
    fields |= {"rung": dispatch.rung, "asked_agent_name": dispatch.asked_agent_name}
    return Move(dispatch, DispatchStatus.PENDING, Cause.ROOM_FOUND, reason, fields=fields)
