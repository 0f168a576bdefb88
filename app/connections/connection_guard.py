"""Closes connections whose peers are too slow, and the oldest ones when there are too many or they hold too much."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from app.clock import Clock
from app.connections.connection_limits import Limits
from app.logs import LineSampler, get_logger
from app.metrics import Metrics
from app.token_bucket import TokenBucket

_log = get_logger(__name__)

_TICK_S: Final = 0.5
"""How often deadlines are compared with the time; a timer for each request would cost each webhook its making."""
_TURN_S: Final = 0.01
"""How often turns are given out while connections wait for one."""
_TURNS_PER_SECOND: Final = 250.0
"""Turns of all connections together: at 100 to 400 µs each, by what is read and answered, a tenth of a processor."""
_CLOSED_AT_ONCE: Final = 50
"""One in so many connections is closed when there are too many, so that not every new one searches the oldest."""


class GuardedConnection(Protocol):
    """A connection as the guard sees it."""

    unfinished_bytes: int
    """Held of requests that have not arrived whole; the guard counts them."""
    since: float
    """When the present state began, in monotonic seconds."""

    def overdue(self, now: float, limits: Limits, *, is_stopping: bool) -> str:
        """Return which limit of time the peer has passed; empty if none."""
        ...

    def rank(self) -> int | None:
        """Return how early to close this connection for another's sake, lowest first; None: not at all."""
        ...

    def end(self, reason: str) -> None:
        """Close the connection: with an answer if a request is overdue, or else at once."""
        ...

    def go_on(self) -> None:
        """Read on: it is the connection's turn."""
        ...


class ConnectionGuard:
    """Watches all connections of one server; belongs to the event loop."""

    def __init__(self, limits: Limits, metrics: Metrics, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self._metrics = metrics
        self._sampler = LineSampler()
        self._connections: dict[GuardedConnection, None] = {}  # in the order of their opening
        self._unfinished_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self._turns = TokenBucket(_TURNS_PER_SECOND, _TURNS_PER_SECOND / 4)
        self._waiting: deque[tuple[GuardedConnection, int]] = deque()
        self._turn_timer: asyncio.Handle | None = None

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def unfinished_bytes(self) -> int:
        """How much all connections hold of requests that have not arrived whole."""
        return self._unfinished_bytes

    def start(self) -> None:
        """Compare deadlines with the time until `stop`."""
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def hurry(self) -> None:
        """Give peers that keep the server waiting only `stopping_s` more: the process is stopping."""
        self._is_stopping = True

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def opened(self, connection: GuardedConnection) -> None:
        """Count a new connection; if there are too many, close those that have waited longest for their requests."""
        self._connections[connection] = None
        if len(self._connections) <= self.limits.connections:
            return
        ranked = [(rank, one.since, one) for one in self._connections if (rank := one.rank()) is not None]
        ranked.sort(key=lambda each: each[:2])
        others = [one for _, _, one in ranked if one is not connection]
        for one in others[: max(1, self.limits.connections // _CLOSED_AT_ONCE)] or [connection]:
            self._close(one, "too_many")

    def closed(self, connection: GuardedConnection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        self.hold(connection, 0)

    def hold(self, connection: GuardedConnection, size: int) -> None:
        """Note how much a connection holds now; if all hold too much, close those that have held theirs longest."""
        self._unfinished_bytes += size - connection.unfinished_bytes
        connection.unfinished_bytes = size
        if self._unfinished_bytes <= self.limits.unfinished_bytes:
            return
        for one in sorted((one for one in self._connections if one.unfinished_bytes), key=lambda each: each.since):
            if self._unfinished_bytes <= self.limits.unfinished_bytes:
                return
            self._close(one, "too_much_unfinished")

    def wait_turn(self, connection: GuardedConnection, turns: int) -> None:
        """Call `go_on` of a connection when it is its turn; for peers that send on without waiting for answers.

        What waits is served in order, by so many turns a second in all: what else there is to do goes on beside it.
        """
        self._waiting.append((connection, turns))
        if self._turn_timer is None:
            self._turn_timer = asyncio.get_running_loop().call_soon(self._give_turns)

    def note(self, reason: str) -> None:
        """Count and log that a connection is closed for `reason`."""
        self._metrics.connections_closed.labels(reason).inc()
        left_out = self._sampler.admit(reason, self.clock.monotonic())
        if left_out is not None:
            _log.warning("connection closed", reason=reason, open=len(self._connections), not_logged=left_out)

    def _close(self, connection: GuardedConnection, reason: str) -> None:
        self.note(reason)
        self.hold(connection, 0)
        connection.end(reason)  # `connection_lost` follows

    def _give_turns(self) -> None:
        now = self.clock.monotonic()
        while self._waiting and self._turns.available(now):
            connection, turns = self._waiting.popleft()
            if connection in self._connections:
                self._turns.spend(turns)
                connection.go_on()
        self._turn_timer = asyncio.get_running_loop().call_later(_TURN_S, self._give_turns) if self._waiting else None

    def _tick(self) -> None:
        self.start()
        now = self.clock.monotonic()
        for connection in list(self._connections):
            if reason := connection.overdue(now, self.limits, is_stopping=self._is_stopping):
                self._close(connection, reason)
