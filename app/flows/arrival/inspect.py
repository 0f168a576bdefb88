"""Flow 3, second half: look at a room, and act upon what is there and what is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any, assert_never

from sqlalchemy import Connection

from app.db.tables import LIVE, ROOM_LOST
from app.db.types import DispatchStatus
from app.errors import UsherError
from app.flows.arrival.withdraw import Withdrawer, is_taken_back
from app.flows.clock_steps import WORTH_WAITING_S, Stopwatch
from app.flows.context import Context
from app.flows.deliver.settle import arrived, awaited_from, next_after_no_show, not_ours
from app.lifecycle.leaving import (
    LEAVING_S,
    Consequences,
    Left,
    Withdrawal,
    agent_gone,
    callers_gone,
    room_over,
)
from app.lifecycle.transition import bear, count, move
from app.livekit.client import LiveKitClient
from app.livekit.outcome import LiveKitUnavailableError
from app.logs import get_logger
from app.observe.compare import (
    JOB_LIST_LAG_S,
    AgentGone,
    Arrived,
    CallersGone,
    NotOurs,
    NotYetHere,
    RoomGone,
    Stray,
    WrittenDown,
    compare,
)
from app.observe.intentions import recall
from app.observe.observation import RoomObservation, observe_room
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move, claim_unanswered, lock, mark_no_show
from app.outbox.room_session import served_lately

_log = get_logger(__name__)

_CLAIM_LIMIT = 100
_AGAIN_S = 1.0
"""When an overdue agent is looked for again after LiveKit gave no answer."""


@dataclass(slots=True)
class Inspection:
    """What a look at one room led to. `absent`: dispatches without agent whose absence is certain.

    `is_clear`: everybody's agent is there, with its job on LiveKit's list, so that another look tells nothing new.
    """

    consequences: Consequences = field(default_factory=Consequences.none)
    absent: list[NotYetHere] = field(default_factory=list)
    uncertain: list[NotYetHere] = field(default_factory=list)
    is_clear: bool = True


class Inspector:
    """Looks into rooms: those where an agent is overdue, those where a webhook left a question, those of the sweep."""

    def __init__(self, context: Context, withdrawer: Withdrawer, stopwatch: Stopwatch) -> None:
        self._context = context
        self._withdrawer = withdrawer
        self._stopwatch = stopwatch

    async def run_once(self) -> dict[str, int]:
        """Look for every agent whose deadline has passed; give up the attempts whose agent is not there."""
        self._stopwatch.look()
        overdue = await self._context.writer.run(self._claim_overdue)
        rooms: dict[tuple[str, str], list[Dispatch]] = {}
        for dispatch in overdue:
            rooms.setdefault((dispatch.project, dispatch.room_name), []).append(dispatch)
        await asyncio.gather(*(self._look_for(project, name, late) for (project, name), late in rooms.items()))
        return {"overdue": len(overdue)}

    async def inspect(self, project: str, room_name: str) -> Inspection:
        """Look at one room and write what follows; raises `LiveKitUnavailableError` when it cannot be seen."""
        client = self._context.clients.get(project)
        if client is None:
            return Inspection()
        now = self._context.clock.now()
        seen = await observe_room(client, project, room_name, at=now, with_dispatches=True)
        inspection = await self._context.writer.run(lambda connection: self._conclude(connection, seen))
        consequences = inspection.consequences
        count(self._context.metrics, consequences.moves)
        for row in consequences.rows:
            self._context.metrics.recoveries.labels(row["agent_name"]).inc()
        self._withdrawer.submit(consequences.withdrawals)
        return inspection

    async def _look_for(self, project: str, room_name: str, late: list[Dispatch]) -> None:
        """Look at the room of overdue agents; who can be neither found nor given up is looked for again soon."""
        try:
            inspection = await self.inspect(project, room_name)
        except UsherError as error:
            _log.warning("an overdue agent could not be looked for", room=room_name, error=str(error))
            await self._put_off(late, 0.0)
            return
        ids = {dispatch.id for dispatch in late}
        for absence in inspection.absent:
            if absence.dispatch.id in ids:
                await self._give_up_attempt(self._context.clients[project], absence)
        uncertain = [absence.dispatch for absence in inspection.uncertain if absence.dispatch.id in ids]
        if uncertain:
            await self._put_off(uncertain, JOB_LIST_LAG_S)

    async def _put_off(self, late: list[Dispatch], after_call_s: float) -> None:
        """Look again in a second, and not before so many seconds after the call."""

        def write(connection: Connection) -> None:
            now = self._context.clock.now()
            changes = []
            for dispatch in lock(connection, [dispatch.id for dispatch in late]).values():
                if dispatch.status is not DispatchStatus.DISPATCHED or dispatch.lease_owner != self._context.owner:
                    continue
                told = (dispatch.dispatched_at or now) + timedelta(seconds=after_call_s)
                due = max(now + timedelta(seconds=_AGAIN_S), told)
                fields = {"lease_owner": None, "lease_until": None, "answer_deadline": due}
                reason = "it cannot be told yet whether its agent is there"
                changes.append(Move(dispatch, dispatch.status, reason, fields=fields))
            move(connection, changes, now)

        await self._context.writer.run(write)

    def _claim_overdue(self, connection: Connection) -> list[Dispatch]:
        """Lease whose deadline has passed. Who is not overdue but for the clock's setting gets the rest of the time."""
        now = self._context.clock.now()
        lease = {"lease_owner": self._context.owner, "lease_until": now + self._context.lease}
        overdue, moves = [], []
        for one in claim_unanswered(connection, now, _CLAIM_LIMIT, self._context.clients.keys()):
            waited = self._waited(one)
            if one.answer_timeout_s - waited >= WORTH_WAITING_S:
                rest = awaited_from(one, now - timedelta(seconds=waited))
                moves.append(Move(one, one.status, "the clock was set; its agent has time yet", fields=rest))
            else:
                moves.append(Move(one, one.status, "its agent is overdue; looking at LiveKit", fields=lease))
                overdue.append(one)
        move(connection, moves, now)
        return overdue

    def _waited(self, dispatch: Dispatch) -> float:
        """Return for how many seconds the agent has been awaited, at least."""
        return inf if dispatch.dispatched_at is None else self._stopwatch.seconds_since(dispatch.dispatched_at)

    def _conclude(self, connection: Connection, seen: RoomObservation) -> Inspection:
        now = self._context.clock.now()
        intended = recall(connection, seen)
        findings = compare(intended, seen)
        since = now - timedelta(seconds=LEAVING_S)
        deserted = served_lately(connection, [one.dispatch.id for one in findings if isinstance(one, AgentGone)], since)
        present = {participant.sid for participant in seen.participants}.union(intended.newcomers)
        inspection = Inspection()
        for finding in findings:
            if isinstance(finding, AgentGone):
                served = intended.callers.get(finding.dispatch.id)
                here = served is None or bool(present.intersection(served))
                left = Left(callers=here, newcomers=here and finding.dispatch.id in deserted)
                self._replace(finding.dispatch, left, inspection.consequences, now)
            else:
                self._act_upon(finding, seen, inspection, now)
        moves = inspection.consequences.moves
        move(connection, moves, now)
        bear(connection, inspection.consequences.rows, now)
        after = {dispatch.id: (dispatch.status, dispatch.worker_id) for dispatch in intended.live}
        after |= {one.dispatch.id: (one.status, one.fields.get("worker_id", one.dispatch.worker_id)) for one in moves}
        inspection.is_clear = not inspection.consequences.withdrawals and all(
            status not in LIVE or (status is DispatchStatus.JOINED and worker_id)
            for status, worker_id in after.values()
        )
        return inspection

    def _replace(self, dispatch: Dispatch, left: Left, consequences: Consequences, now: datetime) -> None:
        change, row = agent_gone(dispatch, "", left, budget=self._context.settings.recovery_budget, now=now)
        consequences.moves.append(change)
        if row is not None:
            consequences.rows.append(row)

    def _act_upon(
        self,
        finding: RoomGone | CallersGone | Arrived | NotOurs | WrittenDown | NotYetHere | Stray,
        seen: RoomObservation,
        inspection: Inspection,
        now: datetime,
    ) -> None:
        consequences = inspection.consequences
        match finding:
            case RoomGone(dispatch):
                consequences.moves.append(room_over(dispatch, ROOM_LOST, now))
            case CallersGone(dispatch):
                change, withdrawal = callers_gone(dispatch, now)
                if change is not None:
                    consequences.moves.append(change)
                if withdrawal is not None:
                    consequences.withdrawals.append(withdrawal)
            case Arrived():
                consequences.moves.append(arrived(finding, now))
            case NotOurs(dispatch):
                consequences.moves.append(not_ours(dispatch, now))
            case WrittenDown():
                pass  # the delivery that owns the call adopts it
            case NotYetHere(certain=certain):
                (inspection.absent if certain else inspection.uncertain).append(finding)
            case Stray(livekit_dispatch_id, identities, why):
                _log.warning("withdrawing what nobody needs", room=seen.room_name, agents=identities, why=why)
                consequences.withdrawals.append(
                    Withdrawal(seen.project, seen.room_name, seen.room_sid, "", livekit_dispatch_id or None, identities)
                )
            case _:
                assert_never(finding)

    async def _give_up_attempt(self, client: LiveKitClient, absence: NotYetHere) -> None:
        """Delete the dead dispatch, make sure that it is gone, and only then ask again, elsewhere, or nobody."""
        dispatch = absence.dispatch
        if self._waited(dispatch) < JOB_LIST_LAG_S:  # a worker may have it and not be listed yet
            absence = replace(absence, is_over=False)
        if not await self._context.writer.run(lambda connection: self._announce_deletion(connection, dispatch)):
            return
        try:
            gone = dispatch.livekit_dispatch_id is None or await is_taken_back(
                client, dispatch.room_name, dispatch.livekit_dispatch_id
            )
        except LiveKitUnavailableError as error:
            _log.warning("a dead dispatch could not be deleted yet", dispatch_id=dispatch.id, error=str(error))
            gone = False
        now = self._context.clock.now()
        moves = await self._context.writer.run(lambda connection: _write_no_show(connection, absence, now, gone=gone))
        count(self._context.metrics, moves)
        for change in moves:
            log = _log.bind(dispatch_id=dispatch.id, event_id=dispatch.event_id, agent=dispatch.agent_to_ask)
            log.warning("the agent did not come", cause=absence.cause, next=change.status, reason=change.reason)
            asked = change.fields.get("asked_agent_name")
            if asked is not None and asked != dispatch.agent_to_ask:
                self._context.metrics.fallbacks.labels(dispatch.agent_name, asked).inc()

    def _announce_deletion(self, connection: Connection, dispatch: Dispatch) -> bool:
        """Note that LiveKit sends away whoever comes from now on; return False if the agent is there, or not wanted."""
        current = _still_awaited(connection, dispatch)
        if current is None or current.status is not DispatchStatus.DISPATCHED:
            return False
        reason = "its agent did not come; deleting the dispatch"
        change = Move(current, current.status, reason, fields={"must_look": True})
        move(connection, [change], self._context.clock.now())
        return True


