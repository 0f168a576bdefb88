"""What recent events hold, read once and then kept up to date."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from typing import Final

from sqlalchemy import Connection

from app.audit import RecentTraffic, read_recent_traffic
from app.clock import Clock
from app.rules.warnings.unseen import Traffic

READ_ANEW_S: Final = 60.0
"""After this long everything is read anew, so that events older than the window are forgotten."""


class TrafficCache:
    """Reads events that are new since the last time, and all of them every `READ_ANEW_S`. Safe from any thread."""

    def __init__(self, clock: Clock, hidden: Collection[str]) -> None:
        self._clock = clock
        self._hidden = hidden
        self._lock = Lock()
        self._known: RecentTraffic | None = None
        self._read_at = 0.0

    def read(self, connection: Connection) -> Traffic:
        """Return what recent events hold, those of a moment ago included."""
        with self._lock:
            tick = self._clock.monotonic()
            if tick - self._read_at >= READ_ANEW_S:
                self._known, self._read_at = None, tick
            self._known = read_recent_traffic(connection, self._clock.now(), self._hidden, self._known)
            return self._known.traffic
