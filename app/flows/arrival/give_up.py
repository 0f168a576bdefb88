"""Gives up an attempt whose agent did not join: announce, delete at LiveKit, and only then ask again or end."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.db.types import Cause, DispatchStatus
from app.flows.arrival.withdraw import is_deleted
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import after_no_show
from app.lifecycle.next_agent import after_previous
from app.lifecycle.previous import PreviousCause, previous_without_agent
from app.lifecycle.transition import move
from app.livekit.outcome import LiveKitUnavailableError
from app.logs import get_logger
from app.observe.finding import NotYetHere
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import mark_no_show, read_locked
from app.outbox.move import Move
from app.translation import recorded

_log = get_logger(__name__)

_STILL_LISTED_S = 2.0
"""Delay before the deletion of a dispatch that LiveKit still lists is tried again."""


async def give_up_attempt(
    context: Context, transactions: Transactions, absence: NotYetHere, *, delay_s: float, is_repeated: bool
) -> None:
    """Delete the dispatch whose agent is absent, make sure that it is gone, and ask again, the fallback, or no more.

    The deletion is announced first: an agent that joins from then on is sent away by LiveKit in a while.
    `delay_s`: when the next attempt is made. `is_repeated`: this one is made again without being counted.
    """
    dispatch, client = absence.dispatch, context.clients[absence.dispatch.project]
    announced_at = context.clock.now()
    if not await transactions.run(
        lambda connection, after: _announce_deletion(connection, after, dispatch, announced_at)
    ):
        return
    try:
        gone = dispatch.livekit_dispatch_id is None or await is_deleted(
            client, context.room_lists, dispatch.project, dispatch.room_name, dispatch.livekit_dispatch_id
        )
    except LiveKitUnavailableError as error:
        _log.warning("a dead dispatch could not be deleted yet", dispatch_id=dispatch.id, error=str(error))
        gone = False
    now = context.clock.now()
    give_up = partial(_write_no_show, context=context, absence=absence, delay_s=delay_s, is_repeated=is_repeated)
    change = await transactions.run(lambda connection, after: give_up(connection, after, now=now, gone=gone))
    if change is not None:
        log = _log.bind(dispatch_id=dispatch.id, event_id=dispatch.event_id, agent=dispatch.agent_to_ask)
        log.warning("the agent did not join", cause=absence.detail, next=change.status, reason=change.reason)


def _announce_deletion(connection: Connection, after: AfterCommit, dispatch: Dispatch, now: datetime) -> bool:
    """Note that the dispatch is being deleted; return False if its agent is there, or not wanted any more."""
    current = _still_awaited(connection, dispatch)
    if current is None or current.status is not DispatchStatus.DISPATCHED:
        return False
    reason = recorded("its agent did not join; deleting the dispatch")
    fields = {"deletion_announced_at": now}
    move(connection, after, [Move(current, current.status, Cause.AGENT_OVERDUE, reason, fields=fields)], now)
    return True


def _still_awaited(connection: Connection, seen: Dispatch) -> Dispatch | None:
    """Return the dispatch as it is now, locked, unless another replica gave this attempt up and has asked anew."""
    current = read_locked(connection, [seen.id]).get(seen.id)
    return current if current is not None and current.attempts == seen.attempts else None


def _write_no_show(
    connection: Connection,
    after: AfterCommit,
    *,
    context: Context,
    absence: NotYetHere,
    now: datetime,
    gone: bool,
    delay_s: float,
    is_repeated: bool,
) -> Move | None:
    """Give the attempt up, if LiveKit's dispatch is `gone`; return the move, or None if it is not given up."""
    current = _still_awaited(connection, absence.dispatch)
    if current is not None and current.status is DispatchStatus.JOINED:
        # It came in the very moment in which we deleted its dispatch, and LiveKit sends it away again in a while.
        fields = {"is_sent_away": True, "livekit_dispatch_id": None}
        change = Move(
            current, current.status, current.cause, recorded("its dispatch was deleted as it joined"), fields=fields
        )
        move(connection, after, [change], now)
        return None
    if current is None or current.status is not DispatchStatus.DISPATCHED:
        return None  # its caller left, or another replica has given up this attempt
    if not gone:
        again: dict[str, Any] = {
            "lease_owner": None,
            "lease_until": None,
            "answer_deadline": now + timedelta(seconds=_STILL_LISTED_S),
        }
        change = Move(
            current,
            current.status,
            Cause.AGENT_OVERDUE,
            recorded("the dead dispatch is still listed; trying again"),
            fields=again,
        )
        move(connection, after, [change], now)
        return None
    mark_no_show(
        connection,
        current.id,
        current.attempts,
        job_id=absence.job_id,
        detail=absence.detail,
        is_over=absence.is_over,
    )
    change = after_no_show(current, absence.detail, now, delay_s=delay_s, is_repeated=is_repeated)
    previous = previous_without_agent(current, PreviousCause.NO_SHOW)
    change = after_previous(connection, context.settings, change, previous)
    move(connection, after, [change], now)
    return change
