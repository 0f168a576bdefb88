"""Figures cached for some seconds: reading them takes thousands of rows, and several pages show them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from app.clock import Clock
from app.errors import DatabaseUnavailableError

T = TypeVar("T")

FRESH_S: Final = 10.0  # younger figures are returned as they are
STALE_S: Final = 120.0  # older figures are not returned at all
_MAX_ENTRIES: Final = 200

Read = Callable[[Callable[[Connection], T]], Awaitable[T]]


@dataclass(slots=True)
class _Entry(Generic[T]):
    at: float
    """When `task`, the last read, began."""
    task: asyncio.Task[T]
    latest: T | None = None
    """What the last read that has succeeded gave, which began at `latest_at`."""
    latest_at: float = 0.0

    def take_result(self) -> None:
        """Take over what the last read gave, which nobody may have awaited."""
        if self.task.done() and not self.task.cancelled() and self.task.exception() is None:
            self.latest, self.latest_at = self.task.result(), self.at


class FiguresCache(Generic[T]):
    """Returns cached figures; between FRESH_S and STALE_S they are returned and read again in the background."""

    def __init__(self, clock: Clock, read: Read[T]) -> None:
        self._clock = clock
        self._read = read
        self._entries: dict[Hashable, _Entry[T]] = {}

    async def get(self, key: Hashable, load: Callable[[Connection, datetime], T]) -> T:
        """Return the figures of `key`, at most STALE_S old; `load` reads them, given the present instant."""
        entry, now = self._entries.get(key), self._clock.monotonic()
        if entry is not None:
            entry.take_result()
        if entry is None or (entry.task.done() and now - entry.at >= FRESH_S):
            entry = self._begin(key, load, entry)
        if not entry.task.done() and entry.latest is not None and now - entry.latest_at < STALE_S:
            return entry.latest
        try:
            found = await asyncio.shield(entry.task)
        except DatabaseUnavailableError:
            self._entries.pop(key, None)
            raise
        return found

    def _begin(self, key: Hashable, load: Callable[[Connection, datetime], T], before: _Entry[T] | None) -> _Entry[T]:
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.pop(next(iter(self._entries)))
        task = asyncio.create_task(self._call(partial(_at, load, self._clock.now())))
        entry = _Entry(self._clock.monotonic(), task)
        if before is not None:
            entry.latest, entry.latest_at = before.latest, before.latest_at
        self._entries.pop(key, None)
        self._entries[key] = entry
        return entry

    async def _call(self, load: Callable[[Connection], T]) -> T:
        return await self._read(load)


def _at(load: Callable[[Connection, datetime], T], now: datetime, connection: Connection) -> T:
    return load(connection, now)
