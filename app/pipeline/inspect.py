"""Flow 3, second half: look at a room, and act upon what is there and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never

from sqlalchemy import Connection, select

from app.audit.entry import AuditEntry
from app.audit.store import append
from app.db.tables import LIVE, dispatches
from app.db.types import DispatchStatus
from app.dispatch.client import LiveKitClient
from app.dispatch.outcome import LiveKitUnavailableError
from app.logs import get_logger
from app.observe.compare import (
    AgentGone,
    Arrived,
    CallersGone,
    Finding,
    NotYetHere,
    RoomGone,
    Stray,
    WrittenDown,
    compare,
)
from app.observe.observation import RoomObservation, observe_room
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch
from app.outbox.states import REDRIVABLE
from app.outbox.store import (
    Move,
    agents_asked_in_vain,
    claim_unanswered,
    insert_dispatches,
    lock,
    mark_no_show,
    waiting_callers,
)
from app.pipeline.context import Context
from app.pipeline.departure import Consequences, Withdrawal, agent_gone, callers_gone, room_over
from app.pipeline.settle import arrived, next_after_no_show
from app.pipeline.transition import count, move
from app.pipeline.withdraw import Withdrawer, is_taken_back

_log = get_logger(__name__)

_CLAIM_LIMIT = 100


@dataclass(slots=True)
class Inspection:
    """What a look at one room led to. `absent`: dispatches without agent whose absence is certain."""

    consequences: Consequences = field(default_factory=Consequences.none)
    absent: list[NotYetHere] = field(default_factory=list)
    uncertain: list[NotYetHere] = field(default_factory=list)


class Inspector:
    """Looks into rooms: those where an agent is overdue, those where a webhook left a question, those of the sweep."""

    def __init__(self, context: Context, withdrawer: Withdrawer) -> None:
        self._context = context
        self._withdrawer = withdrawer

    async def run_once(self) -> dict[str, int]:
        """Look for every agent whose deadline has passed; give up the attempts whose agent is not there."""
        overdue = await self._context.writer.run(self._claim_overdue)
        rooms: dict[tuple[str, str], set[str]] = {}
        for dispatch in overdue:
            rooms.setdefault((dispatch.project, dispatch.room_name), set()).add(dispatch.id)
        results = await asyncio.gather(
            *(self.inspect(project, name, overdue=ids) for (project, name), ids in rooms.items()),
            return_exceptions=True,
        )
        for error in results:
            if isinstance(error, LiveKitUnavailableError):
                _log.warning("an overdue agent could not be looked for", error=str(error))
            elif isinstance(error, BaseException):
                raise error
        return {"overdue": len(overdue)}

    async def inspect(self, project: str, room_name: str, *, overdue: Collection[str] = ()) -> Inspection:
        """Look at one room and write what follows; raises `LiveKitUnavailableError` when it cannot be seen."""
        client = self._context.clients.get(project)
        if client is None:
            return Inspection()
        now = self._context.clock.now()
        seen = await observe_room(client, project, room_name, at=now, with_dispatches=True)
        inspection = await self._context.writer.run(lambda connection: self._conclude(connection, seen, now))
        consequences = inspection.consequences
        count(self._context.metrics, consequences.moves)
        self._withdrawer.submit(consequences.withdrawals)
        for absence in inspection.absent:
            if absence.dispatch.id in overdue:
                await self._give_up_attempt(client, absence)
        return inspection

    def _claim_overdue(self, connection: Connection) -> list[Dispatch]:
        now = self._context.clock.now()
        overdue = claim_unanswered(connection, now, _CLAIM_LIMIT)
        lease = {"lease_owner": self._context.owner, "lease_until": now + self._context.lease}
        moves = [Move(one, one.status, "its agent is overdue; looking at LiveKit", fields=lease) for one in overdue]
        move(connection, moves, now)
        return overdue

    def _conclude(self, connection: Connection, seen: RoomObservation, now: datetime) -> Inspection:
        live = _live_under_name(connection, seen.project, seen.room_name)
        ids = [dispatch.id for dispatch in live]
        callers = waiting_callers(connection, ids)
        settled = _settled_marks(connection, seen, ids)
        findings = compare(live, callers, seen, settled, agents_asked_in_vain(connection, ids))
        inspection = Inspection()
        for finding in findings:
            self._act_upon(finding, callers, seen, inspection, now)
        consequences = inspection.consequences
        move(connection, consequences.moves, now)
        insert_dispatches(connection, consequences.rows)
        append(
            connection,
            [AuditEntry("dispatch", row["id"], None, row["status"], row["reason"], now) for row in consequences.rows],
        )
        return inspection

    def _act_upon(
        self,
        finding: Finding,
        callers: dict[str, set[str]],
        seen: RoomObservation,
        inspection: Inspection,
        now: datetime,
    ) -> None:
        consequences = inspection.consequences
        match finding:
            case RoomGone(dispatch):
                consequences.moves.append(room_over(dispatch, "the room is gone", now))
            case CallersGone(dispatch):
                change, withdrawal = callers_gone(dispatch, now)
                if change is not None:
                    consequences.moves.append(change)
                if withdrawal is not None:
                    consequences.withdrawals.append(withdrawal)
            case Arrived():
                consequences.moves.append(arrived(finding, now))
            case AgentGone(dispatch):
                present = {participant.sid for participant in seen.participants}
                served = callers.get(dispatch.id)
                budget = self._context.settings.recovery_budget
                here = served is None or bool(present.intersection(served))
                change, row = agent_gone(dispatch, "", callers_present=here, budget=budget, now=now)
                consequences.moves.append(change)
                if row is not None:
                    consequences.rows.append(row)
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


def _live_under_name(connection: Connection, project: str, room_name: str) -> list[Dispatch]:
    query = (
        select(dispatches)
        .where(dispatches.c.room_name == room_name, dispatches.c.project == project, dispatches.c.status.in_(LIVE))
        .order_by(dispatches.c.id)
        .with_for_update()
    )
    return [Dispatch.from_row(row) for row in connection.execute(query).mappings()]


def _settled_marks(connection: Connection, seen: RoomObservation, live: Collection[str]) -> set[str]:
    """Return which of the marks seen in the room are of dispatches of ours that want no agent any more."""
    marks = {entry.attributes.get(DISPATCH_ID_ATTRIBUTE) for entry in seen.dispatches or ()} - {None, *live}
    if not marks:
        return set()
    query = select(dispatches.c.id).where(dispatches.c.id.in_(marks), dispatches.c.status.in_(REDRIVABLE))
    return set(connection.execute(query).scalars())


def _write_no_show(connection: Connection, absence: NotYetHere, now: datetime, *, gone: bool) -> list[Move]:
    current = lock(connection, [absence.dispatch.id]).get(absence.dispatch.id)
    if current is None or current.status is not DispatchStatus.DISPATCHED:
        return []  # it came, or its caller left, while we deleted the dispatch
    if not gone:
        again: dict[str, Any] = {
            "lease_owner": None,
            "lease_until": None,
            "answer_deadline": now + timedelta(seconds=2),
        }
        changes = [Move(current, current.status, "the dead dispatch is still listed; trying again", fields=again)]
        move(connection, changes, now)
        return []
    mark_no_show(connection, current.id, current.attempts, absence.job_id)
    changes = [next_after_no_show(current, absence.cause, now)]
    move(connection, changes, now)
    return changes
