"""Flow 2, last third: how a call turned out is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection

from app.clock import jitter
from app.db.types import DispatchStatus
from app.flows.context import Context
from app.lifecycle.leaving import Withdrawal, ended, withdrawal_of
from app.lifecycle.retry import Step, next_step
from app.lifecycle.transition import move
from app.livekit.outcome import Accepted, Outcome, Rejected, Unknown, Unreachable
from app.observe.compare import Arrived
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move, lock, record_attempts


@dataclass(frozen=True, slots=True)
class Settlement:
    """One call that is over, to be written down."""

    dispatch: Dispatch
    outcome: Outcome
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement wrote; `withdrawal` when the agent is not wanted any more."""

    moves: tuple[Move, ...]
    withdrawal: Withdrawal | None
    look: bool = False
    """Whether the room must be looked at: something may be there twice."""


def settle(connection: Connection, context: Context, settlements: Sequence[Settlement]) -> list[Settled]:
    """Write down how calls turned out; one result per settlement, in order."""
    now = context.clock.now()
    current = lock(connection, {one.dispatch.id for one in settlements})
    record_attempts(connection, [_attempt(one) for one in settlements if not _is_adoption(one)])
    results = [_settled(context, one, current.get(one.dispatch.id), now) for one in settlements]
    move(connection, [change for result in results for change in result.moves], now)
    return results


def _settled(context: Context, settlement: Settlement, current: Dispatch | None, now: datetime) -> Settled:
    outcome = settlement.outcome
    if current is None:
        return Settled((), None)
    written = outcome.livekit_dispatch_id if isinstance(outcome, Accepted) else None
    if is_held(current, settlement.dispatch):
        client = context.clients.get(current.project)
        step = next_step(
            current,
            outcome,
            started_at=settlement.started_at,
            now=now,
            timeout_s=context.settings.request_timeout,
            jitter=jitter(),
            is_down=client is not None and client.is_down,
        )
        return Settled((_as_move(current, step, written, now),), None)
    if written is None or current.livekit_dispatch_id == written:
        return Settled((), None)
    noted = Move(current, current.status, current.reason, fields={"livekit_dispatch_id": written})
    match current.status:
        case DispatchStatus.JOINED | DispatchStatus.DISPATCHED:
            # With another id or attempt noted, somebody took over and sent it again: the look finds what is too many.
            taken_over = current.livekit_dispatch_id is not None or current.attempts != settlement.dispatch.attempts
            return Settled((noted,) if current.livekit_dispatch_id is None else (), None, look=taken_over)
        case DispatchStatus.PENDING:
            late = Move(current, current.status, "LiveKit has it after all", fields={"must_look": True})
            return Settled((late,), None)
        case DispatchStatus.SENDING:
            return Settled((), None, look=True)
        case _:
            return Settled((noted,), _surplus(current, written))


def _surplus(current: Dispatch, written: str) -> Withdrawal | None:
    """Return what to take back: the caller left, or somebody cancelled, while the call was under way."""
    withdrawal = withdrawal_of(current)
    return None if withdrawal is None else replace(withdrawal, livekit_dispatch_id=written)


def is_held(current: Dispatch, held: Dispatch) -> bool:
    """Return whether the call of `current` is still that of `held`: same holder, same attempt, same lease."""
    return (
        current.status is DispatchStatus.SENDING
        and current.lease_owner == held.lease_owner
        and current.lease_until == held.lease_until
        and current.attempts == held.attempts
    )


def is_sent_away(dispatch: Dispatch) -> bool:
    """Return whether the agent that comes by `dispatch` leaves again in a while, because its dispatch was deleted."""
    return dispatch.must_look and dispatch.status in {DispatchStatus.DISPATCHED, DispatchStatus.JOINED}


