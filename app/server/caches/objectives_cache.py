"""How well objectives are met, counted in the background: one count reads up to ten thousand rows.

The windows of pages and of `/metrics` are refreshed continuously, so that requests find their counts ready; every
count carries the time at which it was made.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from app.audit import MAX_OBJECTIVES, Attainment, Objective, Target, count_attainment, objective_targets
from app.clock import Clock
from app.errors import DatabaseUnavailableError
from app.logs import get_logger
from app.translation import translatable

_log = get_logger(__name__)

METRICS_WINDOWS: Final = {5 / 60: "5m", 1.0: "1h", 6.0: "6h", 24.0: "24h"}
"""Windows of `/metrics`: hours, and the value of the label `window`."""
PAGE_WINDOWS: Final = (1.0, 24.0)
"""Windows of every page that shows objectives, in hours."""
REFRESH_S: Final = 15.0
"""Shortest interval between two counts of one window."""
"""Shortest interval between two counts of one window."""
"""Shortest interval between two counts of one window."""
PAGE_WAIT_S: Final = 0.02
"""A page waits this long for counts that are not ready, and then says that they are being counted."""
_MAX_COUNTS: Final = 5_000

Read = Callable[[Callable[..., Any]], Awaitable[Any]]
_Key = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class _Counted:
    tick: float
    seconds_spent: float
    attainment: Attainment


@dataclass(frozen=True, slots=True)
class Objectives:
    """Objectives in matching order, over each of `windows` (hours). `is_cut`: further rules have objectives."""

    items: tuple[Objective, ...]
    windows: tuple[float, ...]
    is_cut: bool

    @property
    def counted_at(self) -> datetime | None:
        """When the oldest of the counts was made; None without any."""
        return min((count.counted_at for one in self.items for count in one.windows), default=None)


class ObjectivesCache:
    """Caches counts by rule, seconds of its objective, and window; runs the counting."""

    def __init__(self, clock: Clock, read: Read) -> None:
        self._clock = clock
        self._read = read
        self._counts: dict[_Key, _Counted] = {}
        self._seconds_spent: defaultdict[float, float] = defaultdict(float)
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        # A count that a request waits for must not queue behind a refresh.
        self._requested, self._refreshed = asyncio.Semaphore(1), asyncio.Semaphore(1)
        self._stopped = False

    async def run_once(self) -> Mapping[str, int]:
        """Refresh the counts that are due, for all windows of pages and of `/metrics`."""
        found = await self.get((*PAGE_WINDOWS, *METRICS_WINDOWS))
        return {"objectives": len(found.items)}

    async def get(
        self,
        windows: Iterable[float],
        *,
        agent: str | None = None,
        rule: str | None = None,
        rule_id: int | None = None,
        wait_at_most_s: float | None = None,
    ) -> Objectives:
        """Return the objectives, of one agent or one rule if given, over each of `windows` (hours).

        With `wait_at_most_s`, counts that are not ready in time are left out; without, DatabaseUnavailableError is
        raised if they cannot be made.
        """
        spans = sorted(set(windows))
        found = await self._read(partial(objective_targets, agent=agent, rule=rule, rule_id=rule_id))
        shown: list[Target] = found[:MAX_OBJECTIVES]
        awaited = {task for target in shown for task in self._count_due(target, spans)}
        if awaited:
            await asyncio.wait(awaited, timeout=wait_at_most_s)
        kept = tuple(Objective.of(target, self._known(target, spans)) for target in shown)
        is_whole = all(len(one.windows) == len(spans) for one in kept)
        if wait_at_most_s is None and not is_whole and not self._stopped:
            raise DatabaseUnavailableError(translatable("the objectives could not be counted"))
        return Objectives(kept, tuple(spans), len(found) > MAX_OBJECTIVES)

    async def stop(self) -> None:
        """Cancel the counts in progress."""
        self._stopped = True
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _count_due(self, target: Target, spans: Iterable[float]) -> set[asyncio.Task[None]]:
        """Start the counts that are due; return those without which there is nothing to show."""
        missing = [hours for hours in spans if self._age(target, hours) >= self._max_age(hours)]
        due = [hours for hours in spans if self._age(target, hours) >= self._refresh_interval(hours)]
        if new := [hours for hours in due if _key(target, hours) not in self._tasks]:
            queue = self._requested if missing else self._refreshed
            task = asyncio.create_task(self._count(target, new, queue))
            self._tasks |= {_key(target, hours): task for hours in new}
        return {self._tasks[_key(target, hours)] for hours in missing}

    async def _count(self, target: Target, spans: Sequence[float], queue: asyncio.Semaphore) -> None:
        try:
            async with queue:
                tick, now = self._clock.monotonic(), self._clock.now()
                counted = await self._read(partial(count_attainment, target=target, now=now, windows=spans))
                spent = self._clock.monotonic() - tick
        except DatabaseUnavailableError as error:
            _log.warning("an objective could not be counted", rule=target.rule, error=str(error))
            return
        finally:
            for hours in spans:
                self._tasks.pop(_key(target, hours), None)
        for one in counted:
            self._forget(_key(target, one.hours))
            self._counts[_key(target, one.hours)] = _Counted(tick, spent, one)
            self._seconds_spent[one.hours] += spent
        while len(self._counts) > _MAX_COUNTS:
            self._forget(next(iter(self._counts)))

    def _forget(self, key: _Key) -> None:
        known = self._counts.pop(key, None)
        if known is not None:
            self._seconds_spent[key[2]] -= known.seconds_spent

    def _known(self, target: Target, spans: Iterable[float]) -> Iterator[Attainment]:
        for hours in spans:
            if self._age(target, hours) < self._max_age(hours):
                yield self._counts[_key(target, hours)].attainment

    def _age(self, target: Target, hours: float) -> float:
        known = self._counts.get(_key(target, hours))
        return math.inf if known is None else self._clock.monotonic() - known.tick

    def _refresh_interval(self, hours: float) -> float:
        """Return the refresh interval of a window in seconds.

        100 times the cost of one refresh, so that counting takes at most 1 % of a core; but at most 1/240 of the
        window, and five minutes.
        """
        return max(REFRESH_S, min(100 * self._seconds_spent[hours], hours * 15.0, 300.0))

    def _max_age(self, hours: float) -> float:
        return 2 * self._refresh_interval(hours) + 30.0


def _key(target: Target, hours: float) -> _Key:
    return target.rule_id, target.seconds, hours
