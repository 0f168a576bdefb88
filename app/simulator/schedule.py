"""When things happen: on the event loop's clock, or by hand in tests that must not wait."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from app.clock import Clock, SystemClock


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None: ...


class Schedule(Protocol):
    """The time of the simulated server, and what is to happen later in it."""

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def call_later(self, delay: float, action: Callable[[], None]) -> Timer:
        """Run `action` after `delay` seconds, on the event loop."""
        ...

    async def sleep(self, delay: float) -> None:
        """Return after `delay` seconds."""
        ...


class LoopSchedule:
    """Real time, kept by the running event loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def call_later(self, delay: float, action: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay, action)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay)


class _ManualTimer:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class ManualSchedule:
    """Time that stands still until `advance`; what is due then happens in order, without any waiting."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, _ManualTimer]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def call_later(self, delay: float, action: Callable[[], None]) -> Timer:
        timer = _ManualTimer(action)
        heapq.heappush(self._due, (self._elapsed + max(delay, 0.0), next(self._order), timer))
        return timer

    async def sleep(self, delay: float) -> None:
        woken = asyncio.Event()
        self.call_later(delay, woken.set)
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Move the time forward, running what is due meanwhile."""
        until = self._elapsed + seconds
        # The sum of floats must not leave a timer of "exactly now" behind.
        while self._due and self._due[0][0] <= until + 1e-9:
            at, _, timer = heapq.heappop(self._due)
            self._elapsed = max(self._elapsed, at)
            if timer.action is not None:
                timer.action()
        self._elapsed = until
