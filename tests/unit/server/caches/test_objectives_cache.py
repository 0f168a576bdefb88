"""Objectives are counted in the background, and every count says when it was made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.audit import MAX_OBJECTIVES, Attainment, ObjectiveWindow, Target, count_attainment
from app.errors import DatabaseUnavailableError
from app.server.caches.objectives_cache import REFRESH_S, ObjectivesCache
from tests.conftest import StillClock

HOUR, DAY = 1.0, 24.0


class Database:
    """Has `rules` objectives; each count finds one call more than the one before."""

    def __init__(self, clock: StillClock, rules: int = 1) -> None:
        self.clock = clock
        self.seconds = 0.0
        self.rules = rules
        self.counts: list[tuple[str, tuple[float, ...]]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.down = False

    async def read(self, load: Callable[..., Any]) -> Any:
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailableError("down")
        if not isinstance(load, partial) or load.func is not count_attainment:
            return [Target(number, f"rule {number}", "agent", 95, 3) for number in range(self.rules)]
        await self.answers.wait()
        target, windows = load.keywords["target"], tuple(load.keywords["windows"])
        self.counts.append((target.rule, windows))
        now = load.keywords["now"]
        self.clock.advance(self.seconds)
        return [Attainment(hours, len(self.counts), 0, is_cut=False, counted_at=now) for hours in windows]


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_concurrent_requests_share_one_count(clock: StillClock) -> None:
    database = Database(clock)
    cache = ObjectivesCache(clock, database.read)
    found = await asyncio.gather(*(cache.get((HOUR, DAY)) for _ in range(20)))
    assert {one.items[0].windows[0].calls for one in found} == {1}
    assert database.counts == [("rule 0", (HOUR, DAY))]
    assert found[0].counted_at == clock.now()


async def test_cheap_counts_are_refreshed_together(clock: StillClock) -> None:
    database = Database(clock)
    cache = ObjectivesCache(clock, database.read)
    await cache.get((HOUR, DAY))
    clock.advance(REFRESH_S)
    assert [one.calls for one in (await cache.get((HOUR, DAY))).items[0].windows] == [1, 1]
    await _settle()
    assert [one.calls for one in (await cache.get((HOUR, DAY))).items[0].windows] == [2, 2]


async def test_the_costlier_a_count_and_the_longer_its_window_the_rarer_it_is(clock: StillClock) -> None:
    database = Database(clock)
    database.seconds = 4.0
    cache = ObjectivesCache(clock, database.read)
    await cache.get((HOUR, DAY))
    clock.advance(REFRESH_S - 4)
    before = await cache.get((HOUR, DAY))
    assert [one.calls for one in before.items[0].windows] == [1, 1]
    await _settle()
    assert database.counts[1:] == [("rule 0", (HOUR,))]
    assert [one.calls for one in (await cache.get((HOUR, DAY))).items[0].windows] == [2, 1]
    clock.advance(300)
    await cache.get((DAY,))
    await _settle()
    assert database.counts[2:] == [("rule 0", (DAY,))]


async def test_old_counts_are_made_again_before_they_are_returned(clock: StillClock) -> None:
    database = Database(clock)
    cache = ObjectivesCache(clock, database.read)
    await cache.get((HOUR,))
    clock.advance(3600)
    assert [one.calls for one in (await cache.get((HOUR,))).items[0].windows] == [2]


async def test_a_page_does_not_wait_for_slow_counts(clock: StillClock) -> None:
    database = Database(clock)
    cache = ObjectivesCache(clock, database.read)
    database.answers.clear()
    (waiting,) = (await cache.get((HOUR,), wait_at_most_s=0)).items
    assert (waiting.windows, waiting.over(HOUR), waiting.is_burning) == ((), None, False)
    database.answers.set()
    await _settle()
    (known,) = (await cache.get((HOUR,), wait_at_most_s=0)).items
    assert known.over(HOUR) == ObjectiveWindow(HOUR, 1, 0, 1.0, 0.0, is_cut=False, counted_at=clock.now())


async def test_the_number_of_objectives_is_limited_and_reported(clock: StillClock) -> None:
    cache = ObjectivesCache(clock, Database(clock, MAX_OBJECTIVES + 1).read)
    found = await cache.get((HOUR,))
    assert (len(found.items), found.is_cut) == (MAX_OBJECTIVES, True)
    assert not (await ObjectivesCache(clock, Database(clock, MAX_OBJECTIVES).read).get((HOUR,))).is_cut


async def test_errors_of_the_database_are_raised(clock: StillClock) -> None:
    database = Database(clock)
    cache = ObjectivesCache(clock, database.read)
    await cache.run_once()
    database.down = True
    with pytest.raises(DatabaseUnavailableError):
        await cache.get((HOUR,))
    await cache.stop()


async def test_counts_in_progress_are_cancelled_at_the_end(clock: StillClock) -> None:
    database = Database(clock, 3)
    cache = ObjectivesCache(clock, database.read)
    database.answers.clear()
    counting = asyncio.create_task(cache.run_once())
    await _settle()
    await cache.stop()
    assert await asyncio.wait_for(counting, 60) == {"objectives": 3}
    assert database.counts == []
