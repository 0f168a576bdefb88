"""What holds in virtual time however long the machine takes for it."""

from __future__ import annotations

import asyncio

from tests.conftest import Database
from tests.world.virtual_time import VirtualTimeLoop, in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_webhooks_are_accepted_however_far_the_machine_is_ahead(sqlite_database: Database) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.elapsed = -3600.0  # as if what has happened so far had taken the machine an hour
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("hall", "ana")
        await world.until_status("joined")
