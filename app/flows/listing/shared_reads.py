"""Reads that many ask for at the same time, made once for all of them: lists of a room with thousands of people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.clock import Clock

PAUSE_PER_READ = 2.0
"""After a read of a key the next one waits this many times as long as it took, so that it takes a third of a core at
most: a list of 10,000 participants takes 0.1 s of the event loop. One of a small room is not noticed."""

T = TypeVar("T")


@dataclass(slots=True)
class _Latest:
    began: float
    ended: float = float("inf")


class SharedReads(Generic[T]):
    """Makes one read per key at a time; all who asked before it began get its result, or its error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[Hashable, asyncio.Task[T]] = {}
        self._latest: dict[Hashable, _Latest] = {}
        self._ended: dict[Hashable, asyncio.Event] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a read of `key` that begins after this call."""
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._read(key, read))
        return await asyncio.shield(self._next[key])

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        if (ended := self._ended.get(key)) is not None:
            await ended.wait()
        if (latest := self._latest.get(key)) is not None:
            due = latest.ended + PAUSE_PER_READ * (latest.ended - latest.began)
            await asyncio.sleep(max(0.0, due - self._clock.monotonic()))
        del self._next[key]  # from here on another read is needed
        latest = self._latest[key] = _Latest(self._clock.monotonic())
        ended = self._ended[key] = asyncio.Event()
        try:
            return await read()
        finally:
            latest.ended = self._clock.monotonic()
            ended.set()
            took = latest.ended - latest.began
            asyncio.get_running_loop().call_later(PAUSE_PER_READ * took, self._forget, key, latest)

    def _forget(self, key: Hashable, latest: _Latest) -> None:
        if self._latest.get(key) is latest:
            del self._latest[key], self._ended[key]
