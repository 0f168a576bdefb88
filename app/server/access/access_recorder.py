"""Collects what is refused, so that a flood of refusals is a few rows of the access log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from app.accounts.access_log import AccessEntry, append_access
from app.clock import Clock
from app.db.types import AccessKind
from app.errors import UsherError
from app.flows.context import Defects
from app.flows.loop import Loop
from app.logs import get_logger

_log = get_logger(__name__)

EQUAL_WITHIN_S: Final = 60.0
"""Equal entries of this time are one row: the first is written at once, the others with their number afterwards."""
MAX_DIFFERENT: Final = 500
MAX_PER_ADDRESS: Final = 20
"""Different entries at a time; more are only counted, by kind."""
_FLUSH_EVERY_S: Final = 5.0


@dataclass
class _Pending:
    count: int
    written_at: float | None = None


class AccessRecorder:
    """Takes entries at any rate and writes them in the background, in bounded memory."""

    def __init__(
        self, clock: Clock, write: Callable[[Callable[[Connection], None]], Awaitable[Any]], defects: Defects
    ) -> None:
        self._clock = clock
        self._write = write
        self._pending: dict[AccessEntry, _Pending] = {}
        self._addresses: Counter[str] = Counter()
        self._others: Counter[AccessKind] = Counter()
        self._others_written_at = clock.monotonic()
        self._loop = Loop("access log", self.run_once, _FLUSH_EVERY_S, defects)

    def note(self, entry: AccessEntry) -> None:
        """Record `entry` soon."""
        pending = self._pending.get(entry)
        if pending is not None:
            pending.count += 1
        elif len(self._pending) >= MAX_DIFFERENT or self._addresses[entry.address] >= MAX_PER_ADDRESS:
            self._others[entry.kind] += 1
        else:
            self._pending[entry] = _Pending(1)
            self._addresses[entry.address] += 1
            self._loop.wake()

    async def run_once(self, *, everything: bool = False) -> dict[str, int]:
        """Write what is due, or everything; return how many rows."""
        now = self._clock.monotonic()
        due = []
        for entry, pending in tuple(self._pending.items()):
            is_old = pending.written_at is not None and now - pending.written_at >= EQUAL_WITHIN_S
            if pending.count and (everything or is_old or pending.written_at is None):
                due.append(replace(entry, count=pending.count))
                pending.count, pending.written_at = 0, now
            elif is_old:
                del self._pending[entry]
                self._addresses[entry.address] -= 1
        self._addresses += Counter()  # drops what is zero
        if everything or now - self._others_written_at >= EQUAL_WITHIN_S:
            due += [AccessEntry(kind, detail="further ones", count=count) for kind, count in self._others.items()]
            self._others, self._others_written_at = Counter(), now
        if due:
            try:
                await self._write(partial(append_access, entries=due, now=self._clock.now()))
            except UsherError:
                for entry in due:
                    self._others[entry.kind] += entry.count
                raise
        return {"written": len(due)}

    def start(self) -> None:
        """Start writing."""
        self._loop.start()

    async def stop(self) -> None:
        """Write what is left, and end."""
        await self._loop.stop()
        try:
            await self.run_once(everything=True)
        except UsherError as error:
            _log.warning("the last refusals could not be recorded", error=str(error))
