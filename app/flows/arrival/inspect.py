"""Compares a room at LiveKit with the dispatches of that room, and acts upon what is there and what is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import datetime, timedelta
from math import inf
from typing import assert_never

from sqlalchemy import Connection

from app.db.types import LIVE, Cause, DispatchStatus
from app.errors import UsherError
from app.flows.arrival.due_checks import has_run_out, next_check, planned_wait
from app.flows.arrival.give_up import give_up_attempt
from app.flows.arrival.retry_spread import RetrySpread
from app.flows.arrival.settle_doubts import end_doubts, lose_agent
from app.flows.context import Context
from app.flows.elapsed_time import MIN_REMAINDER_S, ElapsedTime
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import (
    awaited_from,
    is_hopeless,
    may_repeat,
    not_ours,
    repeat_delay,
)
from app.lifecycle.arrival import seen as agent_seen
from app.lifecycle.departure import unseen_departure
from app.lifecycle.doubt import room_unlisted
from app.lifecycle.leaving import after_callers_gone, room_over, withdrawal_of_stray
from app.lifecycle.next_agent import agent_left
from app.lifecycle.transition import move, replace
from app.logs import get_logger
from app.observe.compare import (
    JOB_LIST_LAG_S,
    AgentGone,
    AgentLost,
    Arrived,
    CallersGone,
    Finding,
    NotOurs,
    NotYetHere,
    RoomGone,
    RoomUnlisted,
    Stray,
    WrittenDown,
    compare,
)
from app.observe.intentions import read_intentions
from app.observe.observation import RoomObservation, observe_room
from app.observe.settled import settled_agents
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import find_overdue, last_left, read_locked
from app.outbox.move import Move
from app.outbox.people import people_around

_log = get_logger(__name__)

_CLAIM_LIMIT = 100
_AGAIN_S = 1.0
"""Delay before an overdue agent is checked again after LiveKit did not answer."""


@dataclass(slots=True)
class Inspection:
    """What a check of one room found. `absent`: dispatches whose agent is certainly not there.

    `is_clear`: every dispatch has its agent, with its job on LiveKit's list, so that another check finds nothing new.
    """

    absent: list[NotYetHere] = field(default_factory=list)
    uncertain: list[NotYetHere] = field(default_factory=list)
    is_clear: bool = True
    settled: frozenset[str] = frozenset()
    """SIDs of agents of no dispatch that is known, or about which the job list will not say more."""


class Inspector:
    """Checks rooms: where an agent is overdue, where a webhook left something unclear, and where the sweep sends it."""

    def __init__(self, context: Context, transactions: Transactions, elapsed_time: ElapsedTime) -> None:
        self._context = context
        self._transactions = transactions
        self._elapsed_time = elapsed_time
        self.retry_spread = RetrySpread()

    async def run_once(self) -> dict[str, int]:
        """Check the rooms of agents past their deadline; give up the attempts whose agent is not there."""
        self._elapsed_time.note_step()
        overdue = await self._transactions.run(self._claim_overdue)
        rooms: dict[tuple[str, str], list[Dispatch]] = {}
        for dispatch in overdue:
            rooms.setdefault((dispatch.project, dispatch.room_name), []).append(dispatch)
        await asyncio.gather(*(self._look_for(project, name, late) for (project, name), late in rooms.items()))
        return {"overdue": len(overdue)}

    async def inspect(self, project: str, room_name: str, *, ask_node: bool = False) -> Inspection:
        """Check one room and write what follows; raises `LiveKitUnavailableError` when LiveKit does not answer.

        `ask_node`: if the room is not listed, ask whether a node serves it all the same.
        """
        client = self._context.clients.get(project)
        if client is None:
            return Inspection()
        now, tick = self._context.clock.now(), self._context.clock.monotonic()
        seen = await observe_room(client, project, room_name, at=now, with_dispatches=True, ask_node=ask_node)
        return await self._transactions.run(lambda connection, after: self._conclude(connection, after, seen, tick))

    async def _look_for(self, project: str, room_name: str, late: list[Dispatch]) -> None:
        """Check the room of overdue agents; those that can be neither found nor given up are checked again soon."""
        try:
            inspection = await self.inspect(project, room_name, ask_node=True)
        except UsherError as error:
            _log.warning("the room of an overdue agent could not be checked", room=room_name, error=str(error))
            await self._put_off(late, 0.0)
            return
        except Exception as error:  # noqa: BLE001 - a defect with one room must not keep the others from being checked
            self._context.defects.note("inspect", error, room=room_name)
            await self._put_off(late, 0.0)
            return
        ids = {dispatch.id for dispatch in late}
        put_off: dict[float, list[Dispatch]] = {}
        for absence in [*inspection.absent, *inspection.uncertain]:
            dispatch = absence.dispatch
            if dispatch.id not in ids:
                continue
            waited = self._waited(dispatch)
            in_all = self._elapsed_time.seconds_since(dispatch.created_at)
            is_lost = absence.is_futile and is_hopeless(dispatch, in_all)
            if absence.certain and (is_lost or has_run_out(dispatch, waited)):
                # Too early, a worker may have it that is not listed yet.
                given_up = changed(absence, is_over=absence.is_over and waited >= JOB_LIST_LAG_S)
                is_repeated = is_lost and may_repeat(dispatch, in_all)
                tick = self._context.clock.monotonic()
                delay_s = self.retry_spread.delay(dispatch.project, dispatch.agent_to_ask, tick)
                delay_s += repeat_delay(in_all) if is_repeated else 0.0
                await give_up_attempt(
                    self._context, self._transactions, given_up, delay_s=delay_s, is_repeated=is_repeated
                )
            else:
                put_off.setdefault(next_check(dispatch, waited), []).append(dispatch)
        for wait, dispatches in put_off.items():
            await self._put_off(dispatches, wait)

    async def _put_off(self, late: list[Dispatch], after_call_s: float) -> None:
        """Check again in a second, and not before so many seconds after the call."""

        def write(connection: Connection, after: AfterCommit) -> None:
            now = self._context.clock.now()
            changes = []
            for dispatch in read_locked(connection, [dispatch.id for dispatch in late]).values():
                if dispatch.status is not DispatchStatus.DISPATCHED or dispatch.lease_owner != self._context.owner:
                    continue
                earliest = (dispatch.dispatched_at or now) + timedelta(seconds=after_call_s)
                due = max(now + timedelta(seconds=_AGAIN_S), earliest)
                fields = {"lease_owner": None, "lease_until": None, "answer_deadline": due}
                reason = "LiveKit's lists do not show yet whether its agent is there"
                changes.append(Move(dispatch, dispatch.status, Cause.AGENT_OVERDUE, reason, fields=fields))
            move(connection, after, changes, now)

        await self._transactions.run(write)

    def _claim_overdue(self, connection: Connection, after: AfterCommit) -> list[Dispatch]:
        """Lease dispatches past their answer deadline; extend those that are overdue only because the clock was set."""
        now = self._context.clock.now()
        lease = {"lease_owner": self._context.owner, "lease_until": now + self._context.lease}
        overdue, moves = [], []
        for one in find_overdue(connection, now, _CLAIM_LIMIT, self._context.clients.keys()):
            waited = self._waited(one)
            if planned_wait(one) - waited >= MIN_REMAINDER_S:
                rest = awaited_from(one, now - timedelta(seconds=waited))
                moves.append(
                    Move(one, one.status, Cause.CLOCK_STEP, "the clock was set; its agent has time left", fields=rest)
                )
            else:
                late = "its agent is overdue" if has_run_out(one, waited) else "its agent has not joined yet"
                moves.append(Move(one, one.status, Cause.AGENT_OVERDUE, f"{late}; checking LiveKit", fields=lease))
                overdue.append(one)
        move(connection, after, moves, now)
        return overdue

    def _waited(self, dispatch: Dispatch) -> float:
        """Return the least number of seconds for which the agent has been awaited."""
        return inf if dispatch.dispatched_at is None else self._elapsed_time.seconds_since(dispatch.dispatched_at)

    def _conclude(self, connection: Connection, after: AfterCommit, seen: RoomObservation, tick: float) -> Inspection:
        """Write what follows from `seen`, whose observation began at `tick` of the monotonic clock."""
        now = self._context.clock.now()
        intended = read_intentions(connection, seen)
        findings = [one for one in compare(intended, seen) if not self._came_during(one, tick)]
        people = people_around(connection, [one.dispatch for one in findings if isinstance(one, AgentGone)])
        present = {one.sid for one in seen.participants}.difference(intended.ghosts).union(intended.newcomers)
        left_at = last_left(connection, [one.dispatch.id for one in findings if isinstance(one, CallersGone)])
        inspection = Inspection()
        moves: list[Move] = []
        replacements: list[Dispatch] = []
        for finding in findings:
            if isinstance(finding, AgentGone):
                departure = unseen_departure(finding.dispatch, now)
                change, replacement = agent_left(
                    connection,
                    after,
                    self._context.settings,
                    finding.dispatch,
                    departure,
                    people=people,
                    now=now,
                    present=present,
                )
                moves.append(change)
                replacements += [replacement] if replacement is not None else []
            elif isinstance(finding, CallersGone):
                dispatch = finding.dispatch
                end, withdrawal = after_callers_gone(dispatch, left_at.get(dispatch.id, now), now)
                after.withdrawals += [withdrawal] if withdrawal is not None else []
                moves += [end] if end is not None else []
            elif isinstance(finding, AgentLost):
                served = intended.callers.get(finding.dispatch.id)
                lost, replacement = lose_agent(
                    connection,
                    after,
                    self._context,
                    finding,
                    has_callers=served is None or bool(present.intersection(served)),
                    ghosts=intended.ghosts,
                    now=now,
                )
                moves.append(lost)
                replacements += [replacement] if replacement is not None else []
            else:
                moves += self._act_upon(finding, after, seen, inspection, now)
        move(connection, after, moves, now)
        results = {dispatch.id: dispatch for dispatch in intended.live} | {one.dispatch.id: one.result for one in moves}
        move(connection, after, end_doubts(connection, results.values(), intended, seen, present=present, now=now), now)
        replace(connection, after, replacements, now)
        inspection.settled = settled_agents(intended, seen, findings)
        inspection.is_clear = not after.withdrawals and all(
            one.status not in LIVE or (one.status is DispatchStatus.JOINED and one.worker_id)
            for one in results.values()
        )
        return inspection

    def _came_during(self, finding: Finding, tick: float) -> bool:
        """Return whether the missing agent may have joined after the observation began, the wall clock being set."""
        if not isinstance(finding, AgentGone) or finding.dispatch.joined_at is None:
            return False
        looked_for = self._context.clock.monotonic() - tick
        return self._elapsed_time.seconds_since(finding.dispatch.joined_at) < looked_for

    def _act_upon(
        self,
        finding: RoomGone | RoomUnlisted | Arrived | NotOurs | WrittenDown | NotYetHere | Stray,
        after: AfterCommit,
        seen: RoomObservation,
        inspection: Inspection,
        now: datetime,
    ) -> list[Move]:
        """Return the moves of one finding; note what to withdraw and which agents are absent."""
        match finding:
            case RoomGone(dispatch):
                return [room_over(dispatch, Cause.ROOM_LOST, "the room is gone", now)]
            case RoomUnlisted(dispatch):
                doubt = room_unlisted(dispatch, now, is_served=seen.is_served)
                return [doubt] if doubt is not None else []
            case Arrived():
                return [agent_seen(finding, now)]
            case NotOurs(dispatch):
                return [not_ours(dispatch, now)]
            case WrittenDown():
                pass  # the delivery that owns the call adopts it
            case NotYetHere(certain=certain):
                (inspection.absent if certain else inspection.uncertain).append(finding)
            case Stray(why=why):
                identities = finding.agent_identities
                _log.warning(
                    "withdrawing an agent that no dispatch needs", room=seen.room_name, agents=identities, why=why
                )
                after.withdrawals.append(withdrawal_of_stray(finding, seen))
            case _:
                assert_never(finding)
        return []
