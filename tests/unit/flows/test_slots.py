from __future__ import annotations

import asyncio

from app.flows.deliver.call_slots import CallSlots


async def test_retries_go_before_new_dispatches_and_each_kind_in_order() -> None:
    slots, gate, began = CallSlots(1), asyncio.Event(), list[str]()

    async def call(name: str, *, again: bool) -> None:
        async with slots.slot("room", again=again):
            began.append(name)
            await gate.wait()

    calls = [
        asyncio.create_task(call(name, again=again))
        for name, again in (("first", False), ("new 1", False), ("new 2", False), ("again 1", True), ("again 2", True))
    ]
    await asyncio.sleep(0)
    assert began == ["first"]
    gate.set()
    await asyncio.gather(*calls)
    assert began == ["first", "again 1", "again 2", "new 1", "new 2"]


async def test_a_slot_is_not_lost_when_its_waiter_is_cancelled() -> None:
    slots, gate = CallSlots(1), asyncio.Event()

    async def call() -> None:
        async with slots.slot("room", again=False):
            await gate.wait()

    async def hold() -> None:
        await call()
        lucky.cancel()  # its turn has come, and it has not begun

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    impatient, lucky, last = (asyncio.create_task(call()) for _ in range(3))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait_for(asyncio.gather(holder, last), 60)
    assert (impatient.cancelled(), lucky.cancelled()) == (True, True)
    async with asyncio.timeout(60), slots.slot("room", again=False):
        pass


async def test_a_room_with_many_callers_holds_up_others_by_one_call_each() -> None:
    slots, gate, began = CallSlots(1), asyncio.Event(), list[str]()

    async def call(room: str) -> None:
        async with slots.slot(room, again=False):
            began.append(room)
            await gate.wait()

    calls = [asyncio.create_task(call(room)) for room in ["big"] * 100 + ["one", "two", "two"]]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)
    assert began[:6] == ["big", "big", "one", "two", "big", "two"]
