"""A queue in which keys take turns: one with many entries holds up the others by one entry each."""

from __future__ import annotations

import asyncio
from collections import deque


class FairQueue:
    """Futures that wait, each under a key; `grant` ends the wait of one of each key, then of the next of each."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By key, in the order of their turns."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def enter(self, key: str) -> asyncio.Future[None]:
        """Return a future that is done when it is its turn; one that is cancelled is passed over."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        return turn

    def grant(self) -> bool:
        """Give the next one its turn; return False if none waits."""
        while self._waiting:
            key = next(iter(self._waiting))
            turns = self._waiting.pop(key)
            turn = turns.popleft()
            if turns:
                self._waiting[key] = turns  # behind all others
            if not turn.done():
                turn.set_result(None)
                return True
        return False
