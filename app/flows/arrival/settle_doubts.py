"""Writes what a check of a room means for the dispatches in it that were in doubt."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import LIVE
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.departure import unseen_departure
from app.lifecycle.doubt import agent_lost, doubt_over
from app.lifecycle.leaving import Withdrawal
from app.lifecycle.next_agent import rendered_after
from app.lifecycle.previous import previous_left
from app.observe.compare import AgentLost, Intentions
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import replacement_of
from app.outbox.dispatch_store import mark_left
from app.outbox.move import Move


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
        previous = previous_left(dispatch, unseen_departure(dispatch, now), now)
        fields = rendered_after(connection, context.settings, dispatch, previous)
        replacement = replacement_of(dispatch, new_id(), now)._replace(must_look=finding.has_substitute, **fields)
    if dispatch.agent_sid in ghosts and dispatch.agent_identity:
        after.withdrawals.append(
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


def end_doubts(
    connection: Connection,
    dispatches: Iterable[Dispatch],
    intended: Intentions,
    seen: RoomObservation,
    *,
    present: Collection[str],
    now: datetime,
) -> list[Move]:
    """Return the end of the doubts that `seen` resolves, and write which callers have not joined anew.

    `dispatches`: those of the room as they are after the check. `present`: SIDs of who is in the room.
    """
    over = {one.id for one in intended.live if one.room_sid == seen.room_sid and _is_over(one, seen.at)}
    proven = [one.id for one in intended.live if one.id in over and one.unlisted_at is None]
    callers = {sid for dispatch_id in proven for sid in intended.callers.get(dispatch_id, ())}
    mark_left(connection, seen.project, callers.difference(present), now)
    return [doubt_over(one) for one in dispatches if one.id in over and one.status in LIVE]


def _is_over(dispatch: Dispatch, at: datetime) -> bool:
    return dispatch.doubtful_until is not None and dispatch.doubtful_until <= at
