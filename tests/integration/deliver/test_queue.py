"""More callers than calls may be under way: they wait their turn, are not forgotten, and may leave meanwhile."""

from __future__ import annotations

from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

SLOW_LIVEKIT = {"USHER_CALLS_IN_FLIGHT": "1"}


async def join_one_by_one(world: World, rooms: int) -> None:
    """Let a caller come to each room, one after the other; LiveKit takes a second for each call."""
    for number in range(rooms):
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.SLOW, seconds=1.0))
        world.simulator.join(f"room-{number}", "ana")
        await world.wait(0.05)


@in_virtual_time
async def test_a_caller_who_leaves_while_queued_opens_no_room_again(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings=SLOW_LIVEKIT) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_one_by_one(world, 4)
        world.simulator.finish_room("room-3")
        await world.until(lambda: world.agents("room-2"), within=6)
        await world.wait(10)
        assert [entry.room for entry in world.simulator.ledger.dispatches] == ["room-0", "room-1", "room-2"]
        assert not world.judge().ghosts


@in_virtual_time
async def test_a_dispatch_that_was_queued_long_is_checked_first(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings=SLOW_LIVEKIT) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_one_by_one(world, 13)
        await world.until(lambda: world.agents("room-8"), within=10)
        assert world.simulator.ledger.counts["ListParticipants"] == 0
        await world.until(lambda: world.agents("room-12"), within=6)
        assert world.simulator.ledger.counts["ListParticipants"] >= 1


@in_virtual_time
async def test_what_is_due_is_claimed_without_waiting_for_the_next_round(database: Database) -> None:
    async with World(database, settings={"USHER_CALLS_IN_FLIGHT": "2"}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.usher.stop()
        for number in range(40):
            world.simulator.join(f"room-{number}", "ana")
        # Given to another process by a sweep: none of them is news, so all are claimed, two at a time.
        world.settings_given["USHER_SWEEP_INTERVAL"] = "30"
        await world.add_replica()
        await world.until(lambda: all(world.agents(f"room-{number}") for number in range(40)), within=3)
