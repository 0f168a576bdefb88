"""Figures that are asked for again and again are as young as the last read, however rarely they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Connection

from app.errors import DatabaseUnavailableError
from app.server.caches.figures_cache import FRESH_S, STALE_S, FiguresCache
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time


class Source:
    """Reads take a second of virtual time and give their number."""

    def __init__(self) -> None:
        self.begun = 0
        self.is_down = False

    async def read(self, _load: Callable[[Connection], int]) -> int:
        self.begun += 1
        number = self.begun
        await asyncio.sleep(1)
        if self.is_down:
            raise DatabaseUnavailableError("no answer")
        return number


def cache_of(source: Source) -> FiguresCache[int]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return FiguresCache[int](LoopClock(loop), source.read)


def load(_connection: Connection, _now: datetime) -> int:
    raise AssertionError("the source does not call it")


@in_virtual_time
async def test_who_asks_every_twelve_seconds_gets_figures_of_the_read_before() -> None:
    cache = cache_of(Source())
    found = []
    for _ in range(5):
        found.append(await cache.get("day", load))
        await asyncio.sleep(FRESH_S + 2)
    assert found == [1, 1, 2, 3, 4]


@in_virtual_time
async def test_figures_within_ten_seconds_are_the_same_and_older_than_two_minutes_are_read_first() -> None:
    cache = cache_of(Source())
    assert [await cache.get("day", load) for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(STALE_S + 1)
    assert await cache.get("day", load) == 2


@in_virtual_time
async def test_figures_older_than_two_minutes_are_not_shown_while_the_database_is_away() -> None:
    source = Source()
    cache = cache_of(source)
    assert await cache.get("day", load) == 1
    source.is_down = True
    for _ in range(int(STALE_S / (FRESH_S + 2)) - 1):
        await asyncio.sleep(FRESH_S + 2)
        assert await cache.get("day", load) == 1
    await asyncio.sleep(2 * FRESH_S + 2)
    with pytest.raises(DatabaseUnavailableError):
        await cache.get("day", load)
    source.is_down = False
    assert await cache.get("day", load) > 1
