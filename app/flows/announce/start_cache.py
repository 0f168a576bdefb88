"""Start counts that are kept for a while: the announcer needs them twice a second, and counting can take 0.1 s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.audit import QueueKey, count_starts
from app.clock import Clock

_PAUSE_PER_COUNT: Final = 20.0
"""Counts are kept at least so many times what it took to count: that takes up to a twentieth of a processor."""


class StartCache:
    """Counts the starts of the last hour of agents with queues."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts = Counter[QueueKey]()
        self._agents: frozenset[str] = frozenset()
        self._kept_until = 0.0

    def count(self, connection: Connection, agent_names: Collection[str], now: datetime) -> Counter[QueueKey]:
        """Return the same as `count_starts`, as it was up to some seconds ago."""
        asked, tick = frozenset(agent_names), self._clock.monotonic()
        if tick >= self._kept_until or not asked <= self._agents:
            self._counts, self._agents = count_starts(connection, asked, now), asked
            counted = self._clock.monotonic()
            self._kept_until = counted + _PAUSE_PER_COUNT * (counted - tick)
        return self._counts
