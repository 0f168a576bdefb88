"""Who leaves a queue loses the place; who only reconnects keeps it."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


async def fill(world: World, **columns: str) -> None:
    """Let one caller have the only place of the rule, and two wait for it."""
    world.rule(max_calls=1, **columns)
    world.simulator.add_worker("greeter")
    for number in range(3):
        world.simulator.join(f"room-{number}", f"caller-{number}")
        await world.wait(2)


async def next_served(world: World) -> str:
    """Free the place, and return the room of the caller who gets it."""
    world.simulator.finish_room("room-0")
    await world.until(lambda: world.dispatch(room_name="room-0")["status"] == "ended")
    room: str = (await world.until_status("joined"))["room_name"]
    return room


@pytest.mark.parametrize("scope", ["room", "participant"])
@pytest.mark.parametrize("gap_s", [None, 0.6])
@in_virtual_time
async def test_who_only_reconnects_keeps_the_position(
    sqlite_database: Database, scope: str, gap_s: float | None
) -> None:
    async with World(sqlite_database) as world:
        await fill(world, scope=scope)
        if gap_s is not None:
            world.simulator.leave("room-1", "caller-1")
            await world.wait(gap_s)
        world.simulator.join("room-1", "caller-1")  # without a gap, LiveKit puts the old connection out
        await world.wait(3)
        assert await next_served(world) == "room-1"
        assert world.dispatch(room_name="room-1")["status"] == "joined"


@in_virtual_time
async def test_who_comes_back_later_queues_up_again(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await fill(world)
        world.simulator.leave("room-1", "caller-1")
        await world.wait(3)
        world.simulator.join("room-1", "caller-1")
        await world.wait(1)
        gave_up, again = world.dispatches(room_name="room-1")
        assert (gave_up["status"], gave_up["reason"]) == ("cancelled", "the caller gave up after 3.9 s")
        assert again["status"] == "pending"
        assert await next_served(world) == "room-2"


@in_virtual_time
async def test_who_left_as_the_place_was_freed_does_not_take_it(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await fill(world)
        world.simulator.leave("room-1", "caller-1")
        await world.wait(0.1)
        assert await next_served(world) == "room-2"
        assert world.dispatch(room_name="room-1")["cause"] == "caller_left"


@in_virtual_time
async def test_who_left_as_usher_died_does_not_wait_for_ever(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        await fill(world)
        world.simulator.leave("room-1", "caller-1")
        await world.until(lambda: world.events(type="participant_left", room_name="room-1"))
        await world.usher.kill()
        world.replicas.clear()
        await world.add_replica()
        await world.until(lambda: world.dispatch(room_name="room-1")["cause"] == "caller_left", within=20)
        assert await next_served(world) == "room-2"


@in_virtual_time
async def test_a_sweep_leaves_the_position_to_who_is_about_to_be_back(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=0.3) as world:
        await fill(world)
        queued_at = world.dispatch(room_name="room-1")["queued_at"]
        world.simulator.leave("room-1", "caller-1")
        await world.wait(0.8)
        world.simulator.join("room-1", "caller-1")
        await world.wait(3)
        assert [one["queued_at"] for one in world.dispatches(room_name="room-1")] == [queued_at]
        assert await next_served(world) == "room-1"


@in_virtual_time
async def test_who_reloads_as_the_place_is_freed_gets_it(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await fill(world)
        world.simulator.leave("room-1", "caller-1")
        await world.wait(0.1)
        world.simulator.finish_room("room-0")
        await world.wait(0.6)
        world.simulator.join("room-1", "caller-1")
        assert (await world.until_status("joined"))["room_name"] == "room-1"
        await world.wait(3)
        assert [one["status"] for one in world.dispatches(room_name="room-1")] == ["joined"]
        assert world.dispatch(room_name="room-2")["queued_at"] is not None
