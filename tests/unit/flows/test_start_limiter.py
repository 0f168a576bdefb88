from __future__ import annotations

import asyncio

import pytest

from app.flows.deliver.start_limiter import StartLimiter
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time


def limiter(calls_per_second: float) -> StartLimiter:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return StartLimiter(calls_per_second, LoopClock(loop))


@pytest.mark.parametrize(("rate", "most"), [(50.0, 50), (1.0, 1), (2.5, 2)])
@in_virtual_time
async def test_no_second_has_more_starts_than_the_limit(rate: float, most: int) -> None:
    limit = limiter(rate)
    starts: list[float] = []
    await asyncio.sleep(30)  # a rest saves nothing up
    for tick in range(400):
        now = 30 + tick / 40
        free = limit.available(now)
        limit.spend(free, now)
        starts += [now] * free
    assert max(sum(begin <= one < begin + 1 for one in starts) for begin in starts) <= most
    assert len(starts) >= 9 * most


@in_virtual_time
async def test_a_start_in_two_seconds_is_one_start_in_two_seconds() -> None:
    limit = limiter(0.5)
    assert limit.available(0.0) == 1
    limit.spend(1, 0.0)
    assert limit.available(2.1) == 0
    assert limit.available(2.2) == 1


@in_virtual_time
async def test_starts_are_waited_for_until_a_tenth_of_a_second_s_are_free_but_not_for_long() -> None:
    limit = limiter(50.0)
    loop = asyncio.get_running_loop()
    for _ in range(50):
        limit.spend(1, loop.time())
        await asyncio.sleep(0.022)
    limit.spend(1, loop.time())
    await limit.wait_for_some()
    assert limit.available(loop.time()) == 5
    before = loop.time()
    await limit.wait_for_some()
    assert loop.time() == before
    limit.spend(5, loop.time())
    slow = limiter(0.1)
    slow.spend(1, loop.time())
    before = loop.time()
    await slow.wait_for_some()
    assert slow.available(loop.time()) == 0
    assert loop.time() - before == pytest.approx(0.25)


@in_virtual_time
async def test_calls_begin_in_their_order_and_no_faster_than_the_limit() -> None:
    limit = limiter(10.0)
    began: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        await limit.wait_for_call()
        began.append((number, asyncio.get_running_loop().time()))

    await asyncio.gather(*(call(number) for number in range(35)))
    assert [number for number, _ in began] == list(range(35))
    times = [time for _, time in began]
    assert max(sum(begin <= one < begin + 1 for one in times) for begin in times) == 10
    assert times[:5] == [0.0] * 5  # half of a second's calls at once, then one every 110 ms
    assert times[5:] == pytest.approx([0.55 + 0.11 * place for place in range(30)])


@in_virtual_time
async def test_calls_that_come_more_slowly_than_the_limit_never_wait() -> None:
    limit = limiter(10.0)
    for _ in range(50):
        before = asyncio.get_running_loop().time()
        await limit.wait_for_call()
        assert asyncio.get_running_loop().time() == before
        await asyncio.sleep(0.12)


@in_virtual_time
async def test_without_a_limit_nothing_waits() -> None:
    limit = limiter(0.0)
    assert not limit.paced
    limit.spend(10_000, 0.0)
    assert limit.available(0.0) > 10_000
    await asyncio.gather(*(limit.wait_for_call() for _ in range(1_000)))
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_a_limit_next_to_nothing_lets_one_call_begin() -> None:
    limit = limiter(1e-320)
    await limit.wait_for_call()
    limit.spend(1, 0.0)
    assert limit.available(1e9) == 0
