"""Callers wait from their join on, also if its webhook was retried or lost, and whatever LiveKit's clock says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from app.audit import CallFilter, count_attainment, dispatch_statistics, list_calls, objective_targets
from tests.conftest import Database
from tests.world.replica import Replica
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

OBJECTIVE: dict[str, Any] = {"objective_percent": 95, "objective_s": 4}


def missed(world: World) -> tuple[int, int]:
    """Return how many calls count for the objective, and how many of them missed it."""
    with world.database.reader_engine().connect() as connection:
        (target,) = objective_targets(connection)
        (found,) = count_attainment(connection, target=target, now=world.clock.now(), windows=[1])
    return found.calls, found.missed


def waits(world: World) -> list[float]:
    """Return how long each caller has waited for the agent, as lists of calls show it."""
    with world.database.reader_engine().connect() as connection:
        calls = list_calls(connection, CallFilter(), limit=50).items
        now = world.clock.now()
        figures = dispatch_statistics(connection, now - timedelta(hours=1), now).overall
    found = sorted(one.seconds_to_agent or 0.0 for one in calls)
    assert figures.seconds_to_agent.p99 == pytest.approx(found[-1], abs=0.01)
    return found


async def serve(world: World, room: str) -> Any:
    world.simulator.join(room, f"caller of {room}")
    return await world.until_status("joined", room_name=room, within=60)


@pytest.mark.parametrize("ahead_s", [0.0, 300.0, -300.0])
@in_virtual_time
async def test_a_webhook_that_was_retried_misses_the_objective(database: Database, ahead_s: float) -> None:
    async with World(database) as world:
        world.clock.jumped = ahead_s  # of Usher's clock; LiveKit's stays
        world.rule(**OBJECTIVE)
        world.simulator.add_worker("greeter")
        first = await serve(world, "first")
        assert first["waiting_since"] is None
        await world.wait(90)
        second = await serve(world, "second")
        assert second["waiting_since"] is None
        assert missed(world) == (2, 0)

        fails_until, route = world.loop.time() + 5, world.route

        def failing(body: bytes) -> Sequence[Replica]:
            return route(body) if world.loop.time() >= fails_until else []

        world.route = failing
        third = await serve(world, "third")
        waited = world.instant(third["joined_at"]) - world.instant(third["waiting_since"])
        assert 6.9 < waited.total_seconds() < 8.5  # LiveKit tried after 1, 3 and 7 s
        assert missed(world) == (3, 1)
        assert waits(world)[-1] == pytest.approx(waited.total_seconds(), abs=0.01)


@in_virtual_time
async def test_a_caller_that_the_sweep_finds_has_waited_since_joining(database: Database) -> None:
    async with World(database, sweep=20) as world:
        world.rule(**OBJECTIVE)
        world.simulator.add_worker("greeter")
        await serve(world, "first")
        route = world.route
        world.route = lambda _: []
        world.simulator.join("second", "bob")
        joined_at = world.clock.now()
        await world.wait(16)  # until LiveKit has given up
        world.route = route
        row = await world.until_status("joined", room_name="second", within=60)
        assert abs((world.instant(row["waiting_since"]) - joined_at).total_seconds()) < 0.5
        assert world.instant(row["created_at"]) > world.instant(row["waiting_since"])
        assert missed(world) == (2, 1)
        assert waits(world)[-1] > 4
