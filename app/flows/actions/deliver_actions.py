"""Carries out actions on callers with no transaction open during a call; after a crash any replica goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, select

from app.clock import jitter
from app.db.columns.action_types import CallerActionKind
from app.db.tables import dispatch_callers, dispatches
from app.db.types import LIVE
from app.errors import DatabaseUnavailableError, WriteRefusedError
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.action_transition import move_actions
from app.lifecycle.callers.caller_actions import (
    ActionMove,
    after_absence,
    after_call,
    called_off,
    claimed,
    given_back,
    is_held_action,
    postponed,
    presence_of,
    seconds_for_call,
)
from app.lifecycle.retry import delay_of_check
from app.livekit.client import LiveKitClient, SeenParticipant, TransferRequest
from app.livekit.outcome import ActionOutcome, LiveKitUnavailableError
from app.logs import get_logger
from app.outbox.caller_action import CallerAction
from app.outbox.caller_action_store import find_due_actions, read_actions_locked

_log = get_logger(__name__)

AT_ONCE: Final = 64
"""Actions under way in one process; a transfer takes as long as a phone rings."""
STORE_AGAIN_S: Final = 0.5
"""Delay before the outcome of a call is stored again while the database does not answer."""


class ActionDeliverer:
    """Asks LiveKit to remove or to transfer callers."""

    def __init__(self, context: Context, transactions: Transactions) -> None:
        self._context = context
        self._transactions = transactions
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def run_once(self) -> Mapping[str, int]:
        """Claim what is due and begin with it; return how many actions that were."""
        free = AT_ONCE - len(self._in_hand)
        if self._stopping or free <= 0:
            return {}
        due = await self._transactions.run(partial(self._claim, limit=free))
        for action in due:
            task = asyncio.create_task(self._deliver(action))
            self._in_hand[action.id] = task
            task.add_done_callback(partial(self._end, action))
        return {"claimed": len(due)}

    def stop(self) -> None:
        """Begin no more calls."""
        self._stopping = True

    async def drain(self, timeout_s: float) -> None:
        """Begin no more calls and wait for those under way; what takes longer is taken up when its lease ends."""
        self.stop()
        if self._in_hand:
            await asyncio.wait(self._in_hand.values(), timeout=timeout_s)

    def _end(self, action: CallerAction, task: asyncio.Task[None]) -> None:
        if self._in_hand.get(action.id) is task:
            del self._in_hand[action.id]

    def _claim(self, connection: Connection, after: AfterCommit, limit: int) -> list[CallerAction]:
        now = self._context.clock.now()
        due = find_due_actions(
            connection, now, limit, projects=list(self._context.clients), in_hand=tuple(self._in_hand)
        )
        served = _served_again(connection, due)
        moves = [
            called_off(one, now) if one.id in served else claimed(one, self._context.owner, now, self._lease(one.kind))
            for one in due
        ]
        move_actions(connection, after, moves, now)
        return [one.result for one in moves if one.result.is_live]

    def _lease(self, kind: CallerActionKind) -> timedelta:
        # Time to ask who is there, for the call, and to store how it went.
        request = self._context.settings.request_timeout
        return timedelta(seconds=seconds_for_call(kind, request)) + self._context.lease

    async def _deliver(self, action: CallerAction) -> None:
        try:
            await self._store(await self._carry_out(action, self._context.clients[action.project]))
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            # The lease runs out, and the next claim finds out first: nothing is lost, nothing is repeated.
            _log.warning("an action on a caller could not be stored yet", action_id=action.id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a defect with one caller must not keep the others waiting
            self._context.defects.note("caller action", error, action_id=action.id)

    async def _carry_out(self, action: CallerAction, client: LiveKitClient) -> ActionMove:
        """Return what follows for a claimed action; no call is made if its lease has too little time left for one."""
        clock, request_timeout = self._context.clock, self._context.settings.request_timeout
        try:
            seen = presence_of(action, await client.list_participants(action.room_name))
        except LiveKitUnavailableError as error:
            now = clock.now()
            waited = max(0.0, (now - action.created_at).total_seconds())
            delay = delay_of_check(waited, jitter(), is_down=client.is_down)
            return postponed(action, str(error), now + timedelta(seconds=delay))
        started_at = clock.now()
        if seen is None:
            return after_absence(action, started_at)
        timeout_s = seconds_for_call(action.kind, request_timeout)
        if self._stopping or action.lease_until is None or _past(started_at, timeout_s, action.lease_until):
            return given_back(action, started_at)
        outcome = await _call(client, action, seen)
        return after_call(
            action,
            outcome,
            seen,
            started_at=started_at,
            now=clock.now(),
            timeout_s=timeout_s,
            jitter=jitter(),
            is_down=client.is_down,
        )

    async def _store(self, change: ActionMove) -> None:
        """Write how a call turned out; retried while the database does not answer and the lease is ours."""

        def write(connection: Connection, after: AfterCommit) -> None:
            current = read_actions_locked(connection, [change.action.id]).get(change.action.id)
            if current is not None and is_held_action(current, change.action):
                move_actions(connection, after, [change], self._context.clock.now())

        while True:
            try:
                return await self._transactions.run(write, project=change.action.project)
            except DatabaseUnavailableError:
                until = change.action.lease_until
                if self._stopping or until is None or self._context.clock.now() >= until:
                    raise
                await asyncio.sleep(STORE_AGAIN_S)


def _past(started_at: datetime, timeout_s: float, until: datetime) -> bool:
    """Return whether a call could still be under way when another replica takes the action over."""
    return started_at + timedelta(seconds=timeout_s) > until


async def _call(client: LiveKitClient, action: CallerAction, seen: SeenParticipant) -> ActionOutcome:
    if action.kind is CallerActionKind.REMOVE:
        return await client.remove_once(action.room_name, seen.identity)
    return await client.transfer_once(TransferRequest(action.room_name, seen.identity, action.transfer_to or ""))


def _served_again(connection: Connection, due: list[CallerAction]) -> set[str]:
    """Return the ids of actions that follow a no-show, and whose caller another dispatch serves since."""
    by_sid = {(one.project, one.participant_sid): one.id for one in due if one.dispatch_id is not None}
    if not by_sid:
        return set()
    query = (
        select(dispatches.c.project, dispatch_callers.c.participant_sid)
        .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
        .where(
            dispatch_callers.c.participant_sid.in_({sid for _, sid in by_sid}),
            dispatches.c.status.in_(LIVE),
        )
    )
    return {by_sid[key] for row in connection.execute(query) if (key := (row[0], row[1])) in by_sid}
