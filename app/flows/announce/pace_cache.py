"""The pace of queues, kept for a while: the announcer needs it twice a second, and reading it can take 0.1 s."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from app.audit import QueuePace, read_pace
from app.clock import Clock

_PAUSE_PER_READ: Final = 20.0
"""A pace is kept at least so many times what it took to read: that takes up to a twentieth of a processor."""


class PaceCache:
    """Reads the pace of the queues of agents."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pace: QueuePace | None = None
        self._agents: frozenset[str] = frozenset()
        self._kept_until = 0.0

    def read(self, connection: Connection, agent_names: Collection[str], now: datetime) -> QueuePace:
        """Return the same as `read_pace`, as it was up to some seconds ago."""
        asked, tick = frozenset(agent_names), self._clock.monotonic()
        if self._pace is None or tick >= self._kept_until or not asked <= self._agents:
            self._pace, self._agents = read_pace(connection, asked, now), asked
            finished = self._clock.monotonic()
            self._kept_until = finished + _PAUSE_PER_READ * (finished - tick)
        return self._pace
