"""The clock of the database, by which replicas compare leases and deadlines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Engine, text

from app.clock import Clock, SystemClock
from app.db.engine import is_embedded

CLOCK_OFF_S: Final = 5.0
"""A machine whose clock differs by more is reported: more than a minute behind or six ahead, it refuses webhooks, for
their signatures are judged by its own clock."""
DRIFT_S: Final = 0.02
"""Differences up to this much, and up to half of the round trip that showed them, change nothing."""
_CLOCK: Final = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")


class DatabaseClock:
    """Shows the time of a PostgreSQL server, counted on by this machine's monotonic clock from the latest measurement.

    So the clocks of replicas may differ by any amount, and may be set at any time. Where the server's clock is set, or
    another server takes its place, the time shown steps with the next measurement.
    """

    def __init__(self, connection: Connection, machine: Clock | None = None) -> None:
        self._machine = machine or SystemClock()
        samples = [self._sample(connection) for _ in range(3)]
        self._offset, _ = min(samples, key=lambda sample: sample[1])

    def now(self) -> datetime:
        """Return the database's time, in UTC."""
        return datetime.fromtimestamp(self._machine.monotonic() + self._offset, UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set; only differences mean something."""
        return self._machine.monotonic()

    @property
    def machine_ahead_s(self) -> float:
        """By how many seconds this machine's clock is ahead of the database's; negative when it is behind."""
        return (self._machine.now() - self.now()).total_seconds()

    def measure(self, connection: Connection) -> None:
        """Compare with the database, in one round trip; call it every few seconds."""
        offset, error = self._sample(connection)
        if abs(offset - self._offset) > error + DRIFT_S:
            self._offset = offset

    def _sample(self, connection: Connection) -> tuple[float, float]:
        """Return the database's time less the monotonic clock's, and by how much that may be wrong."""
        asked = self._machine.monotonic()
        shown: float = connection.execute(_CLOCK).scalar_one()
        answered = self._machine.monotonic()
        return shown - (asked + answered) / 2, (answered - asked) / 2


def machine_ahead_s(clock: Clock) -> float:
    """Return by how many seconds this machine's clock is ahead of the database's; 0 where they are the same."""
    return clock.machine_ahead_s if isinstance(clock, DatabaseClock) else 0.0


def clock_of(engine: Engine) -> Clock:
    """Return the clock for leases and deadlines: that of the database if several replicas may share it."""
    if is_embedded(engine.url):
        return SystemClock()
    with engine.connect() as connection:
        return DatabaseClock(connection)
