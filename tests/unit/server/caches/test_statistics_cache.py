"""Fresh figures come from memory; older ones are read again in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from app.audit import NO_FIGURES, DispatchStatistics
from app.errors import DatabaseUnavailableError
from app.server.caches.statistics_cache import FRESH_S, STALE_S, StatisticsCache
from tests.conftest import StillClock

DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Database:
    """Answers each read with its number."""

    def __init__(self) -> None:
        self.reads = 0
        self.down = False

    async def read(self, _load: Callable[[Connection], DispatchStatistics]) -> DispatchStatistics:
        self.reads += 1
        number = self.reads
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailableError("down")
        overall = replace(NO_FIGURES, dispatches=number)
        return DispatchStatistics(
            DAY, DAY + timedelta(days=1), is_cut=False, overall=overall, agents=(), rules=(), calls=None
        )


async def test_concurrent_requests_share_one_read(clock: StillClock) -> None:
    database = Database()
    cache = StatisticsCache(clock, database.read)
    found = await asyncio.gather(*(cache.get(24) for _ in range(20)))
    assert {one.overall.dispatches for one in found} == {1}
    assert (await cache.get(24, agent="a")).overall.dispatches == 2
    assert database.reads == 2


async def test_figures_that_are_not_fresh_are_read_again_in_the_background(clock: StillClock) -> None:
    database = Database()
    cache = StatisticsCache(clock, database.read)
    await cache.get(24)
    clock.advance(FRESH_S)
    assert (await cache.get(24)).overall.dispatches == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await cache.get(24)).overall.dispatches == 2


async def test_stale_figures_are_not_returned(clock: StillClock) -> None:
    database = Database()
    cache = StatisticsCache(clock, database.read)
    await cache.get(24)
    clock.advance(STALE_S)
    assert (await cache.get(24)).overall.dispatches == 2


async def test_errors_are_raised_and_not_cached(clock: StillClock) -> None:
    database = Database()
    cache = StatisticsCache(clock, database.read)
    database.down = True
    with pytest.raises(DatabaseUnavailableError):
        await cache.get(24)
    database.down = False
    assert (await cache.get(24)).overall.dispatches == 2
