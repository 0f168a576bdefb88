"""Statistics cached for some seconds: reading them takes thousands of rows, and several pages show them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from app.audit import DispatchStatistics, dispatch_statistics
from app.clock import Clock
from app.errors import DatabaseUnavailableError

FRESH_S: Final = 10.0  # younger figures are returned as they are
STALE_S: Final = 120.0  # older figures are not returned at all
_MAX_ENTRIES: Final = 200

Read = Callable[[Callable[[Connection], DispatchStatistics]], Awaitable[DispatchStatistics]]
_Key = tuple[float, str | None, str | None, int | None, frozenset[str] | None]


@dataclass(slots=True)
class _Entry:
    at: float
    task: asyncio.Task[DispatchStatistics]
    latest: DispatchStatistics | None = None


class StatisticsCache:
    """Returns cached figures; between FRESH_S and STALE_S they are returned and read again in the background."""

    def __init__(self, clock: Clock, read: Read) -> None:
        self._clock = clock
        self._read = read
        self._entries: dict[_Key, _Entry] = {}

    async def get(
        self,
        hours: float,
        *,
        agent: str | None = None,
        rule: str | None = None,
        rule_id: int | None = None,
        projects: frozenset[str] | None = None,
    ) -> DispatchStatistics:
        """Return the figures of the last `hours`, at most STALE_S old; see `dispatch_statistics` for the rest."""
        key = (hours, agent, rule, rule_id, projects)
        entry, now = self._entries.get(key), self._clock.monotonic()
        if entry is not None and now - entry.at >= FRESH_S and entry.task.done():
            entry = self._begin(key, entry.latest if now - entry.at < STALE_S else None)
        if entry is None:
            entry = self._begin(key, None)
        if not entry.task.done() and entry.latest is not None:
            return entry.latest
        try:
            entry.latest = await asyncio.shield(entry.task)
        except DatabaseUnavailableError:
            self._entries.pop(key, None)
            raise
        return entry.latest

    def _begin(self, key: _Key, latest: DispatchStatistics | None) -> _Entry:
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.pop(next(iter(self._entries)))
        hours, agent, rule, rule_id, projects = key
        now = self._clock.now()
        since = now - timedelta(hours=hours)
        load = partial(
            dispatch_statistics, since=since, as_of=now, agent=agent, rule=rule, rule_id=rule_id, projects=projects
        )
        task = asyncio.create_task(_call(self._read, load))
        entry = _Entry(self._clock.monotonic(), task, latest)
        self._entries.pop(key, None)
        self._entries[key] = entry
        return entry


async def _call(read: Read, load: Callable[[Connection], DispatchStatistics]) -> DispatchStatistics:
    return await read(load)
