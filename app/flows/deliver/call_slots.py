"""Limits the calls to one LiveKit that are under way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CallSlots:
    """Lends slots in order of request, retries before first calls: a stream of new calls must not starve them."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._again: deque[asyncio.Future[None]] = deque()
        self._newcomers: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def slot(self, *, again: bool) -> AsyncIterator[None]:
        """Hold a slot while the context lasts."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(self._again if again else self._newcomers)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it had been lent already
            raise

    def _pass_on(self) -> None:
        for queue in (self._again, self._newcomers):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1
