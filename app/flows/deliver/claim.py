"""Deliver, first: leases due dispatches to this process, within the limits of calls and agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from app.db.tables import agents
from app.db.tables.agents import IS_LIMITED
from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.elapsed_time import MIN_REMAINDER_S, ElapsedTime
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.transition import move
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import leased
from app.outbox.dispatch_store import active_counts, find_at_limit, find_due, read_locked, record_attempts
from app.outbox.move import Move


def claim(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    limiter: StartLimiter,
    elapsed_time: ElapsedTime,
    *,
    slots: Mapping[str, int],
    in_hand: Collection[str],
) -> list[Dispatch]:
    """Lease due dispatches, as many of each project as it has `slots`, and return them as they are then.

    `in_hand`: ids under way in this process; a lease that ran out (the clock was set) must not start them twice.
    """
    now = context.clock.now()
    tick = context.clock.monotonic()
    limits = _limits(connection)
    active = active_counts(connection, limits) if limits else {}
    due: list[Dispatch] = []
    for number, (project, free) in enumerate(slots.items()):
        held_back = limiter.saturated(project, limits, active, tick)
        if held_back:
            _note_limit_reached(connection, after, now, project, held_back)
        # What the projects before it did not use is left for this one; the first of the next claim is another.
        limit = min(free, max(1, limiter.available(tick) // (len(slots) - number)), limiter.available(tick))
        found = find_due(connection, now, limit, project=project, without_agents=held_back, in_hand=in_hand)
        free_again = [one for one in found if not _may_be_under_way(one, context, elapsed_time)]
        allowed = limiter.within_agent_limits(free_again, limits, active, tick)
        limiter.spend(len(allowed))
        due += allowed
    moves = []
    until = now + context.lease
    for dispatch in due:
        crashed = dispatch.status is DispatchStatus.SENDING
        checks_first = dispatch.must_look or crashed
        cause, reason = Cause.CLAIMED, "claimed for a call to LiveKit"
        if crashed:
            cause, reason = Cause.SENDER_LOST, "its sender stopped; looking whether LiveKit has it"
            record_attempts(connection, [_lost_attempt(dispatch, now)])
        elif checks_first:
            reason = "looking whether LiveKit has it"
        fields: dict[str, Any] = {
            "attempts": dispatch.attempts + (0 if checks_first else 1),
            "must_look": checks_first,
            **leased(context.owner, until),
        }
        moves.append(Move(dispatch, DispatchStatus.SENDING, cause, reason, fields=fields))
    move(connection, after, moves, now)
    claimed = read_locked(connection, [dispatch.id for dispatch in due])
    return [claimed[dispatch.id] for dispatch in due]


def _may_be_under_way(dispatch: Dispatch, context: Context, elapsed_time: ElapsedTime) -> bool:
    """Return whether another process may be calling for `dispatch`, because only a clock step ended its lease."""
    if dispatch.status is not DispatchStatus.SENDING or dispatch.lease_owner in {None, context.owner}:
        return False
    if dispatch.lease_until is None:
        return False
    held = elapsed_time.seconds_since(dispatch.lease_until - context.lease)
    return context.lease.total_seconds() - held >= MIN_REMAINDER_S


def _limits(connection: Connection) -> dict[str, Any]:
    # Locked, so that two replicas cannot both count the same free place.
    query = select(agents).where(text(IS_LIMITED)).order_by(agents.c.agent_name).with_for_update()
    return {row["agent_name"]: row for row in connection.execute(query).mappings()}


def _note_limit_reached(
    connection: Connection, after: AfterCommit, now: datetime, project: str, agent_names: Collection[str]
) -> None:
    """Give due dispatches whose agent is at its limit that reason, once."""
    moves = [
        Move(
            one,
            one.status,
            Cause.WAITS_FOR_LIMIT,
            f"waiting: the limit of {one.agent_to_ask} is reached (table agents)",
        )
        for one in find_at_limit(connection, now, project, agent_names)
    ]
    move(connection, after, moves, now)


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
        "error_text": "its sender stopped before the answer was stored",
    }
