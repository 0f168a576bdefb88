"""Writes what a check of a room means for the dispatches in it that were in doubt."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import LIVE
from app.flows.context import Context
from app.flows.room_comparison import Comparison
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.doubt import agent_lost, doubt_over
from app.lifecycle.leaving import Withdrawal
from app.lifecycle.next_agent import rendered_after
from app.lifecycle.previous import PreviousCause, previous_with_agent
from app.lifecycle.transition import move
from app.observe.compare import AgentLost
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import replacement_of
from app.outbox.dispatch_store import mark_left, read_locked, waiting_callers
from app.outbox.move import Move
from app.outbox.room_session import callers_since


def lose_agent(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    finding: AgentLost,
    *,
    has_callers: bool,
    ghosts: Collection[str],
    now: datetime,
) -> tuple[Move, Dispatch | None]:
    """Return the end of a dispatch whose agent did not return, and its replacement if there is one.

    Whatever `recover` says: each caller who is in the room has joined it anew, and found no agent.
    """
    dispatch = finding.dispatch
    is_budget_spent = has_callers and dispatch.recoveries >= context.settings.recovery_budget
    is_replaced = has_callers and not is_budget_spent and dispatch.handed_to is None
    replacement = None
    if is_replaced:
        # A substitute is listed with the mark of the lost dispatch: LiveKit is checked for it before any call.
        previous = previous_with_agent(dispatch, PreviousCause.LOST, None, now)
        fields = rendered_after(connection, context.settings, dispatch, previous)
        replacement = replacement_of(dispatch, new_id(), now)._replace(must_look=finding.has_substitute, **fields)
    if dispatch.agent_sid in ghosts and dispatch.agent_identity:
        after.withdraw(
            Withdrawal(
                dispatch.project,
                dispatch.room_name,
                dispatch.room_sid,
                dispatch.id,
                None,
                ((dispatch.agent_identity, dispatch.agent_sid or ""),),
                ghost_sid=dispatch.agent_sid,
            )
        )
    return agent_lost(dispatch, is_replaced=is_replaced, is_budget_spent=is_budget_spent, now=now), replacement


def mark_absent_callers(connection: Connection, comparison: Comparison, now: datetime) -> None:
    """Write which callers have left, not having joined anew in time: before a replacement takes them over."""
    seen = comparison.seen
    proven = [one.id for one in _past_doubt(connection, comparison) if one.unlisted_at is None]
    callers = {sid for sids in waiting_callers(connection, proven).values() for sid in sids}
    present = comparison.present(callers_since(connection, proven, seen.at))
    mark_left(connection, seen.project, callers.difference(present), now)


def end_doubts(connection: Connection, after: AfterCommit, comparison: Comparison, now: datetime) -> list[Dispatch]:
    """End the doubts that a check of their room resolves; return the dispatches as they are then."""
    moves = [doubt_over(one) for one in _past_doubt(connection, comparison)]
    move(connection, after, moves, now)
    return [one.result for one in moves]


def _past_doubt(connection: Connection, comparison: Comparison) -> list[Dispatch]:
    """Return the dispatches whose doubt the comparison resolves, as they are now, if nothing was noted since."""
    seen = comparison.seen
    over = {one.id: one for one in comparison.intended.live if is_past_doubt(one, seen)}
    return [
        one
        for one in read_locked(connection, over).values()
        if one.status in LIVE and one.doubtful_until == over[one.id].doubtful_until
    ]


def is_past_doubt(dispatch: Dispatch, seen: RoomObservation) -> bool:
    """Return whether the doubt about a dispatch was over when its room was observed."""
    is_over = dispatch.doubtful_until is not None and dispatch.doubtful_until <= seen.at
    return is_over and dispatch.room_sid == seen.room_sid