def _still_awaited(connection: Connection, seen: Dispatch) -> Dispatch | None:
    """Return the dispatch as it is now, held, unless another took the look over, gave up, and has asked anew."""
    current = lock(connection, [seen.id]).get(seen.id)
    return current if current is not None and current.attempts == seen.attempts else None


def _write_no_show(connection: Connection, absence: NotYetHere, now: datetime, *, gone: bool) -> list[Move]:
    current = _still_awaited(connection, absence.dispatch)
    if current is not None and current.status is DispatchStatus.JOINED:
        # It came in the very moment in which we deleted its dispatch, and LiveKit sends it away again in a while.
        fields = {"must_look": True, "livekit_dispatch_id": None}
        move(connection, [Move(current, current.status, "its dispatch was deleted as it came", fields=fields)], now)
        return []
    if current is None or current.status is not DispatchStatus.DISPATCHED:
        return []  # its caller left, or another replica has given up this attempt
    if not gone:
        again: dict[str, Any] = {
            "lease_owner": None,
            "lease_until": None,
            "answer_deadline": now + timedelta(seconds=2),
        }
        changes = [Move(current, current.status, "the dead dispatch is still listed; trying again", fields=again)]
        move(connection, changes, now)
        return []
    mark_no_show(
        connection,
        current.id,
        current.attempts,
        job_id=absence.job_id,
        cause=absence.cause,
        is_over=absence.is_over,
    )
    changes = [next_after_no_show(current, absence.cause, now)]
    move(connection, changes, now)
    return changes
