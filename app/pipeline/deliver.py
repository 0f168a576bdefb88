"""Flow 2: claim, call LiveKit with no transaction open, settle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from app.clock import jitter
from app.db.tables import agent_limits
from app.db.types import DispatchStatus
from app.dispatch.client import DispatchRequest, LiveKitClient
from app.dispatch.outcome import Accepted, LiveKitUnavailableError, Unknown
from app.dispatch.retry import next_step
from app.errors import DatabaseUnavailableError
from app.logs import get_logger
from app.observe.compare import Arrived, CallersGone, Finding, RoomGone, WrittenDown, compare
from app.observe.observation import RoomObservation, observe_room
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch
from app.outbox.store import (
    Move,
    active_counts,
    claim_due,
    lock,
    record_attempts,
    release,
    waiting_callers,
)
from app.pipeline.context import Context
from app.pipeline.departure import Withdrawal, callers_gone, room_over
from app.pipeline.limiter import StartLimiter
from app.pipeline.settle import Settled, Settlement, arrived, is_ours, settle
from app.pipeline.transition import count, move

_log = get_logger(__name__)


class Deliverer:
    """Carries dispatches to LiveKit: those handed over at acceptance at once, all others when they are due."""

    def __init__(
        self,
        context: Context,
        limiter: StartLimiter,
        withdraw: Callable[[Iterable[Withdrawal]], None],
        look_at: Callable[[Iterable[tuple[str, str]]], None],
    ) -> None:
        self._context = context
        self._limiter = limiter
        self._withdraw = withdraw
        self._look_at = look_at
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._settle = partial(_settle_batch, context)

    def free_slots(self) -> int:
        """Return how many more calls may be begun; read from the writer thread too."""
        if self._stopping or self._limiter.paced:
            return 0
        return max(0, self._context.settings.calls_in_flight - len(self._in_hand))

    def submit(self, dispatches: Iterable[Dispatch]) -> None:
        """Send what was born into our hands; no presence check: the webhook is the proof that they are there."""
        for dispatch in dispatches:
            self._begin(dispatch, fresh=True)

    async def run_once(self) -> dict[str, int]:
        """Claim what is due, as far as slots are free, and begin to deliver it."""
        slots = max(0, self._context.settings.calls_in_flight - len(self._in_hand))
        if self._stopping or not slots:
            return {"claimed": 0}
        slots = min(slots, self._limiter.available(self._context.clock.monotonic()))
        if not slots:
            return {"claimed": 0}
        claimed = await self._context.writer.run(lambda connection: self._claim(connection, slots))
        self._limiter.spend(len(claimed))
        for dispatch in claimed:
            self._begin(dispatch, fresh=False)
        return {"claimed": len(claimed)}

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing more, wait for the calls under way, then hand back what is still leased to us."""
        self._stopping = True
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=timeout_s)
        now = self._context.clock.now()
        await self._context.writer.run(lambda connection: release(connection, self._context.owner, now))

    def _begin(self, dispatch: Dispatch, *, fresh: bool) -> None:
        task = asyncio.create_task(self._deliver(dispatch, fresh=fresh))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    def _claim(self, connection: Connection, limit: int) -> list[Dispatch]:
        now = self._context.clock.now()
        limits, active = _limits(connection)
        tick = self._context.clock.monotonic()
        due = claim_due(connection, now, limit, self._limiter.saturated(limits, active, tick))
        due = self._limiter.within_agent_limits(due, limits, active, tick)
        until = now + self._context.lease
        moves = []
        for dispatch in due:
            crashed = dispatch.status is DispatchStatus.SENDING
            look = dispatch.must_look or crashed
            reason = "its turn"
            if crashed:
                reason = "its sender stopped; looking whether LiveKit has it"
            elif look:
                reason = "looking whether LiveKit has it"
            fields = {
                "attempts": dispatch.attempts + (0 if look else 1),
                "must_look": look,
                "lease_owner": self._context.owner,
                "lease_until": until,
                "next_attempt_at": until,
            }
            moves.append(Move(dispatch, DispatchStatus.SENDING, reason, fields=fields))
            if crashed:
                record_attempts(connection, [_lost_attempt(dispatch, now)])
        move(connection, moves, now)
        return list(lock(connection, [dispatch.id for dispatch in due]).values())

    async def _deliver(self, dispatch: Dispatch, *, fresh: bool) -> None:
        log = _log.bind(dispatch_id=dispatch.id, event_id=dispatch.event_id, agent=dispatch.agent_to_ask)
        try:
            client = self._context.clients.get(dispatch.project)
            if client is None:
                log.error("the dispatch's LiveKit project is not configured any more", project=dispatch.project)
                return
            if fresh or await self._is_wanted(dispatch, client):
                await self._call(dispatch, client)
        except DatabaseUnavailableError as error:
            # The lease runs out and the next claim looks at LiveKit first: nothing is lost, nothing is repeated.
            log.warning("the outcome of a call could not be stored yet", error=str(error))
        except Exception:
            log.exception("delivery failed")

    async def _is_wanted(self, dispatch: Dispatch, client: LiveKitClient) -> bool:
        """Before any call that is not immediate: is the session still there, the caller in it, the agent not yet."""
        now = self._context.clock.now()
        try:
            seen = await observe_room(
                client, dispatch.project, dispatch.room_name, at=now, with_dispatches=dispatch.must_look
            )
        except LiveKitUnavailableError as error:
            await self._postpone(dispatch, str(error))
            return False
        finding = await self._context.writer.run(lambda connection: self._conclude(connection, dispatch, seen, now))
        count(self._context.metrics, finding.moves)
        if finding.withdrawal is not None:
            self._withdraw([finding.withdrawal])
        if finding.adopted:  # its agent may have come before we knew that it is ours
            self._look_at([(dispatch.project, dispatch.room_name)])
        return finding.send

    def _conclude(
        self, connection: Connection, dispatch: Dispatch, seen: RoomObservation, now: datetime
    ) -> _Conclusion:
        current = lock(connection, [dispatch.id]).get(dispatch.id)
        if current is None or not is_ours(current, self._context.owner):
            return _Conclusion(send=False)
        callers = waiting_callers(connection, [dispatch.id])
        for finding in compare([current], callers, seen):
            conclusion = self._act_upon(connection, current, finding, now)
            if conclusion is not None:
                return conclusion
        if not current.must_look:
            return _Conclusion(send=True)
        again = Move(
            current,
            DispatchStatus.SENDING,
            "LiveKit does not have it; sending it again",
            fields={"must_look": False, "attempts": current.attempts + 1},
        )
        move(connection, [again], now)
        return _Conclusion(send=True, moves=(again,))

    def _act_upon(
        self, connection: Connection, current: Dispatch, finding: Finding, now: datetime
    ) -> _Conclusion | None:
        match finding:
            case RoomGone():
                change = room_over(current, "the room is gone, or another session has its name", now)
                move(connection, [change], now)
                return _Conclusion(send=False, moves=(change,))
            case CallersGone():
                gone, withdrawal = callers_gone(current, now)
                moves = (gone,) if gone is not None else ()
                move(connection, moves, now)
                return _Conclusion(send=False, moves=moves, withdrawal=withdrawal)
            case Arrived():
                change = arrived(finding, now)
                move(connection, [change], now)
                return _Conclusion(send=False, moves=(change,))
            case WrittenDown(livekit_dispatch_id=livekit_dispatch_id) if current.must_look:
                settlement = Settlement(current, Accepted(livekit_dispatch_id, adopted=True), now, now)
                settled = settle(connection, self._context, [settlement])[0]
                return _Conclusion(send=False, moves=settled.moves, withdrawal=settled.withdrawal, adopted=True)
            case _:
                return None

    async def _postpone(self, dispatch: Dispatch, why: str) -> None:
        outcome = Unknown("looking", why)
        now = self._context.clock.now()
        step = next_step(dispatch, outcome, started_at=now, now=now, timeout_s=0.0, jitter=jitter())

        def write(connection: Connection) -> tuple[Move, ...]:
            current = lock(connection, [dispatch.id]).get(dispatch.id)
            if current is None or not is_ours(current, self._context.owner):
                return ()
            # No call was made: the attempt counted at the claim is given back.
            attempts = current.attempts - (0 if current.must_look else 1)
            due = step.next_attempt_at or now + timedelta(seconds=8)
            fields = {**_pending(due), "must_look": current.must_look, "attempts": attempts}
            change = Move(current, DispatchStatus.PENDING, f"LiveKit cannot be asked: {why}", fields=fields)
            move(connection, [change], now)
            return (change,)

        count(self._context.metrics, await self._context.writer.run(write))

    async def _call(self, dispatch: Dispatch, client: LiveKitClient) -> None:
        attributes = {**dispatch.attributes, DISPATCH_ID_ATTRIBUTE: dispatch.id}
        request = DispatchRequest(
            room_name=dispatch.room_name,
            agent_name=dispatch.agent_to_ask,
            metadata=dispatch.metadata,
            attributes=attributes,
            deployment=dispatch.deployment,
            recovered_by_us=dispatch.recover,
        )
        started_at = self._context.clock.now()
        if dispatch.attempts == 1:
            waited = (started_at - dispatch.created_at).total_seconds()
            self._context.metrics.seconds_to_call.observe(max(0.0, waited))
        outcome = await client.create_dispatch(request)
        settlement = Settlement(dispatch, outcome, started_at, self._context.clock.now())
        settled = await self._context.writer.run_batched(self._settle, settlement)
        count(self._context.metrics, settled.moves)
        if settled.withdrawal is not None:
            self._withdraw([settled.withdrawal])


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """Whether the call is still to be made."""

    send: bool
    moves: tuple[Move, ...] = ()
    withdrawal: Withdrawal | None = None
    adopted: bool = False


def _pending(due: datetime) -> dict[str, Any]:
    return {"lease_owner": None, "lease_until": None, "next_attempt_at": due}


def _limits(connection: Connection) -> tuple[dict[str, Any], dict[str, int]]:
    limits = {row["agent_name"]: row for row in connection.execute(select(agent_limits)).mappings()}
    return limits, active_counts(connection, limits) if limits else {}


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


def _settle_batch(context: Context, connection: Connection, settlements: Sequence[Settlement]) -> list[Settled]:
    return settle(connection, context, settlements)