def arrived(finding: Arrived, now: datetime) -> Move:
    """Return the arrival of an agent that was seen in LiveKit's lists."""
    dispatch = finding.dispatch
    fields: dict[str, Any] = {
        "agent_identity": finding.agent.identity,
        "agent_sid": finding.agent.sid,
        "job_id": finding.job_id or dispatch.job_id,
        "worker_id": finding.worker_id or dispatch.worker_id,
        "livekit_dispatch_id": finding.livekit_dispatch_id or dispatch.livekit_dispatch_id,
        "joined_at": dispatch.joined_at or now,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": None,
        "must_look": is_sent_away(dispatch),
    }
    reason = "the agent is in the room"
    if dispatch.status is DispatchStatus.JOINED:
        reason = f"the agent is {finding.agent.identity}, says LiveKit"
    return Move(dispatch, DispatchStatus.JOINED, reason, fields=fields)


def not_ours(dispatch: Dispatch, now: datetime) -> Move:
    """Return the way back of a dispatch whose agent was somebody else's: its own is awaited, or overdue already."""
    deadline = (dispatch.dispatched_at or now) + timedelta(seconds=dispatch.answer_timeout_s)
    fields: dict[str, Any] = {
        "agent_identity": None,
        "agent_sid": None,
        "job_id": None,
        "worker_id": None,
        "joined_at": None,
        "answer_deadline": max(now, deadline),
    }
    reason = f"{dispatch.agent_identity} came by another dispatch, says LiveKit's job list; its own is awaited"
    return Move(dispatch, DispatchStatus.DISPATCHED, reason, fields=fields)


def next_after_no_show(dispatch: Dispatch, cause: str, now: datetime) -> Move:
    """Return what follows when an agent did not come by its deadline: ask again, ask the fallback, or give up."""
    counted = dispatch.counted_attempts + 1
    fields: dict[str, Any] = {
        "counted_attempts": counted,
        "livekit_dispatch_id": None,
        "answer_deadline": None,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": now,
        "must_look": False,
    }
    exhausted = dispatch.is_fallback or counted >= dispatch.max_attempts
    if not exhausted:
        reason = f"{dispatch.agent_to_ask} did not come: {cause}; asking again"
        return Move(dispatch, DispatchStatus.PENDING, reason, fields=fields)
    if dispatch.fallback_agent_name not in {None, "", dispatch.agent_to_ask} and not dispatch.is_fallback:
        reason = f"{dispatch.agent_to_ask} did not come: {cause}; asking {dispatch.fallback_agent_name} instead"
        fields |= {"asked_agent_name": dispatch.fallback_agent_name, "counted_attempts": 0}
        return Move(dispatch, DispatchStatus.PENDING, reason, fields=fields)
    reason = f"{dispatch.agent_to_ask} did not come: {cause}; nobody else to ask"
    return Move(dispatch, DispatchStatus.NO_SHOW, reason, fields={**fields, **ended(now)})


def awaited_from(dispatch: Dispatch, instant: datetime) -> dict[str, Any]:
    """Return the columns of a dispatch whose agent has been awaited since `instant`."""
    return {"dispatched_at": instant, "answer_deadline": instant + timedelta(seconds=dispatch.answer_timeout_s)}


def _as_move(current: Dispatch, step: Step, written: str | None, now: datetime) -> Move:
    fields: dict[str, Any] = {
        "counted_attempts": current.counted_attempts + (1 if step.counted else 0),
        "must_look": step.must_look,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": step.next_attempt_at,
    }
    if step.status is DispatchStatus.DISPATCHED:
        fields |= {"livekit_dispatch_id": written, **awaited_from(current, now)}
    elif step.status is DispatchStatus.FAILED:
        fields |= {**ended(now), "must_look": step.must_look}
    return Move(current, step.status, step.reason, fields=fields)


def _is_adoption(settlement: Settlement) -> bool:
    return isinstance(settlement.outcome, Accepted) and settlement.outcome.adopted


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
        case Accepted(livekit_dispatch_id):
            return {**row, "outcome": "accepted", "livekit_dispatch_id": livekit_dispatch_id}
        case Unknown(code=code, text=text):
            return {**row, "outcome": "unknown", "error_code": code, "error_text": text[:2000]}
        case Rejected(code, text) | Unreachable(code, text):
            return {**row, "outcome": "rejected", "error_code": code, "error_text": text[:2000]}
        case _:
            assert_never(outcome)
