"""Limits the calls to one LiveKit that are under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.fair_queue import FairQueue


class CallSlots:
    """Lends slots to each room in turn, retries before first calls: a stream of new calls must not starve them.

    In the order of requests, callers of all rooms would wait behind thousands of one.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._again = FairQueue()
        self._newcomers = FairQueue()

    @asynccontextmanager
    async def slot(self, room: str, *, again: bool) -> AsyncIterator[None]:
        """Hold a slot while the context lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._wait((self._again if again else self._newcomers).enter(room))
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it had been lent already
            raise

    def _pass_on(self) -> None:
        if not (self._again.grant() or self._newcomers.grant()):
            self._free += 1
