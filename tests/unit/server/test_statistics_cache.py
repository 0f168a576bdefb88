"""Figures are asked for once while they are fresh, and behind the answer when they are not."""

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


class Desk:
    """Counts what is asked, answers with its number."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    async def ask(self, _question: Callable[[Connection], DispatchStatistics]) -> DispatchStatistics:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailableError("down")
        overall = replace(NO_FIGURES, dispatches=number)
        return DispatchStatistics(DAY, DAY + timedelta(days=1), is_cut=False, overall=overall, agents=(), rules=())


async def test_many_looks_are_one_question(clock: StillClock) -> None:
    desk = Desk()
    cache = StatisticsCache(clock, desk.ask)
    found = await asyncio.gather(*(cache.get(24) for _ in range(20)))
    assert {one.overall.dispatches for one in found} == {1}
    assert (await cache.get(24, agent="a")).overall.dispatches == 2
    assert desk.asked == 2


async def test_what_is_not_fresh_is_renewed_behind_the_answer(clock: StillClock) -> None:
    desk = Desk()
    cache = StatisticsCache(clock, desk.ask)
    await cache.get(24)
    clock.advance(FRESH_S)
    assert (await cache.get(24)).overall.dispatches == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (await cache.get(24)).overall.dispatches == 2


async def test_what_is_stale_is_not_shown(clock: StillClock) -> None:
    desk = Desk()
    cache = StatisticsCache(clock, desk.ask)
    await cache.get(24)
    clock.advance(STALE_S)
    assert (await cache.get(24)).overall.dispatches == 2


async def test_trouble_is_told_and_not_kept(clock: StillClock) -> None:
    desk = Desk()
    cache = StatisticsCache(clock, desk.ask)
    desk.down = True
    with pytest.raises(DatabaseUnavailableError):
        await cache.get(24)
    desk.down = False
    assert (await cache.get(24)).overall.dispatches == 2
