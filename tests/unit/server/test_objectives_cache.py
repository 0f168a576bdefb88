"""Objectives are counted behind the answers; whoever looks is told when, and need not wait."""

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
    """Has as many rules as it is told, and counts one call more each time it is asked."""

    def __init__(self, clock: StillClock, rules: int = 1) -> None:
        self.clock = clock
        self.seconds = 0.0
        self.rules = rules
        self.counts: list[tuple[str, tuple[float, ...]]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.down = False

    async def ask(self, question: Callable[..., Any]) -> Any:
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailableError("down")
        if not isinstance(question, partial) or question.func is not count_attainment:
            return [Target(number, f"rule {number}", "agent", 95, 3) for number in range(self.rules)]
        await self.answers.wait()
        target, windows = question.keywords["target"], tuple(question.keywords["windows"])
        self.counts.append((target.rule, windows))
        now = question.keywords["now"]
        self.clock.advance(self.seconds)
        return [Attainment(hours, len(self.counts), 0, is_cut=False, counted_at=now) for hours in windows]


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_that_look_are_one_count(clock: StillClock) -> None:
    database = Database(clock)
    board = ObjectivesCache(clock, database.ask)
    found = await asyncio.gather(*(board.get((HOUR, DAY)) for _ in range(20)))
    assert {one.items[0].windows[0].calls for one in found} == {1}
    assert database.counts == [("rule 0", (HOUR, DAY))]
    assert found[0].counted_at == clock.now()


async def test_all_windows_are_renewed_together_while_that_costs_little(clock: StillClock) -> None:
    database = Database(clock)
    board = ObjectivesCache(clock, database.ask)
    await board.get((HOUR, DAY))
    clock.advance(REFRESH_S)
    assert [one.calls for one in (await board.get((HOUR, DAY))).items[0].windows] == [1, 1]
    await _settle()
    assert [one.calls for one in (await board.get((HOUR, DAY))).items[0].windows] == [2, 2]


async def test_what_costs_much_is_renewed_the_seldomer_the_longer_the_window(clock: StillClock) -> None:
    database = Database(clock)
    database.seconds = 4.0
    board = ObjectivesCache(clock, database.ask)
    await board.get((HOUR, DAY))
    clock.advance(REFRESH_S - 4)
    before = await board.get((HOUR, DAY))
    assert [one.calls for one in before.items[0].windows] == [1, 1]
    await _settle()
    assert database.counts[1:] == [("rule 0", (HOUR,))]
    assert [one.calls for one in (await board.get((HOUR, DAY))).items[0].windows] == [2, 1]
    clock.advance(300)
    await board.get((DAY,))
    await _settle()
    assert database.counts[2:] == [("rule 0", (DAY,))]


async def test_what_is_old_is_counted_before_it_is_shown(clock: StillClock) -> None:
    database = Database(clock)
    board = ObjectivesCache(clock, database.ask)
    await board.get((HOUR,))
    clock.advance(3600)
    assert [one.calls for one in (await board.get((HOUR,))).items[0].windows] == [2]


async def test_a_page_does_not_wait_for_what_takes_long(clock: StillClock) -> None:
    database = Database(clock)
    board = ObjectivesCache(clock, database.ask)
    database.answers.clear()
    (waiting,) = (await board.get((HOUR,), wait_at_most_s=0)).items
    assert (waiting.windows, waiting.over(HOUR), waiting.is_burning) == ((), None, False)
    database.answers.set()
    await _settle()
    (known,) = (await board.get((HOUR,), wait_at_most_s=0)).items
    assert known.over(HOUR) == ObjectiveWindow(HOUR, 1, 0, 1.0, 0.0, is_cut=False, counted_at=clock.now())


async def test_only_so_many_rules_are_counted_and_it_says_so(clock: StillClock) -> None:
    board = ObjectivesCache(clock, Database(clock, MAX_OBJECTIVES + 1).ask)
    found = await board.get((HOUR,))
    assert (len(found.items), found.is_cut) == (MAX_OBJECTIVES, True)
    assert not (await ObjectivesCache(clock, Database(clock, MAX_OBJECTIVES).ask).get((HOUR,))).is_cut


async def test_trouble_with_the_database_is_told(clock: StillClock) -> None:
    database = Database(clock)
    board = ObjectivesCache(clock, database.ask)
    await board.run_once()
    database.down = True
    with pytest.raises(DatabaseUnavailableError):
        await board.get((HOUR,))
    await board.stop()


async def test_counts_under_way_are_left_when_the_process_ends(clock: StillClock) -> None:
    database = Database(clock, 3)
    board = ObjectivesCache(clock, database.ask)
    database.answers.clear()
    counting = asyncio.create_task(board.run_once())
    await _settle()
    await board.stop()
    assert await asyncio.wait_for(counting, 5) == {"objectives": 3}
    assert database.counts == []
