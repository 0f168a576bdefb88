"""How objectives are kept, counted behind the answers: each count costs the database up to ten thousand rows.

What is over the windows that pages and Prometheus ask for is counted anew all the time, so whoever looks need not wait;
every count says when it was made.
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

_log = get_logger(__name__)

METRICS_WINDOWS: Final = {5 / 60: "5m", 1.0: "1h", 6.0: "6h", 24.0: "24h"}
"""Hours, and what Prometheus' label `window` calls them."""
PAGE_WINDOWS: Final = (1.0, 24.0)
"""Hours of every page that tells of objectives."""
REFRESH_S: Final = 15.0
PAGE_WAIT_S: Final = 0.02
"""A page waits no longer for what is not counted yet: it says so instead."""
_KEPT: Final = 5_000

Ask = Callable[[Callable[..., Any]], Awaitable[Any]]
_Key = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class _Counted:
    tick: float
    seconds_spent: float
    attainment: Attainment


@dataclass(frozen=True, slots=True)
class Objectives:
    """Some objectives in matching order, each over the hours of `windows`. `is_cut`: more rules have one."""

    items: tuple[Objective, ...]
    windows: tuple[float, ...]
    is_cut: bool

    @property
    def counted_at(self) -> datetime | None:
        """When the oldest of the counts was made."""
        return min((count.counted_at for one in self.items for count in one.windows), default=None)


class ObjectivesCache:
    """The counts of one process, by rule, seconds of its objective, and window."""

    def __init__(self, clock: Clock, ask: Ask) -> None:
        self._clock = clock
        self._ask = ask
        self._counts: dict[_Key, _Counted] = {}
        self._seconds_spent: defaultdict[float, float] = defaultdict(float)
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        # What somebody waits for does not queue behind what is only renewed.
        self._awaited, self._renewed = asyncio.Semaphore(1), asyncio.Semaphore(1)
        self._stopped = False

    async def run_once(self) -> Mapping[str, int]:
        """Count what is due of all that pages and Prometheus ask for."""
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
        """Return the objectives (of one agent, or one rule, if given), each over the hours of `windows`.

        With `wait_at_most_s`, what is not counted within so many seconds is left out; DatabaseUnavailableError without.
        """
        spans = sorted(set(windows))
        found = await self._ask(partial(objective_targets, agent=agent, rule=rule, rule_id=rule_id))
        shown: list[Target] = found[:MAX_OBJECTIVES]
        awaited = {task for target in shown for task in self._count_due(target, spans)}
        if awaited:
            await asyncio.wait(awaited, timeout=wait_at_most_s)
        kept = tuple(Objective.of(target, self._known(target, spans)) for target in shown)
        is_whole = all(len(one.windows) == len(spans) for one in kept)
        if wait_at_most_s is None and not is_whole and not self._stopped:
            raise DatabaseUnavailableError("the objectives could not be counted")
        return Objectives(kept, tuple(spans), len(found) > MAX_OBJECTIVES)

    async def stop(self) -> None:
        """Leave what is being counted."""
        self._stopped = True
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _count_due(self, target: Target, spans: Iterable[float]) -> set[asyncio.Task[None]]:
        """See that what is due is being counted; return what must be waited for."""
        missing = [hours for hours in spans if self._age(target, hours) >= self._shown_for(hours)]
        due = [hours for hours in spans if self._age(target, hours) >= self._renewed_every(hours)]
        if new := [hours for hours in due if _key(target, hours) not in self._tasks]:
            turn = self._awaited if missing else self._renewed
            task = asyncio.create_task(self._count(target, new, turn))
            self._tasks |= {_key(target, hours): task for hours in new}
        return {self._tasks[_key(target, hours)] for hours in missing}

    async def _count(self, target: Target, spans: Sequence[float], turn: asyncio.Semaphore) -> None:
        try:
            async with turn:
                tick, now = self._clock.monotonic(), self._clock.now()
                counted = await self._ask(partial(count_attainment, target=target, now=now, windows=spans))
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
        while len(self._counts) > _KEPT:
            self._forget(next(iter(self._counts)))

    def _forget(self, key: _Key) -> None:
        known = self._counts.pop(key, None)
        if known is not None:
            self._seconds_spent[key[2]] -= known.seconds_spent

    def _known(self, target: Target, spans: Iterable[float]) -> Iterator[Attainment]:
        for hours in spans:
            if self._age(target, hours) < self._shown_for(hours):
                yield self._counts[_key(target, hours)].attainment

    def _age(self, target: Target, hours: float) -> float:
        known = self._counts.get(_key(target, hours))
        return math.inf if known is None else self._clock.monotonic() - known.tick

    def _renewed_every(self, hours: float) -> float:
        """Return the seconds after which a window is counted anew: a hundred times what it takes for all rules.

        But no more than a 240th of it, and five minutes.
        """
        return max(REFRESH_S, min(100 * self._seconds_spent[hours], hours * 15.0, 300.0))

    def _shown_for(self, hours: float) -> float:
        return 2 * self._renewed_every(hours) + 30.0


def _key(target: Target, hours: float) -> _Key:
    return target.rule_id, target.seconds, hours
