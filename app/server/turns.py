"""Lets LiveKit's webhooks go first: while there are any, other requests begin in half of the event loop's time.

A webhook takes some steps of the event loop and a transaction of the writer's thread, which waits for the interpreter's
lock in between. Where 500 peers log in as fast as they can, or the machine is busy, each step would take as long as
all their requests together: webhooks would be answered after seconds, or 503.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Final

from starlette.types import Scope

from app.clock import Clock

_AT_ONCE: Final = 2
"""Requests of a lane that begin in one round: at a millisecond each, they hold up a webhook by as much."""
_SHORT_BYTES: Final = 16 * 1024
"""Requests with longer bodies are refused while many wait. A form before the login has at most so many bytes."""
MAX_WAITING: Final = 256
"""Requests that wait in a lane, before those with long bodies are refused: each holds up to 300 kB of its body."""


class Lane(IntEnum):
    """Requests that wait for each other: those of orchestrators are answered beside a flood of others."""

    HEALTH = 0
    OTHER = 1


class Turns:
    """Gives turns in rounds. While a webhook is being accepted, each is followed by a rest for as long as it took.

    What ran in between counts, so this adapts to the machine: the longer a pass of the event loop takes, the fewer
    turns there are. A request that comes alone begins at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._waiting: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Lane)
        self._is_busy = False
        self._began = 0.0
        self._webhooks = 0

    @contextmanager
    def webhook(self) -> Iterator[None]:
        """Give the loop to a verified webhook for half of the time until the block ends."""
        self._webhooks += 1
        try:
            yield
        finally:
            self._webhooks -= 1

    async def take(self, lane: Lane = Lane.OTHER) -> None:
        """Return when it is the request's turn."""
        if not self._is_busy:
            self._begin_round()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            with suppress(ValueError):  # a round has just passed over it
                self._waiting[lane].remove(turn)
            raise

    def is_full(self, lane: Lane) -> bool:
        """Return whether so many requests wait that one more with a long body should be refused."""
        return len(self._waiting[lane]) >= MAX_WAITING

    def _begin_round(self) -> None:
        self._is_busy, self._began = True, self._now()
        asyncio.get_running_loop().call_soon(self._end_round)  # behind the requests that begin now

    def _end_round(self) -> None:
        rest = self._now() - self._began if self._webhooks else 0.0
        asyncio.get_running_loop().call_later(rest, self._next_round)

    def _next_round(self) -> None:
        self._is_busy = False
        for lane in self._waiting:
            for _ in range(min(_AT_ONCE, len(lane))):
                self._is_busy = True
                turn = lane.popleft()
                if not turn.done():
                    turn.set_result(None)
        if self._is_busy:
            self._begin_round()


def may_be_long(scope: Scope) -> bool:
    """Return whether the body of a request may exceed `_SHORT_BYTES`."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > _SHORT_BYTES
