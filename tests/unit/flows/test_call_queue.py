"""Back-pressure on webhooks while many dispatches wait for their first call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from app.flows.deliver.call_queue import BACKPRESSURE_PER_CALL, CallQueue
from app.outbox.dispatch import Dispatch

CALL_SLOTS = 4
FULL = CALL_SLOTS * BACKPRESSURE_PER_CALL + 1


@dataclass(frozen=True, slots=True)
class Queued:
    """What the queue reads of a dispatch."""

    id: str
    room_name: str
    project: str = "default"


def enter(queue: CallQueue, *rooms: str) -> list[Dispatch]:
    """Put a dispatch of each room into the queue."""
    dispatches = [cast("Dispatch", Queued(f"{number} {room}", room)) for number, room in enumerate(rooms)]
    for dispatch in dispatches:
        queue.enter(dispatch, 0.0)
    return dispatches


async def waits(queue: CallQueue, room: str) -> bool:
    """Return whether a webhook of the room is answered later; what does not wait ends in its first step."""
    waiting = asyncio.create_task(queue.back_pressure("default", room))
    await asyncio.sleep(0)
    is_waiting = not waiting.done()
    await asyncio.wait_for(waiting, 60)
    return is_waiting


async def test_webhooks_of_the_room_that_fills_the_queue_are_answered_later_and_others_at_once() -> None:
    queue = CallQueue(CALL_SLOTS)
    enter(queue, *["big"] * FULL, "small")
    assert await waits(queue, "big")
    assert not await waits(queue, "small")
    assert not await waits(queue, "new")


async def test_webhooks_of_many_rooms_are_answered_later_while_the_queue_is_full() -> None:
    queue = CallQueue(CALL_SLOTS)
    rooms = [f"room {number}" for number in range(FULL)]
    queued = enter(queue, *rooms)
    assert await waits(queue, rooms[0])
    assert queue.leave(queued[1]) == 0.0
    assert not await waits(queue, rooms[0])
    assert queue.leave(queued[1]) is None
