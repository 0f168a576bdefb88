"""What a service costs while nothing happens, in statements; and that what becomes due is found all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Engine, event

from app.db.types import format_instant
from app.flows import agenda
from app.flows.agenda import Agenda
from app.flows.clock_steps import ClockCorrector
from app.flows.elapsed_time import ElapsedTime
from app.flows.loop import Loop
from app.flows.transactions import Transactions
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

MINUTE_OF_STATEMENTS = 500
"""A look at what is due each second, and the evaluation of incidents every 5 s, with the turns of replicas."""


@contextmanager
def statements() -> Iterator[list[str]]:
    """Lend a list that gets each statement of any engine."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        seen.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@in_virtual_time
async def test_an_idle_minute_costs_few_statements(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        await world.wait(20)
        with statements() as seen:
            await world.wait(60)
        assert len(seen) <= MINUTE_OF_STATEMENTS, len(seen)


@in_virtual_time
async def test_on_sqlite_an_idle_service_asks_for_the_turn_to_sweep_once_an_interval(sqlite_database: Database) -> None:
    """No other replica can have taken it."""
    async with World(sqlite_database, sweep=30) as world:
        world.rule()
        await world.wait(35)
        with statements() as seen:
            await world.wait(90)
        turns = [one for one in seen if one.startswith("SELECT heartbeats.component") and "component = ?" in one]
        assert len(turns) == 3, turns


@in_virtual_time
async def test_calls_that_last_cost_no_more_than_none(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(10):
            world.simulator.join(f"room-{number}", f"caller-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 10, within=20)
        await world.wait(20)
        with statements() as seen:
            await world.wait(60)
        assert len(seen) <= MINUTE_OF_STATEMENTS, len(seen)


@in_virtual_time
async def test_what_another_process_makes_due_is_found_within_a_second(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(20.5)
        world.database.execute(
            "UPDATE dispatches SET status = 'pending', next_attempt_at = :now, attempts = 0, must_look = true",
            now=format_instant(world.clock.now()),
        )
        await world.until(lambda: world.dispatches()[0]["status"] != "pending", within=1.3)


class _Loops:
    """Stands in for the loops: remembers in how many seconds each is to be called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __getitem__(self, name: str) -> Loop:
        class Recorder:
            def wake_in(_self, seconds: float) -> None:  # noqa: N805 - `self` is the outer one
                self.seconds[name] = seconds

        return cast("Loop", Recorder())


DUE = {
    "deliver": "UPDATE dispatches SET status = 'pending', next_attempt_at = :due",
    "inspect": "UPDATE dispatches SET status = 'dispatched', answer_deadline = :due",
    "doubts": "UPDATE dispatches SET doubtful_until = :due",
    "caller actions": "UPDATE caller_actions SET next_attempt_at = :due",
}
DUE_NOW = {
    "deliver": "UPDATE dispatches SET status = 'pending', queued_at = :due, next_attempt_at = NULL",
    "announce": "UPDATE dispatches SET announce = true WHERE :due <> ''",
    "lookups": "UPDATE events SET outcome = 'looking_up', lookup_due_at = :due",
    "messages": "INSERT INTO notifications (name, url) SELECT 'ops', 'json://localhost' WHERE :due <> ''",
}


@contextmanager
def looks(world: World) -> Iterator[tuple[Agenda, _Loops]]:
    """Lend an agenda of the running service, with loops that only remember."""
    context, loops = world.usher.orchestrator.context, _Loops()
    elapsed = ElapsedTime(context.clock)
    corrector = ClockCorrector(context, Transactions(context.writer, lambda _: None), elapsed, tuple)
    yield Agenda(context, cast("Any", loops), corrector), loops


async def standing(world: World) -> None:
    """Let there be an answered call, and an action on a caller that LiveKit does not carry out."""
    world.rule("removed", None, {"participant": {"identity": ["bob"]}}, action="remove", priority=1)
    world.rule()
    world.simulator.add_worker("greeter")
    world.simulator.join("room", "ana")
    await world.until_status("joined")
    world.simulator.join("other", "bob")
    await world.until(lambda: world.rows("SELECT 1 FROM caller_actions WHERE status = 'done'"), within=20)
    await world.usher.orchestrator.stop()


@pytest.mark.parametrize("flow", DUE)
@in_virtual_time
async def test_each_loop_is_woken_when_something_is_due_for_it(database: Database, flow: str) -> None:
    async with World(database) as world:
        await standing(world)
        if flow == "caller actions":
            world.database.execute("UPDATE caller_actions SET status = 'pending'")
        with looks(world) as (agenda_of_world, loops):
            for seconds, expected in ((-5.0, -5.0), (0.5, 0.5), (5.0, None)):
                loops.seconds.clear()
                due = format_instant(world.clock.now() + timedelta(seconds=seconds))
                world.database.execute(DUE[flow], due=due)
                found = await agenda_of_world.run_once()
                assert found == {"due": 0 if expected is None else 1}
                assert loops.seconds.get(flow) == (None if expected is None else pytest.approx(expected, abs=0.1))


@pytest.mark.parametrize("flow", DUE_NOW)
@in_virtual_time
async def test_each_loop_is_woken_while_it_has_something_to_do(database: Database, flow: str) -> None:
    async with World(database) as world:
        await standing(world)
        with looks(world) as (agenda_of_world, loops):
            assert await agenda_of_world.run_once() == {"due": 0}
            world.database.execute(DUE_NOW[flow], due=format_instant(world.clock.now()))
            assert await agenda_of_world.run_once() == {"due": 1}
            assert loops.seconds == {flow: 0.0}


@in_virtual_time
async def test_a_clock_set_back_wakes_the_correction_of_deadlines(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        await standing(world)
        with looks(world) as (agenda_of_world, loops):
            await agenda_of_world.run_once()
            world.clock.jumped += 600
            await agenda_of_world.run_once()
            assert loops.seconds == {}
            world.clock.jumped -= 600
            await agenda_of_world.run_once()
            assert loops.seconds == {agenda.CLOCK: 0.0}
            await world.wait(6)
            loops.seconds.clear()
            await agenda_of_world.run_once()
            assert loops.seconds == {}
