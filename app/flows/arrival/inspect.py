"""Compares a room at LiveKit with the dispatches of that room, and acts upon what is there and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import replace as changed
from datetime import timedelta
from functools import partial
from math import inf
from typing import Any

from sqlalchemy import Connection

from app.db.types import Cause, DispatchStatus
from app.errors import DatabaseUnavailableError, UsherError, WriteRefusedError
from app.flows.arrival.conclude import Inspection, conclude
from app.flows.arrival.due_checks import has_run_out, next_check, planned_wait
from app.flows.arrival.give_up import give_up_attempt
from app.flows.arrival.retry_spread import RetrySpread
from app.flows.context import Context
from app.flows.elapsed_time import MIN_REMAINDER_S, ElapsedTime
from app.flows.room_comparison import compare_room
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import awaited_from, is_hopeless, may_repeat, repeat_delay
from app.lifecycle.transition import move
from app.logs import get_logger
from app.observe.compare import JOB_LIST_LAG_S
from app.observe.observation import observe_room
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import find_overdue, read_locked
from app.outbox.move import Move
from app.translation import recorded

_log = get_logger(__name__)

_CLAIM_LIMIT = 100
"""Overdue dispatches of one project that are claimed at once."""
_MOST_WAIT_S = 1.0
"""How long the checks of all projects are waited for before the next claim, for those that are done."""
_AGAIN_S = 1.0
"""Delay before an overdue agent is checked again after LiveKit did not answer."""


class Inspector:
    """Checks rooms: where an agent is overdue, where a webhook left something unclear, and where the sweep sends it."""

    def __init__(self, context: Context, transactions: Transactions, elapsed_time: ElapsedTime) -> None:
        self._context = context
        self._transactions = transactions
        self._elapsed_time = elapsed_time
        self.retry_spread = RetrySpread()
        self._checking: dict[str, asyncio.Task[None]] = {}

    async def run_once(self) -> dict[str, int]:
        """Check the rooms of agents past their deadline; give up the attempts whose agent is not there."""
        self._elapsed_time.note_step()
        idle = [project for project in self._context.clients if project not in self._checking]
        if not idle:
            return {"overdue": 0}
        overdue = await self._transactions.run(partial(self._claim_overdue, projects=idle))
        rooms: dict[tuple[str, str], list[Dispatch]] = {}
        for dispatch in overdue:
            rooms.setdefault((dispatch.project, dispatch.room_name), []).append(dispatch)
        for project in {project for project, _ in rooms}:
            checks = [self._look_for(*room, late) for room, late in rooms.items() if room[0] == project]
            self._checking[project] = task = asyncio.create_task(_all(checks))
            task.add_done_callback(partial(self._done, project))
        # A project whose LiveKit does not answer is left to its task: the others go on.
        if self._checking:
            await asyncio.wait(self._checking.values(), timeout=_MOST_WAIT_S)
        return {"overdue": len(overdue)}

    def _done(self, project: str, _task: asyncio.Task[None]) -> None:
        del self._checking[project]

    async def drain(self, timeout_s: float) -> None:
        """Wait for the checks under way."""
        if self._checking:
            await asyncio.wait(self._checking.values(), timeout=timeout_s)

    async def inspect(self, project: str, room_name: str, *, ask_node: bool = False) -> Inspection:
        """Check one room and write what follows; raises `LiveKitUnavailableError` when LiveKit does not answer.

        `ask_node`: if the room is not listed, ask whether a node serves it all the same.
        """
        client = self._context.clients.get(project)
        if client is None:
            return Inspection()
        now, tick = self._context.clock.now(), self._context.clock.monotonic()
        seen = await observe_room(client, project, room_name, at=now, with_dispatches=True, ask_node=ask_node)
        comparison = await compare_room(self._context, seen)
        looked_for = self._context.clock.monotonic() - tick
        return await conclude(self._context, self._transactions, self._elapsed_time, comparison, looked_for)

    async def _look_for(self, project: str, room_name: str, late: list[Dispatch]) -> None:
        """Check the room of overdue agents; what cannot be written of them is found out again after their lease."""
        try:
            await self._check(project, room_name, late)
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            _log.warning("the check of an overdue agent could not be written", room=room_name, error=str(error))
        except Exception as error:  # noqa: BLE001 - a defect with one room must not keep the others from being checked
            self._context.defects.note("inspect", error, room=room_name)

    async def _check(self, project: str, room_name: str, late: list[Dispatch]) -> None:
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
        given_up: list[Coroutine[Any, Any, None]] = []
        for absence in [*inspection.absent, *inspection.uncertain]:
            dispatch = absence.dispatch
            if dispatch.id not in ids:
                continue
            waited = self._waited(dispatch)
            in_all = self._elapsed_time.seconds_since(dispatch.created_at)
            is_lost = absence.is_futile and is_hopeless(dispatch, in_all)
            if absence.certain and (is_lost or has_run_out(dispatch, waited)):
                # Too early, a worker may have it that is not listed yet.
                over = changed(absence, is_over=absence.is_over and waited >= JOB_LIST_LAG_S)
                is_repeated = is_lost and may_repeat(dispatch, in_all)
                tick = self._context.clock.monotonic()
                delay_s = self.retry_spread.delay(dispatch.project, dispatch.agent_to_ask, tick)
                delay_s += repeat_delay(in_all) if is_repeated else 0.0
                given_up.append(
                    give_up_attempt(self._context, self._transactions, over, delay_s=delay_s, is_repeated=is_repeated)
                )
            else:
                put_off.setdefault(next_check(dispatch, waited), []).append(dispatch)
        await asyncio.gather(*given_up)  # they share the lists of the room
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
                reason = recorded("LiveKit's lists do not show yet whether its agent is there")
                changes.append(Move(dispatch, dispatch.status, Cause.AGENT_OVERDUE, reason, fields=fields))
            move(connection, after, changes, now)

        await self._transactions.run(write)

    def _claim_overdue(self, connection: Connection, after: AfterCommit, *, projects: Sequence[str]) -> list[Dispatch]:
        """Lease dispatches past their answer deadline; extend those that are overdue only because the clock was set."""
        now = self._context.clock.now()
        lease = {"lease_owner": self._context.owner, "lease_until": now + self._context.lease}
        overdue, moves = [], []
        found = find_overdue(connection, now, _CLAIM_LIMIT, projects)
        if len(found) == _CLAIM_LIMIT and len(projects) > 1:  # one project must not take the places of all
            each = max(1, _CLAIM_LIMIT // len(projects))
            found = [one for project in projects for one in find_overdue(connection, now, each, [project])]
        for one in found:
            waited = self._waited(one)
            if planned_wait(one) - waited >= MIN_REMAINDER_S:
                rest = awaited_from(one, now - timedelta(seconds=waited))
                moves.append(
                    Move(
                        one,
                        one.status,
                        Cause.CLOCK_STEP,
                        recorded("the clock was set; its agent has time left"),
                        fields=rest,
                    )
                )
            else:
                late = recorded("its agent has not joined yet; checking LiveKit")
                if has_run_out(one, waited):
                    late = recorded("its agent is overdue; checking LiveKit")
                moves.append(Move(one, one.status, Cause.AGENT_OVERDUE, late, fields=lease))
                overdue.append(one)
        move(connection, after, moves, now)
        return overdue

    def _waited(self, dispatch: Dispatch) -> float:
        """Return the least number of seconds for which the agent has been awaited."""
        return inf if dispatch.dispatched_at is None else self._elapsed_time.seconds_since(dispatch.dispatched_at)


async def _all(checks: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*checks)
