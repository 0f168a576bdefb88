"""LiveKit answers nothing for a while, and then again: who is served first, and how fast LiveKit is called."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLERS, PER_SECOND, IN_FLIGHT = 200, 50, 16


def let_livekit_fail(world: World, kind: FaultKind) -> None:
    for method in ("CreateDispatch", "ListRooms", "ListParticipants", "ListDispatch"):
        world.simulator.faults.always(method, Fault(kind, seconds=60))


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE])
@in_virtual_time
async def test_all_who_joined_in_an_outage_are_served_in_the_order_of_waiting_within_the_limit(
    sqlite_database: Database, kind: FaultKind
) -> None:
    settings = {"USHER_CALLS_PER_SECOND": str(PER_SECOND), "USHER_CALLS_IN_FLIGHT": str(IN_FLIGHT)}
    async with World(sqlite_database, settings=settings) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        let_livekit_fail(world, kind)
        for number in range(CALLERS):
            world.simulator.join(f"call-{number}", f"caller-{number}")
            await world.wait(1 / CALLERS)
        await world.wait(20)
        assert not world.simulator.ledger.dispatches
        world.simulator.faults.clear()
        made = world.simulator.ledger.dispatches
        await world.until(lambda: len(made) == CALLERS, within=30, what="every caller has a dispatch")
        order = [int(one.room.removeprefix("call-")) for one in made]
        assert sorted(order) == list(range(CALLERS)), "one each"
        # Those under way as LiveKit came back are first, however long they have waited, and what they overtook follows.
        rest = order[4 * IN_FLIGHT :]
        assert sum(later < earlier for earlier, later in pairwise(rest)) <= 4, order
        times = [one.asked for one in made]
        assert max(sum(begin <= time < begin + 1 for time in times) for begin in times) <= PER_SECOND
