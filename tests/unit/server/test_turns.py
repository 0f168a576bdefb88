"""Requests other than webhooks begin in turn, and leave half of the event loop's time to webhooks."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from app.clock import SystemClock
from app.server.turns import MAX_WAITING, Lane, Turns
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time


async def test_a_request_that_comes_alone_begins_at_once() -> None:
    turns = Turns(SystemClock())
    taking = turns.take()
    try:
        taking.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


async def test_at_most_four_begin_in_one_pass_of_the_event_loop() -> None:
    turns, began = Turns(SystemClock()), [0]

    async def request() -> None:
        await turns.take()
        began[0] += 1

    requests = [asyncio.create_task(request()) for _ in range(200)]
    seen = [0]
    async with asyncio.timeout(60):
        while began[0] < 200:
            await asyncio.sleep(0)
            seen.append(began[0])
    await asyncio.gather(*requests)
    assert max(after - before for before, after in pairwise(seen)) <= 4


class SlowMachine(SystemClock):
    """A clock by which every round takes a day."""

    days = 0

    def monotonic(self) -> float:
        self.days += 1
        return 86_400.0 * self.days


async def test_without_webhooks_there_is_no_rest() -> None:
    turns = Turns(SlowMachine())
    await asyncio.wait_for(asyncio.gather(*(turns.take() for _ in range(100))), 60)


@in_virtual_time
async def test_requests_take_half_of_the_time_at_most_while_a_webhook_is_accepted() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    turns = Turns(LoopClock(loop))

    async def request() -> None:
        await turns.take()
        loop.elapsed += 0.002

    with turns.webhook():
        await asyncio.gather(*(request() for _ in range(100)))
    # The last round is not waited for
    assert loop.time() >= 2 * 0.2 - 0.01


async def test_requests_of_health_do_not_wait_behind_others() -> None:
    turns, order = Turns(SystemClock()), list[str]()

    async def request(name: str, lane: Lane) -> None:
        await turns.take(lane)
        order.append(name)

    others = [asyncio.create_task(request("other", Lane.OTHER)) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.create_task(request("health", Lane.HEALTH))
    assert order.index("health") < 10
    await asyncio.gather(*others)
    assert len(order) == 101


async def test_so_many_may_wait_and_those_that_give_up_take_no_place() -> None:
    turns = Turns(SystemClock())
    waiting = [asyncio.create_task(turns.take()) for _ in range(MAX_WAITING + 1)]
    while not turns.is_full(Lane.OTHER):  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)
    assert not turns.is_full(Lane.HEALTH)
    for one in waiting[1:100]:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.wait_for(turns.take(), 60)
    assert not turns.is_full(Lane.OTHER)
