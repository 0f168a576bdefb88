"""Leases due dispatches to this process, within the limits of calls and agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.flows.deliver.placement import give_places, needs_place
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.elapsed_time import MIN_REMAINDER_S, ElapsedTime
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.transition import move
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import leased
from app.outbox.dispatch_store import find_due, read_locked, record_attempts
from app.outbox.move import Move
from app.outbox.queue_store import read_limits
from app.translation import recorded

CLAIMED_AT_ONCE = 200
"""Dispatches that one transaction claims, of all projects: others wait for it, about 20 ms."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim leased. `more`: others may be due. `has_queue`: callers wait for a place with an agent."""

    dispatches: list[Dispatch]
    more: bool = False
    has_queue: bool = False


def claim(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    limiter: StartLimiter,
    elapsed_time: ElapsedTime,
    *,
    slots: Mapping[str, int],
    down: Collection[str],
    in_hand: Collection[str],
) -> Claimed:
    """Lease due dispatches, as many of each project as it has `slots`, and return them as they are then.

    Those whose agent or rule has no free place go into its queue; the first in the queues get the places that are free.
    `down`: projects whose LiveKit is down. What is claimed for them does not count as starts, since hardly any of it
    leads to a CreateDispatch: counted, it would take calls per second from the other projects.
    `in_hand`: ids under way in this process; a lease that ran out (the clock was set) must not start them twice.
    """
    now = context.clock.now()
    tick = context.clock.monotonic()
    limits = read_limits(connection)
    due: list[Dispatch] = []
    wanting: list[Dispatch] = []
    left: dict[str, int] = {}
    is_full, is_moved = False, False
    sharing = len(slots.keys() - set(down))
    for project, free in slots.items():
        limit = free
        if project not in down:
            # What the projects before it did not use is left for this one; the first of the next claim is another.
            limit = min(free, max(1, limiter.available(tick) // sharing), limiter.available(tick))
            sharing -= 1
        limit = min(limit, CLAIMED_AT_ONCE - len(due) - len(wanting))
        if limit <= 0:
            is_full, left[project] = True, 0
            continue
        found = find_due(connection, now, limit, project=project, in_hand=in_hand)
        is_full = is_full or (bool(found) and len(found) == limit)
        ready = [one for one in found if not _may_be_under_way(one, context, elapsed_time)]
        waiting: list[Dispatch] = []
        starting: list[Dispatch] = []
        for one in ready:
            (waiting if needs_place(one, limits, now) else starting).append(one)
        due += starting
        wanting += waiting
        left[project] = limit - len(starting)
        if project not in down:
            limiter.spend(len(starting), tick)
            left[project] = min(left[project], limiter.available(tick))
    if wanting or limits.lanes:
        placed = give_places(connection, after, context, limits, wanting, slots=left, in_hand=in_hand, now=now)
        limiter.spend(sum(one.project not in down for one in placed.started), tick)
        move(connection, after, placed.moves, now)
        is_moved = bool(placed.moves)
        due += placed.started
    moves = [_claiming(connection, context, one, now) for one in due]
    move(connection, after, moves, now)
    claimed = read_locked(connection, [dispatch.id for dispatch in due])
    has_queue = bool(limits.lanes) or any(one.result.queued_at is not None for one in after.moves)
    return Claimed([claimed[dispatch.id] for dispatch in due], is_full and (is_moved or bool(due)), has_queue)


def _claiming(connection: Connection, context: Context, dispatch: Dispatch, now: datetime) -> Move:
    crashed = dispatch.status is DispatchStatus.SENDING
    checks_first = dispatch.must_look or crashed
    cause, reason = Cause.CLAIMED, recorded("claimed for a call to LiveKit")
    if crashed:
        cause, reason = Cause.SENDER_LOST, recorded("its sender stopped; looking whether LiveKit has it")
        record_attempts(connection, [_lost_attempt(dispatch, now)])
    elif checks_first:
        reason = recorded("looking whether LiveKit has it")
    elif dispatch.queued_at is not None:
        waited = max(0.0, (now - dispatch.queued_at).total_seconds())
        reason = f"{dispatch.agent_to_ask} has a free place, after {waited:.1f} s in the queue"
    fields: dict[str, Any] = {
        "attempts": dispatch.attempts + (0 if checks_first else 1),
        "must_look": checks_first,
        "placed_at": now,
        "queued_at": None,
        **leased(context.owner, now + context.lease),
    }
    return Move(dispatch, DispatchStatus.SENDING, cause, reason, fields=fields)


def _may_be_under_way(dispatch: Dispatch, context: Context, elapsed_time: ElapsedTime) -> bool:
    """Return whether another process may be calling for `dispatch`, because only a clock step ended its lease."""
    if dispatch.status is not DispatchStatus.SENDING or dispatch.lease_owner in {None, context.owner}:
        return False
    if dispatch.lease_until is None:
        return False
    held = elapsed_time.seconds_since(dispatch.lease_until - context.lease)
    return context.lease.total_seconds() - held >= MIN_REMAINDER_S


def _lost_attempt(dispatch: Dispatch, now: datetime) -> dict[str, Any]:
    return {
        "dispatch_id": dispatch.id,
        "number": max(1, dispatch.attempts),
        "agent_name": dispatch.agent_to_ask,
        "started_at": dispatch.lease_until or now,
        "finished_at": None,
        "outcome": "unknown",
        "livekit_dispatch_id": None,
        "error_code": "crash",
        "error_text": recorded("its sender stopped before the answer was stored"),
    }
