"""Finds out before a call that is not immediate whether session and caller are still there, and no agent yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.flows.deliver.settle import settle
from app.flows.room_comparison import Comparison, about_one
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import agent_seen
from app.lifecycle.doubt import put_off, room_unlisted
from app.lifecycle.leaving import after_callers_gone, room_over
from app.lifecycle.presence import may_be_reloading, wait_for_reload
from app.lifecycle.settling import Settlement, is_held
from app.lifecycle.transition import move
from app.livekit.outcome import Accepted
from app.observe.compare import Arrived, CallersGone, Finding, RoomGone, RoomUnlisted, WrittenDown
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import last_left, read_locked
from app.outbox.move import Move
from app.translation import recorded


def still_to_send(
    connection: Connection, after: AfterCommit, context: Context, dispatch: Dispatch, comparison: Comparison
) -> Dispatch | None:
    """Write what a comparison of its room means for a dispatch that is about to be sent.

    Return it with a fresh lease if its call is still to be made, None if not, or if it is not held any more.
    """
    now = context.clock.now()
    seen = comparison.seen
    current = read_locked(connection, [dispatch.id]).get(dispatch.id)
    if current is None or not is_held(current, dispatch):
        return None
    for finding in about_one(connection, comparison, current):
        if isinstance(finding, RoomUnlisted) and seen.is_served:
            continue  # the node that answers makes the dispatch
        if _act_upon(connection, after, context, current, finding):
            return None
    until = now + context.lease
    fields: dict[str, Any] = {"lease_until": until, "next_attempt_at": until}
    reason = recorded("the caller is waiting")
    if current.must_look:
        fields |= {"must_look": False, "attempts": current.attempts + 1}
        reason = recorded("LiveKit does not have it; sending it")
    doubt = room_unlisted(current, now, is_served=True) if seen.is_served else None
    fields |= doubt.fields if doubt is not None else {}
    sending = Move(current, DispatchStatus.SENDING, Cause.CALLER_PRESENT, reason, fields=fields)
    move(connection, after, [sending], now)
    return sending.result


def _act_upon(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    current: Dispatch,
    finding: Finding,
) -> bool:
    """Write what a finding means; return whether it makes the call unnecessary."""
    now = context.clock.now()
    room = (current.project, current.room_name)
    match finding:
        case RoomGone():
            reason = recorded("the room is gone, or another session has its name")
            move(connection, after, [room_over(current, Cause.ROOM_LOST, reason, now)], now)
        case RoomUnlisted():
            move(connection, after, [put_off(current, now)], now)
        case CallersGone():
            left_at = last_left(connection, [current.id]).get(current.id)
            if left_at is not None and may_be_reloading(left_at, now):
                move(connection, after, [wait_for_reload(current, left_at)], now)
                return True
            change, withdrawal = after_callers_gone(current, left_at or now, now)
            move(connection, after, [change] if change is not None else [], now)
            after.withdraw(withdrawal)
        case Arrived():
            move(connection, after, [agent_seen(finding, now)], now)
            after.rooms_to_check.add(room)
        case WrittenDown(livekit_dispatch_id=livekit_dispatch_id) if current.must_look:
            adoption = Settlement(current, Accepted(livekit_dispatch_id, adopted=True), now, now)
            settle(connection, after, context, [adoption])
            after.rooms_to_check.add(room)  # its agent may have come before we knew that it is ours
        case _:
            return False
    return True
