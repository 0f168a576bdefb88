"""Ends the dispatches of a crowded room that has closed: in small transactions, which others do not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection

from app.db.types import Cause
from app.errors import UsherError
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import room_over
from app.lifecycle.transition import move
from app.logs import get_logger
from app.outbox.dispatch import Session
from app.outbox.dispatch_store import first_in_room
from app.translation import recorded

_log = get_logger(__name__)

ENDED_AT_ONCE = 64
"""Dispatches that one transaction ends: 6 ms. All 5,000 of a room at once took 450 ms."""
_AGAIN_S = 1.0


class RoomCloser:
    """Ends what is live in rooms that LiveKit has closed; after a crash the sweep does, as they are not listed."""

    def __init__(self, context: Context, transactions: Transactions) -> None:
        self._context = context
        self._transactions = transactions
        self._tasks: dict[Session, asyncio.Task[None]] = {}

    def submit(self, sessions: Iterable[Session]) -> None:
        """Begin to end the dispatches of these room sessions."""
        for session in sessions:
            if session not in self._tasks:
                self._tasks[session] = task = asyncio.create_task(self._end(session))
                task.add_done_callback(partial(self._done, session))

    def _done(self, session: Session, _task: asyncio.Task[None]) -> None:
        del self._tasks[session]

    async def drain(self, timeout_s: float) -> None:
        """Wait for the ends under way."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=timeout_s)

    async def _end(self, session: Session) -> None:
        def write(connection: Connection, after: AfterCommit) -> int:
            now = self._context.clock.now()
            found = first_in_room(connection, session, ENDED_AT_ONCE)
            reason = recorded("the room was closed")
            move(connection, after, [room_over(one, Cause.ROOM_CLOSED, reason, now) for one in found], now)
            return len(found)

        ended = ENDED_AT_ONCE
        while ended == ENDED_AT_ONCE:
            try:
                ended = await self._transactions.run(write, project=session[0])
            except UsherError as error:
                _log.warning("dispatches of a closed room could not be ended yet", error=str(error))
                await asyncio.sleep(_AGAIN_S)
            except Exception as error:  # noqa: BLE001 - a task of its own: nobody else would report it
                self._context.defects.note("close_rooms", error, project=session[0])
                return
