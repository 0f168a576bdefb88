"""A defect of Usher's own costs the room, dispatch or event that it is about; it is counted and shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.flows.sweep.stored_rooms import needs_a_check
from app.livekit.answers import seen_participant
from app.livekit.twirp import LiveKitApi
from app.observe.compare import compare
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

INTERVAL = 10.0
BAD = "bad"
"""A room that Usher fails over."""


def failing_for(real: Callable[..., Any], concerns: Callable[..., bool]) -> Callable[..., Any]:
    def wrapped(*args: Any, **options: Any) -> Any:
        if concerns(*args):
            raise ZeroDivisionError("made to fail")
        return real(*args, **options)

    return wrapped


async def noted(world: World, where: str) -> int:
    ready = await world.usher.get("/readyz")
    assert ready["status"] == "ready"
    defect = ready["defects"][where]
    assert defect["error"] == "ZeroDivisionError: made to fail"
    assert world.usher.metric("usher_defects_total", where=where) == defect["count"]
    return int(defect["count"])


@pytest.mark.parametrize("part", ["list", "compare"])
@in_virtual_time
async def test_the_sweep_goes_on_to_the_other_rooms(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    if part == "list":
        failing = failing_for(seen_participant, lambda one: one.identity == "of-bad")
        monkeypatch.setattr("app.livekit.twirp.seen_participant", failing)
    else:
        failing = failing_for(
            needs_a_check, lambda _, people, *_settled: any(one.identity == "of-bad" for one in people)
        )
        monkeypatch.setattr("app.flows.sweep.sweep_room.needs_a_check", failing)
    async with World(sqlite_database, sweep=INTERVAL) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.wait(1)
        world.simulator.webhook_faults.outage = True
        world.simulator.join(BAD, "of-bad")
        world.simulator.join("good", "ana")
        await world.until(lambda: world.agents("good"), within=INTERVAL + 4)
        assert await noted(world, "sweep") >= 1
        assert world.usher.metric("usher_sweeps_total", project="default", outcome="done") >= 1
        monkeypatch.undo()
        await world.until(lambda: world.agents(BAD), within=2 * INTERVAL + 4)


@in_virtual_time
async def test_no_show_is_handled_in_the_other_rooms(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = failing_for(compare, lambda _, seen: seen.room_name == BAD)
    monkeypatch.setattr("app.flows.room_comparison.compare", failing)
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=2, max_attempts=1)
        world.simulator.join(BAD, "bob")
        world.simulator.join("good", "ana")
        await world.until(lambda: world.dispatches(room_name="good", status="no_show"), within=20)
        assert world.dispatches(room_name=BAD, status="dispatched")
        assert await noted(world, "inspect") >= 1
        monkeypatch.undo()
        await world.until(lambda: world.dispatches(room_name=BAD, status="no_show"), within=10)


@in_virtual_time
async def test_the_other_dispatches_are_sent(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = failing_for(LiveKitApi.create_dispatch, lambda _, request: request.room_name == BAD)
    monkeypatch.setattr(LiveKitApi, "create_dispatch", failing)
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join(BAD, "bob")
        world.simulator.join("good", "ana")
        await world.until(lambda: world.agents("good"), within=3)
        assert await noted(world, "deliver") >= 1
        monkeypatch.undo()
        await world.until(lambda: world.agents(BAD), within=30)


@in_virtual_time
async def test_a_database_that_goes_during_the_evaluation_of_incidents_is_no_defect(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Exception] = []

    def gone(_connection: Any) -> Any:
        asked.append(OperationalError("SELECT 1", {}, sqlite3.OperationalError("disk I/O error")))
        raise asked[-1]

    monkeypatch.setattr("app.flows.incidents.evaluator.paused_subscriptions", gone)
    async with World(sqlite_database) as world:
        await world.until(lambda: asked, within=60)
        await world.wait(1)
        assert world.usher.metric("usher_defects_total", where="incidents") == 0
