"""The limit on starts of this process: calls per second in all. Limits of agents: `app.flows.deliver.placement`."""

from __future__ import annotations

import asyncio
from collections import deque

from app.clock import Clock

SPAN = 1.1
"""A second's calls begin within so many seconds: on a busy machine they reach LiveKit up to so much closer together."""
GATHERED_FOR_S = 0.25
"""Longest wait for starts that may be claimed together."""
_UNLIMITED = 1_000_000


class Window:
    """Counts what happened within the last `seconds`: in no such span does more than `limit` happen.

    A token bucket of a second's tokens would let twice as much happen in the first second after a rest.
    """

    def __init__(self, rate: float) -> None:
        seconds = max(1.0, 1.0 / rate)
        self.limit = max(1, int(rate))
        self.seconds = seconds * SPAN
        self._times: deque[float] = deque()

    def free(self, now: float) -> int:
        """Return how many more may happen at `now` (monotonic seconds)."""
        while self._times and self._times[0] <= now - self.seconds:
            self._times.popleft()
        return max(0, self.limit - len(self._times))

    def note(self, now: float, count: int = 1) -> None:
        """Count what happens at `now`."""
        self._times.extend([now] * count)

    def seconds_until_free(self, now: float, count: int = 1) -> float:
        """Return in how many seconds `count` may happen at once."""
        return 0.0 if self.free(now) >= count else self._times[count - 1 - self.limit] + self.seconds - now


class StartLimiter:
    """Claims no more than may be called for, and lets calls begin no faster than `calls_per_second`; 0 is no limit.

    Both are counted: a claim may be followed by its call at once, or only after a check of the room.
    """

    def __init__(self, calls_per_second: float, clock: Clock) -> None:
        self._clock = clock
        self._claims = Window(calls_per_second) if calls_per_second > 0 else None
        self._calls = Window(calls_per_second) if calls_per_second > 0 else None
        self._apart_s = SPAN / calls_per_second if calls_per_second > 0 else 0.0
        self._next_at = 0.0
        """When the next call may begin if calls are spaced."""
        self._turn = asyncio.Lock()

    @property
    def paced(self) -> bool:
        """Whether calls per second are limited, so that every start must go through a claim."""
        return self._claims is not None

    @property
    def at_once(self) -> int:
        """How many calls a second allows, 1 at least."""
        return _UNLIMITED if self._calls is None else self._calls.limit

    def available(self, now: float) -> int:
        """Return how many starts are allowed at `now` (monotonic seconds)."""
        return _UNLIMITED if self._claims is None else self._claims.free(now)

    def spend(self, starts: int, now: float) -> None:
        """Count starts that are made at `now`."""
        if self._claims is not None:
            self._claims.note(now, starts)

    async def wait_for_some(self) -> None:
        """Return when a tenth of what a second allows may be claimed, after `GATHERED_FOR_S` at the latest.

        Claimed one by one as they become free, starts would cost a transaction each; in rounds of the delivery loop,
        a fifth of what the limit allows would not be used.
        """
        if self._claims is not None:
            rest = self._claims.seconds_until_free(self._clock.monotonic(), max(1, self._claims.limit // 10))
            await asyncio.sleep(min(rest, GATHERED_FOR_S))

    async def wait_for_call(self) -> None:
        """Return when one more call may begin; those who wait take turns in their order.

        Half of what a second allows may begin at once; then calls are spaced evenly. If a hundred began at once each
        second, the last of them could reach LiveKit together with the first of the next second.
        """
        if self._calls is None:
            return
        async with self._turn:
            while (rest := self._seconds_until_call(self._calls, self._clock.monotonic())) > 0:  # noqa: ASYNC110 - time alone frees it
                await asyncio.sleep(rest)
            now = self._clock.monotonic()
            self._calls.note(now)
            self._next_at = max(self._next_at, now - self._apart_s) + self._apart_s  # makes up for one late call

    def _seconds_until_call(self, calls: Window, now: float) -> float:
        rest = calls.seconds_until_free(now)
        return max(rest, self._next_at - now) if calls.free(now) <= calls.limit // 2 else rest
