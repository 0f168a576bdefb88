"""Writes how calls to LiveKit turned out, with one row of `dispatch_attempts` each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection

from app.clock import jitter
from app.db.types import DispatchStatus
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.settling import Settlement, settled
from app.lifecycle.transition import move
from app.livekit.outcome import Accepted, Rejected, Unknown, Unreachable
from app.outbox.dispatch_store import read_locked, record_adoption, record_attempts
from app.outbox.move import Move


def settle(connection: Connection, after: AfterCommit, context: Context, settlements: Sequence[Settlement]) -> None:
    """Write how calls turned out, and note what to take back and which rooms to check."""
    now = context.clock.now()
    current = read_locked(connection, {one.dispatch.id for one in settlements})
    _record(connection, settlements)
    moves = []
    for settlement in settlements:
        dispatch = current.get(settlement.dispatch.id)
        if dispatch is None:
            continue
        client = context.clients.get(dispatch.project)
        result = settled(
            settlement,
            dispatch,
            now=now,
            timeout_s=context.settings.request_timeout,
            jitter=jitter(),
            is_down=client is not None and client.is_down,
        )
        if result.move is not None:
            moves.append(_checked_soon(result.move, context, now))
        after.withdraw(result.withdrawal)
        if result.check_room:
            after.rooms_to_check.add((dispatch.project, dispatch.room_name))
    move(connection, after, moves, now)


def _checked_soon(change: Move, context: Context, now: datetime) -> Move:
    """Return the move with a check now, if LiveKit reported meanwhile that no agent comes by this dispatch soon."""
    is_early = change.status is DispatchStatus.DISPATCHED and context.early_job_events.include(
        change.result.livekit_dispatch_id
    )
    return replace(change, fields={**change.fields, "answer_deadline": now}) if is_early else change


def _record(connection: Connection, settlements: Sequence[Settlement]) -> None:
    attempts = [_attempt(one) for one in settlements]
    record_attempts(connection, [row for row in attempts if row["outcome"] != "adopted"])
    for row in attempts:
        if row["outcome"] == "adopted":
            record_adoption(connection, row)


def _attempt(settlement: Settlement) -> dict[str, Any]:
    dispatch, outcome = settlement.dispatch, settlement.outcome
    row: dict[str, Any] = {
        "dispatch_id": dispatch.id,
        "number": dispatch.attempts,
        "agent_name": dispatch.agent_to_ask,
        "started_at": settlement.started_at,
        "finished_at": settlement.finished_at,
        "livekit_dispatch_id": None,
        "error_code": None,
        "error_text": None,
    }
    match outcome:
        case Accepted(livekit_dispatch_id, adopted):
            outcome_name = "adopted" if adopted else "accepted"
            return {**row, "outcome": outcome_name, "livekit_dispatch_id": livekit_dispatch_id}
        case Unknown(code=code, text=text):
            return {**row, "outcome": "unknown", "error_code": code, "error_text": text[:2000]}
        case Rejected(code, text) | Unreachable(code, text):
            return {**row, "outcome": "rejected", "error_code": code, "error_text": text[:2000]}
        case _:
            assert_never(outcome)
