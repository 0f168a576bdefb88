"""Many who ask at the same time share a read that begins after they asked."""

from __future__ import annotations

import asyncio

import pytest

from app.flows.listing.shared_reads import PAUSE_PER_READ, SharedReads
from tests.world.virtual_time import LoopClock, VirtualTimeLoop, in_virtual_time


class Counted:
    """A source that takes a second of virtual time for each answer: the number of the read."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.is_broken = False

    async def read(self) -> int:
        self.begun.append(asyncio.get_running_loop().time())
        number = len(self.begun)
        await asyncio.sleep(1)
        if self.is_broken:
            raise OSError("no answer")
        return number


def reads() -> SharedReads[int]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return SharedReads[int](LoopClock(loop))


@in_virtual_time
async def test_all_who_ask_together_get_the_result_of_one_read() -> None:
    shared, source = reads(), Counted()
    assert await asyncio.gather(*(shared.get("room", source.read) for _ in range(500))) == [1] * 500
    assert len(source.begun) == 1


@in_virtual_time
async def test_a_read_that_is_under_way_answers_nobody_who_asks_later() -> None:
    shared, source = reads(), Counted()
    first = asyncio.ensure_future(shared.get("room", source.read))
    await asyncio.sleep(0.5)
    second = asyncio.gather(*(shared.get("room", source.read) for _ in range(3)))
    assert await first == 1
    assert await second == [2, 2, 2]
    assert source.begun[1] - source.begun[0] >= 1 + PAUSE_PER_READ * 1, "reads of one key leave time for others"


@in_virtual_time
async def test_reads_of_other_keys_do_not_wait() -> None:
    shared, source = reads(), Counted()
    await asyncio.gather(*(shared.get(room, source.read) for room in "abc"))
    assert source.begun == [source.begun[0]] * 3


@in_virtual_time
async def test_an_error_is_that_of_all_who_asked_and_the_next_read_is_made() -> None:
    shared, source = reads(), Counted()
    source.is_broken = True
    answers = await asyncio.gather(*(shared.get("room", source.read) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in answers] == [OSError] * 3
    source.is_broken = False
    assert await shared.get("room", source.read) == 2


@in_virtual_time
async def test_one_who_stops_waiting_does_not_end_the_read_of_the_others() -> None:
    shared, source = reads(), Counted()
    leaving = asyncio.ensure_future(shared.get("room", source.read))
    staying = asyncio.ensure_future(shared.get("room", source.read))
    await asyncio.sleep(0.1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await staying == 1
