"""Long lists of LiveKit are read in steps, so that webhooks are answered in between."""

from __future__ import annotations

import asyncio

from app.livekit.answers import read_in_steps


async def test_others_run_while_a_long_list_is_read() -> None:
    seen, passes = list[int](), [0]

    async def other() -> None:
        while True:
            passes[0] += 1
            await asyncio.sleep(0)

    def read(number: int) -> int:
        seen.append(passes[0])
        return number * 2

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    assert await read_in_steps(read, range(5_000)) == [number * 2 for number in range(5_000)]
    assert max(seen.count(each) for each in set(seen)) <= 200
    assert await read_in_steps(read, []) == []
    task.cancel()
