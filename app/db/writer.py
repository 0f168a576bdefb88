"""Group commit: units of work that wait at the same time share a transaction, and a flush of the disk.

A flush takes about a millisecond; shared, it allows thousands of webhooks per second instead of hundreds. On SQLite the
next transaction runs while the last one is flushed: a call to LiveKit needs the commit only, and does not wait for the
flush of another. That takes a third off the time from webhook to CreateDispatch, and more where the disk is slow.
Flows write through this; each gets an open transaction and must not commit.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from app.clock import Clock, SystemClock
from app.db.engine import flush, is_embedded, needs_flush, release_storage
from app.db.transaction import Transaction, Unit
from app.errors import DatabaseUnavailableError
from app.translation import translatable

T = TypeVar("T")
ItemT = TypeVar("ItemT")

BATCH_LIMIT = 128
"""Units in one transaction: more would make the first of them wait too long for its answer."""
QUEUE_LIMIT = 10_000
"""Units of one share that may wait; further ones are refused, so that LiveKit retries them later."""
EARLY_LIMIT = 8
"""In a transaction of fewer units, `on_commit` runs before the flush. In a larger one the work that it starts would
delay the answers of all its units."""
GATHERED_LIMIT = EARLY_LIMIT - 1
"""So many units that may wait do not: more would put off `on_commit` of the urgent one that takes them along."""
BATCH_WINDOW_S = 0.05
"""A background unit waits this long for others, to share a transaction with them."""
AFTER_URGENT_S = 0.005
"""After a transaction, background units wait this long: its callers go on now and need the processor."""
STALLED_S = 4.0
"""A transaction that takes longer is reported by `trouble`; a wait for a lock ends before, with an error of its own."""
TROUBLE_S = 5.0
"""A transaction that failed is reported by `trouble` for so long: others, of other tables, may succeed meanwhile."""
MAX_DEFERRAL_S = 0.25
"""While there are always urgent units, a background unit waits this long; then it shares their transaction."""
HELD_UP_S = 10.0
"""For so long after a unit waited for a lock in vain, none waits long: webhooks wait behind it, and it may be kept."""
_NEVER = float("inf")


class Writer:
    """Runs units of work in transactions that they share: `await run(unit)` returns when the commit is on the disk.

    If a unit raises, the transaction is rolled back and its units run again one by one, so that only the one at fault
    fails: a unit must have no effect but on its connection. If the database cannot take the write, all callers of the
    transaction get `DatabaseUnavailableError`. A writer belongs to one event loop; transactions run one after the other
    in `executor` (default: a thread of its own), and so do flushes (default: in another).
    """

    def __init__(self, engine: Engine, *, clock: Clock | None = None, executor: Executor | None = None) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self._executor = executor or ThreadPoolExecutor(1, "usher-writer")
        self._flush_executor = executor or ThreadPoolExecutor(1, "usher-flush")
        self._committed: list[Transaction] = []
        self._flushing: asyncio.Task[None] | None = None
        self._urgent: deque[Unit] = deque()
        self._background: deque[Unit] = deque()
        self._begin_at = _NEVER
        """When the transaction of the units in `_urgent` begins at the latest."""
        self._waiting = Counter[str]()
        self._work: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._background_from = 0.0
        self._is_closing = False
        self._running_since: float | None = None
        self._flushing_since: float | None = None
        self._held_up_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure = ""

    @property
    def backlog(self) -> int:
        """How many units wait for their transaction."""
        return len(self._urgent) + len(self._background)

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a SQLite file of this node."""
        return is_embedded(self._engine.url)

    def trouble(self) -> str:
        """Return why writes have failed lately or do not end, "" if nothing is known of the kind."""
        now = self._clock.monotonic()
        for since in (self._running_since, self._flushing_since):
            if since is not None and now - since > STALLED_S:
                return f"a transaction has not ended for {now - since:.0f} s"
        return self._failure if now - self._failed_at < TROUBLE_S else ""

    async def run(self, unit: Callable[[Connection], T], *, share: str = "", gives_way: bool = False) -> T:
        """Run `unit` in a transaction and return its result once that is committed; `share` as in `run_batched`.

        `gives_way`: for tables that people edit by SQL, too. If a transaction of theirs holds what `unit` needs, it
        fails after `GIVE_WAY_MS` with `LockHeldError`, and no other unit with it.
        """
        handler = partial(_run_alone, unit)  # one of its own: it may lock anything
        result: T = await self._add(self._unit(handler, None, None, share, gives_way=gives_way), self._urgent)
        return result

    async def run_batched(
        self,
        handler: Callable[[Connection, Sequence[ItemT]], Sequence[T]],
        item: ItemT,
        *,
        background: bool = False,
        on_commit: Callable[[T], None] | None = None,
        share: str = "",
        window_s: float = 0.0,
    ) -> T:
        """Give `item` to `handler` together with the other items that wait for the same handler.

        `handler(connection, items)` returns one result per item, in order; for flows whose statements cost less for
        many items than one by one. `background` units run when nothing urgent waits. A unit with a `window_s` waits so
        many seconds at most for one without, which takes it along, or for a few more like it. `on_commit` gets the
        result once it survives the end of this process: in a small transaction before the flush, else with the answer.
        Of more units than a transaction takes, each `share` (a project) gets as many places as another.
        """
        unit = self._unit(handler, item, on_commit, share, window_s)
        result: T = await self._add(unit, self._background if background else self._urgent)
        return result

    async def close(self) -> None:
        """Finish the units that wait, then release the thread and the connections."""
        self._is_closing = True
        self._arrived.set()
        if self._work is not None:
            await self._work
        if self._flushing is not None:
            await self._flushing
        self._executor.shutdown()
        self._flush_executor.shutdown()
        release_storage(self._engine)
        self._engine.dispose()

    def _unit(self, handler: Any, item: Any, on_commit: Any, share: str, window_s: float = 0.0, **options: Any) -> Unit:
        future, now = asyncio.get_running_loop().create_future(), self._clock.monotonic()
        return Unit(handler, item, future, now, on_commit, share=share, window_s=window_s, **options)

    async def _add(self, unit: Unit, queue: deque[Unit]) -> Any:
        if self._is_closing:
            raise DatabaseUnavailableError(translatable("the writer is shutting down"))
        if self.backlog >= QUEUE_LIMIT and self._waiting[unit.share] >= QUEUE_LIMIT:
            raise DatabaseUnavailableError(
                translatable("%(queue_limit)s writes are already waiting for the database", queue_limit=QUEUE_LIMIT)
            )
        queue.append(unit)
        if queue is self._urgent:
            begin_at = unit.since + unit.window_s if len(queue) < GATHERED_LIMIT else unit.since
            if begin_at < self._begin_at:
                self._begin_at = begin_at
                self._arrived.set()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run_transactions())
        self._waiting[unit.share] += 1
        try:
            return await unit.future
        finally:
            self._waiting[unit.share] -= 1

    async def _run_transactions(self) -> None:
        """Run what waits, until nothing does."""
        while self.backlog:
            self._arrived.clear()
            now = self._clock.monotonic()
            delay = min(self._begin_at, self._background_at()) - now
            if delay > 0 and not self._is_closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._arrived.wait()
                continue
            units = self._next_units(now)
            if not units:
                continue
            transaction = Transaction(self._engine, units, is_patient=now - self._held_up_at > HELD_UP_S)
            self._running_since = self._clock.monotonic()
            await asyncio.wrap_future(self._executor.submit(transaction.commit))
            self._running_since = None
            if transaction.is_held_up:
                self._held_up_at = self._clock.monotonic()
            self._end(transaction)
            await asyncio.sleep(0)  # the callers go on first: what they write next shares the next transaction

    def _end(self, transaction: Transaction) -> None:
        """Give the results of a committed transaction to its callers, or see that it is flushed first."""
        if not needs_flush(self._engine):
            self._deliver(transaction)
            return
        if len(transaction.units) < EARLY_LIMIT:
            transaction.announce()
        self._committed.append(transaction)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        """Flush what is committed, until nothing is; a flush is for all transactions committed before it begins."""
        while self._committed:
            transactions, self._committed = self._committed, []
            self._flushing_since = self._clock.monotonic()
            try:
                await asyncio.wrap_future(self._flush_executor.submit(flush, self._engine))
            except OSError as error:
                for transaction in transactions:
                    transaction.fail(error)
            self._flushing_since = None
            for transaction in transactions:
                self._deliver(transaction)

    def _deliver(self, transaction: Transaction) -> None:
        self._note_failure(transaction.units)
        transaction.deliver()
        self._background_from = self._clock.monotonic() + AFTER_URGENT_S

    def _note_failure(self, units: Sequence[Unit]) -> None:
        failure = next((unit.error for unit in units if _is_trouble(unit)), None)
        if failure is not None:
            self._failed_at, self._failure = self._clock.monotonic(), str(failure)

    def _next_units(self, now: float) -> list[Unit]:
        """Remove the units of the transaction that begins now from the queues and return them."""
        oldest = self._background[0].since if self._background else _NEVER
        units = _take(self._urgent) if len(self._urgent) <= BATCH_LIMIT else _take_fairly(self._urgent)
        self._begin_at = now if self._urgent else _NEVER
        if now - oldest >= MAX_DEFERRAL_S or all(unit.window_s for unit in units):
            units += _take(self._background)
        return units

    def _background_at(self) -> float:
        """Return when background units run if nothing urgent arrives; all run with the oldest."""
        return max(self._background[0].since + BATCH_WINDOW_S, self._background_from) if self._background else _NEVER


