"""Gives up dispatches whose callers left while they waited, in a queue too, unless they only reloaded the page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection

from app.db.types import LIVE
from app.errors import UsherError
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import after_reload
from app.lifecycle.presence import RELOAD_S, may_be_reloading
from app.lifecycle.transition import move
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import last_left, read_locked

_log = get_logger(__name__)
_TIMER_SLACK = timedelta(seconds=0.1)


class LeftAlone:
    """Waits `RELOAD_S` in memory; if the process ends before, the next check gives them up.

    That is the one at the answer deadline; of dispatches in a queue the sweep's, or the one before their call.
    """

    def __init__(self, context: Context, transactions: Transactions) -> None:
        self._context = context
        self._transactions = transactions
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, dispatches: Iterable[Dispatch]) -> None:
        """Give these up in a moment unless a caller is back."""
        ids = [dispatch.id for dispatch in dispatches]
        if ids:
            task = asyncio.create_task(self._give_up(ids))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Leave the rest to the checks of the next process."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _give_up(self, ids: list[str]) -> None:
        await asyncio.sleep(RELOAD_S)
        try:
            await self._transactions.run(lambda connection, after: self._write(connection, after, ids))
        except UsherError as error:
            _log.warning("dispatches without callers could not be given up yet", dispatches=ids, error=str(error))
        except Exception as error:  # noqa: BLE001 - a task of its own: nobody else would report it
            self._context.defects.note("left_alone", error)

    def _write(self, connection: Connection, after: AfterCommit, ids: list[str]) -> None:
        now = self._context.clock.now()
        left_at = last_left(connection, ids)
        moves = []
        for dispatch in read_locked(connection, left_at).values():
            # One that has left once more has a wait of its own.
            if dispatch.status not in LIVE or may_be_reloading(left_at[dispatch.id], now + _TIMER_SLACK):
                continue
            change, withdrawal = after_reload(dispatch, left_at[dispatch.id], now)
            moves += [change] if change is not None else []
            after.withdraw(withdrawal)
        move(connection, after, moves, now)
