"""LiveKit answers nothing for a while, and then again: who is served first, and how fast LiveKit is called."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.flows.deliver.recovery import PROBES
from app.outbox.dispatch_store import hasten_retries
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Mishap
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLERS, PER_SECOND, IN_FLIGHT = 200, 50, 16
SETTINGS = {"USHER_CALLS_PER_SECOND": str(PER_SECOND), "USHER_CALLS_IN_FLIGHT": str(IN_FLIGHT)}


def let_livekit_fail(world: World, kind: FaultKind) -> None:
    for method in ("CreateDispatch", "ListRooms", "ListParticipants", "ListDispatch"):
        world.simulator.faults.always(method, Fault(kind, seconds=60))


async def order_of_calls(world: World, *, down_for_s: float) -> list[int]:
    """Let callers join within a second while LiveKit is down; return their numbers in the order of their dispatches."""
    for number in range(CALLERS):
        world.simulator.join(f"call-{number}", f"caller-{number}")
        await world.wait(1 / CALLERS)
    await world.wait(down_for_s)
    assert not world.simulator.ledger.dispatches
    world.simulator.faults.clear()
    made = world.simulator.ledger.dispatches
    await world.until(lambda: len(made) == CALLERS, within=30, what="every caller has a dispatch")
    order = [int(one.room.removeprefix("call-")) for one in made]
    assert sorted(order) == list(range(CALLERS)), "one each"
    return order


def inversions(order: list[int]) -> int:
    """Return how often a caller was served right before one who had joined earlier.

    Those that find out that LiveKit is back are first, however long they have waited, and leave gaps where they were.
    """
    return sum(later < earlier for earlier, later in pairwise(order[PROBES:]))


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.RESET_BEFORE, FaultKind.HANG_BEFORE])
@in_virtual_time
async def test_all_who_joined_in_an_outage_are_served_in_the_order_of_waiting_within_the_limit(
    sqlite_database: Database, kind: FaultKind
) -> None:
    async with World(sqlite_database, settings=SETTINGS) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        let_livekit_fail(world, kind)
        order = await order_of_calls(world, down_for_s=20)
        assert inversions(order) <= 2, order
        times = [one.asked for one in world.simulator.ledger.dispatches]
        assert max(sum(begin <= time < begin + 1 for time in times) for begin in times) <= PER_SECOND
        assert times[-1] - times[0] < 1.4 * CALLERS / PER_SECOND


@pytest.mark.parametrize("ahead_s", [0.0, 300.0])
@in_virtual_time
async def test_webhooks_that_overtake_each_other_do_not_change_the_order_of_joining(
    database: Database, ahead_s: float
) -> None:
    async with World(database, settings=SETTINGS) as world:
        world.clock.jumped = ahead_s  # of Usher's clock; LiveKit's stays
        world.rule()
        world.simulator.add_worker("greeter")
        let_livekit_fail(world, FaultKind.REFUSE)
        for number in range(CALLERS):
            # By up to 1.2 s: what is later than a second is dated, and what is earlier counts from its receipt.
            world.simulator.webhook_faults.order(
                Mishap.DELAY, event="participant_joined", room=f"call-{number}", seconds=number * 7 % 13 / 10
            )
        order = await order_of_calls(world, down_for_s=5)
        assert inversions(order) <= 2, order


@in_virtual_time
async def test_few_calls_are_under_way_to_a_livekit_that_is_down(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings=SETTINGS) as world:
        world.rule()
        let_livekit_fail(world, FaultKind.HANG_BEFORE)
        for number in range(CALLERS):
            world.simulator.join(f"call-{number}", f"caller-{number}")
        timeout_s = world.settings.request_timeout
        await world.wait(1.5 * timeout_s)  # the first have timed out
        noticed = world.loop.time()
        await world.wait(4 * timeout_s)
        asked = [one.asked for one in world.simulator.ledger.calls if one.asked >= noticed]
        assert len(asked) >= 3 * PROBES
        together = max(sum(begin <= time < begin + 0.9 * timeout_s for time in asked) for begin in asked)
        assert together <= PROBES + 1  # every 10 s it is asked beside these whether it answers


@in_virtual_time
async def test_retries_are_made_due_in_steps_as_of_their_joins(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        world.rule()
        let_livekit_fail(world, FaultKind.REFUSE)
        for number in range(30):
            world.simulator.join(f"call-{number}", f"caller-{number}")
        await world.wait(5)
        await world.usher.stop()
        with database.writer_engine().begin() as connection:
            found = [hasten_retries(connection, world.clock.now(), "default", limit=7) for _ in range(6)]
        assert found == [7, 7, 7, 7, 2, 0]
        events = {row["id"]: row["occurred_at"] for row in world.rows("SELECT id, occurred_at FROM events")}
        assert all(one["next_attempt_at"] == events[one["event_id"]] for one in world.dispatches())
