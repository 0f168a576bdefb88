"""An outage of LiveKit, in each of its forms: few requests while it lasts, and the first to join served first."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest

from app.flows.deliver.recovery import PROBES
from app.flows.deliver.room_checks import RoomChecks
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.twirp import DOWN_AFTER
from app.outbox.dispatch_store import hasten_retries, read_locked
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Simulator
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

CALLERS, IN_FLIGHT, DOWN_S = 200, 16, 20
METHODS = ("CreateDispatch", "ListRooms", "ListParticipants", "ListDispatch")
REFUSED = Fault(FaultKind.REFUSE)
WRONG_KEY = Fault(FaultKind.REFUSE, code="unauthenticated")
TOO_MANY = Fault(FaultKind.REFUSE, code="resource_exhausted")
HANGING = Fault(FaultKind.HANG_BEFORE, seconds=60)


def settings(calls_per_second: float) -> dict[str, str]:
    return {"USHER_CALLS_PER_SECOND": str(calls_per_second), "USHER_CALLS_IN_FLIGHT": str(IN_FLIGHT)}


def let_fail(simulator: Simulator, fault: Fault) -> None:
    for method in METHODS:
        simulator.faults.always(method, fault)


async def join(world: World, simulator: Simulator) -> None:
    """Let callers join within a second."""
    for number in range(CALLERS):
        simulator.join(f"call-{number}", f"caller-{number}")
        await world.wait(1 / CALLERS)


def under_way(world: World) -> set[int]:
    """Return the numbers of the callers that LiveKit is being called for."""
    return {int(one["room_name"].removeprefix("call-")) for one in world.dispatches(status="sending")}


async def order_of_calls(world: World) -> list[int]:
    """Let LiveKit answer again; return the numbers of the callers in the order of their dispatches."""
    world.simulator.faults.clear()
    made = world.simulator.ledger.dispatches
    await world.until(lambda: len(made) >= CALLERS, within=40, what="every caller has a dispatch")
    order = [int(one.room.removeprefix("call-")) for one in made]
    assert sorted(order) == list(range(CALLERS)), "one each"
    return order


def places_off(order: list[int]) -> int:
    """Return by how many places the order is not that of joining, 90th percentile."""
    return sorted(abs(number - place) for place, number in enumerate(order))[int(len(order) * 0.9)]


def inversions(order: list[int]) -> int:
    return sum(later < earlier for earlier, later in pairwise(order[PROBES:]))


def requests(simulator: Simulator, since: float) -> int:
    return sum(one.asked >= since for one in simulator.ledger.calls)


@pytest.mark.parametrize("calls_per_second", [0, 50])
@pytest.mark.parametrize("fault", [REFUSED, WRONG_KEY, TOO_MANY, HANGING])
@in_virtual_time
async def test_the_first_to_join_is_served_first_however_livekit_fails_and_it_gets_few_requests(
    sqlite_database: Database, fault: Fault, calls_per_second: int
) -> None:
    async with World(sqlite_database, settings=settings(calls_per_second)) as world:
        world.rule()
        let_fail(world.simulator, fault)
        await join(world, world.simulator)
        noticed = world.loop.time()
        await world.wait(DOWN_S)
        # It is noticed after ten calls, those under way end, and without a sweep it is asked every 5 s besides.
        assert requests(world.simulator, noticed) <= DOWN_S * (PROBES + 1) + DOWN_AFTER + IN_FLIGHT
        back = world.loop.time()
        probes = under_way(world)
        assert len(probes) <= PROBES
        order = await order_of_calls(world)
        assert places_off(order) <= 2 * IN_FLIGHT, order
        # Those that hang as LiveKit comes back have to time out, and are late wherever they stand.
        in_time = [number for number in order if number not in probes]
        assert inversions(in_time) <= 6, order
        # What hangs has to time out first.
        assert world.loop.time() - back < (CALLERS / calls_per_second * 1.2 if calls_per_second else 0.0) + 6.5


@in_virtual_time
async def test_a_check_that_failed_says_nothing_about_livekit_a_moment_later(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        let_fail(world.simulator, REFUSED)
        world.simulator.join("room", "ana")
        await world.until_status("pending")
        context = world.usher.orchestrator.context
        checks, client = RoomChecks(context), context.clients["default"]
        [dispatch] = (await world.usher.writer.run(partial(read_locked, ids=[world.dispatch()["id"]]))).values()
        with pytest.raises(LiveKitUnavailableError):
            await checks.check(dispatch._replace(must_look=False), client)
        world.simulator.faults.clear()
        found = await checks.check(dispatch._replace(must_look=False), client)
        assert [one.identity for one in found.seen.participants] == ["ana"]


@pytest.mark.parametrize("fault", [REFUSED, HANGING])
@pytest.mark.parametrize("later_s", [0.0, 15.0])
@in_virtual_time
async def test_an_usher_that_was_killed_serves_the_first_to_join_first(
    sqlite_database: Database, fault: Fault, later_s: float
) -> None:
    async with World(sqlite_database, settings=settings(50)) as world:
        world.rule()
        let_fail(world.simulator, fault)
        await join(world, world.simulator)
        await world.wait(DOWN_S)
        await world.usher.kill()
        await world.add_replica()
        await world.wait(later_s)
        order = await order_of_calls(world)
        # The eight of the dead process wait until its calls can have no effect any more.
        assert inversions(order) <= 3, order


@in_virtual_time
async def test_those_whom_a_dead_process_was_calling_for_do_not_come_last(database: Database) -> None:
    async with World(database, settings=settings(50)) as world:
        world.rule()
        let_fail(world.simulator, HANGING)
        await join(world, world.simulator)
        await world.usher.kill()
        held = under_way(world)
        assert len(held) == IN_FLIGHT
        await world.add_replica()
        await world.wait(DOWN_S)
        order = await order_of_calls(world)
        assert held <= set(order[: 2 * IN_FLIGHT + PROBES]), order


@pytest.mark.parametrize("calls_per_second", [10, 50])
@pytest.mark.parametrize("fault", [REFUSED, HANGING])
@in_virtual_time
async def test_projects_whose_livekit_is_down_take_no_calls_per_second_of_another(
    sqlite_database: Database, fault: Fault, calls_per_second: int
) -> None:
    projects = ["well", "down-1", "down-2", "down-3"]
    async with World(sqlite_database, projects=projects, settings=settings(calls_per_second)) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for project in projects[1:]:
            let_fail(world.simulators[project], fault)
            await join(world, world.simulators[project])
        await world.wait(DOWN_S)
        joined = {}
        for number in range(10 * calls_per_second):
            joined[f"room-{number}"] = world.loop.time()
            world.simulator.join(f"room-{number}", f"caller-{number}")
            await world.wait(1.25 / calls_per_second)
        await world.wait(2)
        waited = [one.asked - joined[one.room] for one in world.simulator.ledger.dispatches]
        assert len(waited) == len(joined)
        assert max(waited) < 1


@in_virtual_time
async def test_what_another_replica_holds_is_not_waited_for_and_no_call_is_repeated_early(database: Database) -> None:
    async with World(database, settings=settings(0)) as world:
        world.rule()
        let_fail(world.simulator, HANGING)
        for number in range(5):
            world.simulator.join(f"room-{number}", "ana")
        await world.until(lambda: len(world.dispatches(cause="outcome_unknown")) == 5, within=6)
        await world.usher.stop()
        assert world.dispatches(status="pending")
        due = max(world.instant(one["next_attempt_at"]) for one in world.dispatches())
        early = min(world.instant(one["next_attempt_at"]) for one in world.dispatches()) - timedelta(milliseconds=1)
        held = world.dispatches()[0]["id"]
        with ExitStack() as stack:
            one = stack.enter_context(database.writer_engine().begin())
            assert hasten_retries(one, early, "default", limit=9) == 0
            if database.kind == "postgresql":
                other = stack.enter_context(database.writer_engine().begin())
                read_locked(other, [held])
                assert hasten_retries(one, due, "default", limit=9) == 4
            else:
                assert hasten_retries(one, due, "default", limit=9) == 5
