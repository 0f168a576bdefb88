"""The only place that commits.

What waits when the last transaction is over shares the next one, and its flush of the disk: thousands of webhooks a
second instead of hundreds.

On SQLite the statements of brief units run on the event loop itself, and only what waits for the disk or for a lock
goes to the thread: two threads that both want the interpreter hand it over at every statement. With 32 webhooks under
way each took 430 µs of processor time with all statements in the thread, and 380 µs so (medians, two cores). On
PostgreSQL every statement waits for the network, and all run in the thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from app.clock import Clock, SystemClock
from app.db.engine import is_embedded
from app.db.transaction import Transaction, Unit
from app.errors import DatabaseUnavailableError

T = TypeVar("T")
ItemT = TypeVar("ItemT")

BATCH_LIMIT = 128
QUEUE_LIMIT = 10_000
BURST = 8
"""So many units at once wait for the disk together: what is done before they are told keeps all of them waiting."""
PATIENCE_S = 0.05
"""How long a unit that nobody waits for waits for others of its kind, to share a transaction with them."""
REST_S = 0.005
"""How long it waits at least after what somebody waited for: they go on now, and it would be in their way."""
STARVED_S = 0.25
"""How long it waits while there is always something that somebody waits for; then it shares their transaction."""


class Writer:
    """Does all writing: `await run(unit)` returns after the unit's transaction is committed, and on the disk.

    If a unit raises, its transaction is rolled back and the units are done again one by one, so a bad one fails alone:
    units must therefore have no effect but on the connection they get. A database that cannot take the write raises
    `DatabaseUnavailableError` to every caller of the batch. A writer belongs to one event loop.

    `executor` runs what may block, one transaction at a time; the default is a thread of the writer's own.
    """

    def __init__(self, engine: Engine, *, clock: Clock | None = None, executor: Executor | None = None) -> None:
        self.is_on_loop = False
        """Whether the unit that runs now keeps the event loop waiting."""
        self._engine = engine
        self._clock = clock or SystemClock()
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="usher-writer")
        self._does_brief_units_here = is_embedded(engine.url)
        self._waiting: deque[Unit] = deque()
        self._patient: deque[Unit] = deque()
        self._is_busy = False
        self._is_called = False
        self._alarm: asyncio.TimerHandle | None = None
        self._rested = 0.0
        self._closing: asyncio.Event | None = None

    @property
    def backlog(self) -> int:
        """How many units wait for their transaction."""
        return len(self._waiting) + len(self._patient)

    async def run(self, unit: Callable[[Connection], T]) -> T:
        """Run `unit` in a transaction and return its result once that is committed."""
        result: T = await self._add(_run_each, unit, self._waiting, is_brief=False)
        return result

    async def run_batched(
        self,
        handler: Callable[[Connection, Sequence[ItemT]], Sequence[T]],
        item: ItemT,
        *,
        patient: bool = False,
        committed: Callable[[T], None] | None = None,
    ) -> T:
        """Give `item` to `handler` together with the other items waiting for the same handler.

        `handler(connection, items)` returns one result per item, in order. For flows whose statements cost less for
        many than one by one, and are brief: a millisecond for an item would be long. A handler that finds more to do
        raises `LongUnitError` where `is_on_loop`, and is called again where it is not. What is `patient` is done after
        what is not, when nothing else waits: it keeps nobody waiting, and a burst of it shares a transaction.
        `committed` is told the result once it outlives this process: before it is on the disk, but in a burst.
        """
        queue = self._patient if patient else self._waiting
        result: T = await self._add(handler, item, queue, is_brief=True, committed=committed)
        return result

    async def close(self) -> None:
        """Finish what waits, then stop the executor."""
        if self._closing is None:
            self._closing = asyncio.Event()
        self._go_on()
        await self._closing.wait()
        self._executor.shutdown()
        self._engine.dispose()

    async def _add(self, handler: Any, item: Any, queue: deque[Unit], *, is_brief: bool, committed: Any = None) -> Any:
        if self._closing is not None:
            raise DatabaseUnavailableError("the writer is shutting down")
        if self.backlog >= QUEUE_LIMIT:
            raise DatabaseUnavailableError(f"{QUEUE_LIMIT} writes are already waiting for the database")
        future = asyncio.get_running_loop().create_future()
        unit = Unit(handler, item, is_brief, future, self._clock.monotonic(), committed)
        queue.append(unit)
        self._go_on()
        return await unit.future

    def _go_on(self) -> None:
        """See that the next transaction begins: in this turn of the loop, or when those with patience have lost it."""
        if self._is_busy or self._is_called:
            return
        loop = asyncio.get_running_loop()
        if self._waiting or (self._patient and self._closing is not None):
            self._is_called = True
            loop.call_soon(self._begin)
        elif self._patient:
            if self._alarm is None:
                self._alarm = loop.call_later(self._patience(PATIENCE_S, self._rested), self._begin)
        elif self._closing is not None:
            self._closing.set()

    def _begin(self) -> None:
        self._is_called = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._is_busy:
            return
        units = self._next_units()
        if not units:
            self._go_on()
            return
        self._is_busy = True
        transaction = Transaction(self._engine, units)
        if self._does_brief_units_here and any(unit.is_brief for unit in units):
            self.is_on_loop = True
            transaction.begin()
            self.is_on_loop = False
        self._executor.submit(self._work, transaction, asyncio.get_running_loop())

    def _next_units(self) -> list[Unit]:
        units = _take(self._waiting)
        limit, rested = (STARVED_S, 0.0) if units else (PATIENCE_S, self._rested)
        if self._patient and (self._closing is not None or self._patience(limit, rested) <= 0):
            units += _take(self._patient)
        return units

    def _patience(self, limit: float, rested: float) -> float:
        """Return how many seconds the patient may still wait; the patience of the first is that of all."""
        return max(self._patient[0].since + limit, rested) - self._clock.monotonic()

    def _work(self, transaction: Transaction, loop: asyncio.AbstractEventLoop) -> None:
        transaction.finish()
        if transaction.unannounced and len(transaction.units) < BURST and not loop.is_closed():
            loop.call_soon_threadsafe(transaction.announce)
        transaction.flush()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._tell, transaction)

    def _tell(self, transaction: Transaction) -> None:
        transaction.end()
        self._rested = self._clock.monotonic() + REST_S
        self._is_busy = False
        self._go_on()


def _take(queue: deque[Unit]) -> list[Unit]:
    return [queue.popleft() for _ in range(min(BATCH_LIMIT, len(queue)))]


def _run_each(connection: Connection, units: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    return [unit(connection) for unit in units]