def _is_trouble(unit: Unit) -> bool:
    """Return whether the unit failed for what others would fail for, too; a lock may be of one row."""
    return isinstance(unit.error, DatabaseUnavailableError) and not unit.is_held_up


def _take(queue: deque[Unit]) -> list[Unit]:
    """Remove the next units from `queue` and return them, but those whose callers have stopped waiting."""
    taken: list[Unit] = []
    while queue and len(taken) < BATCH_LIMIT:
        unit = queue.popleft()
        if not unit.future.cancelled():
            taken.append(unit)
    return taken


def _take_fairly(queue: deque[Unit]) -> list[Unit]:
    """Remove as many units as a transaction takes and return them in their order: of each share as many as of another.

    One project's flood must not delay another's webhooks.
    """
    waiting = Counter(unit.share for unit in queue)
    places, left = Counter[str](), BATCH_LIMIT
    while left and waiting:
        each = max(1, left // len(waiting))
        for share in list(waiting):
            given = min(each, waiting[share], left)
            places[share] += given
            left -= given
            waiting[share] -= given
            if not waiting[share]:
                del waiting[share]
    taken: list[Unit] = []
    remaining: list[Unit] = []
    for unit in queue:
        if places[unit.share]:
            places[unit.share] -= 1
            if not unit.future.cancelled():
                taken.append(unit)
        else:
            remaining.append(unit)
    queue.clear()
    queue.extend(remaining)
    return taken


def _run_alone(unit: Callable[[Connection], Any], connection: Connection, _items: Sequence[None]) -> list[Any]:
    return [unit(connection)]
