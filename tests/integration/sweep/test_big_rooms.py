"""One room with very many people: requests and rows are counted, so that no machine's speed decides."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from app.flows.arrival.close_rooms import ENDED_AT_ONCE
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import write_moves
from app.outbox.move import Move
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Mishap
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

FEW, MANY = 150, 450


def fill(world: World, people: int) -> None:
    for number in range(people):
        world.simulator.join("arena", f"caller-{number}")


def calls_of(world: World) -> Counter[str]:
    calls: Counter[str] = Counter()
    world.wire.observers.append(lambda path: calls.update([path.rpartition("/")[2]]))
    return calls


def count_rows(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the rows of dispatches that the writer reads, which runs in this thread; comparisons have their own."""
    rows: Counter[str] = Counter()
    read = Dispatch.from_values.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Dispatch], values: Iterable[Any]) -> Dispatch:
        rows["writer" if threading.current_thread() is threading.main_thread() else "thread"] += 1
        found: Dispatch = read(cls, values)
        return found

    monkeypatch.setattr(Dispatch, "from_values", classmethod(counted))
    return rows


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_room_is_listed_a_few_times_however_many_people_the_sweep_finds_in_it(
    sqlite_database: Database, scope: str
) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule(scope=scope)
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.outage = True
        calls = calls_of(world)
        fill(world, FEW)
        await world.wait(12)
        wanted = 1 if scope == "room" else FEW
        assert len(world.dispatches(status="joined")) == wanted
        # Three sweeps, each of which lists the room again after the grace of young callers, and the checks of the room.
        assert calls["ListParticipants"] <= 30


@in_virtual_time
async def test_everybody_of_a_crowd_gets_one_agent(database: Database) -> None:
    async with World(database, sweep=5) as world:
        world.rule(scope="participant", withdraw=True)
        world.simulator.add_worker("greeter")
        calls = calls_of(world)
        fill(world, FEW)
        await world.until(lambda: len(world.dispatches(status="joined")) == FEW, within=15)
        assert len(world.agents("arena")) == FEW
        assert calls["ListParticipants"] <= 60
        for number in range(0, FEW, 3):
            world.simulator.leave("arena", f"caller-{number}")
        await world.until(lambda: len(world.agents("arena")) == FEW * 2 // 3, within=30)
        assert len(world.dispatches(status="joined")) == FEW * 2 // 3
        world.simulator.finish_room("arena")
        await world.until(lambda: not world.dispatches(status="joined"), within=5)


async def rows_for(database: Database, people: int, monkeypatch: pytest.MonkeyPatch) -> int:
    async with World(database, sweep=5) as world:
        world.rule(name=f"all-{people}", scope="participant")
        world.simulator.add_worker("greeter")
        with monkeypatch.context() as patched:
            rows = count_rows(patched)
            for number in range(people):
                world.simulator.join(f"arena-{people}", f"caller-{number}")
                await world.wait(0.01)
            await world.until(lambda: len(world.dispatches(status="joined")) >= people, within=20)
        return rows["writer"]


@in_virtual_time
async def test_the_writer_reads_rows_in_proportion_to_the_people_in_a_room(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = await rows_for(sqlite_database, FEW, monkeypatch)
    for table in ("routing_rules", "dispatches", "events"):  # SIDs repeat from world to world
        sqlite_database.execute(f"DELETE FROM {table}")
    many = await rows_for(sqlite_database, MANY, monkeypatch)
    # An event of the crowd reads a few rows; each used to read all of the room, 450 x 450 here.
    assert many / MANY <= 1.5 * few / FEW
    assert many < MANY * 100


@in_virtual_time
async def test_a_room_is_listed_a_few_times_however_many_agents_are_taken_out_of_it(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(scope="participant", withdraw=True)
        world.simulator.add_worker("greeter")
        fill(world, FEW)
        await world.until(lambda: len(world.dispatches(status="joined")) == FEW, within=15)
        for method in ("ListParticipants", "ListDispatch"):  # as long as a list of thousands takes
            world.simulator.faults.always(method, Fault(FaultKind.SLOW, seconds=0.1))
        calls = calls_of(world)
        for number in range(FEW - 1):
            world.simulator.leave("arena", f"caller-{number}")
        await world.until(lambda: len(world.agents("arena")) == 1, within=30)
        # Each withdrawal used to list the room two to five times.
        assert calls["ListParticipants"] + calls["ListDispatch"] <= FEW / 2
        assert len(world.dispatches(status="ended")) == FEW - 1


@in_virtual_time
async def test_a_room_is_listed_a_few_times_however_many_agents_do_not_join(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(scope="participant", answer_timeout_s=7, max_attempts=1)
        calls = calls_of(world)
        fill(world, FEW)
        await world.until(lambda: len(world.dispatches(status="no_show")) == FEW, within=60)
        assert calls["ListParticipants"] + calls["ListDispatch"] <= FEW / 2


@in_virtual_time
async def test_a_crowded_room_that_closes_is_ended_in_small_transactions(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with World(sqlite_database) as world:
        world.rule(scope="participant")
        world.simulator.add_worker("greeter")
        fill(world, FEW)
        await world.until(lambda: len(world.dispatches(status="joined")) == FEW, within=15)
        sizes: list[int] = []

        def counted(connection: Connection, moves: Sequence[Move]) -> None:
            sizes.append(len(moves))
            write_moves(connection, moves)

        monkeypatch.setattr("app.lifecycle.transition.write_moves", counted)
        world.simulator.webhook_faults.order(Mishap.DROP, event="participant_left", times=None)
        world.simulator.finish_room("arena")
        await world.until(lambda: not world.dispatches(status="joined"), within=5)
        assert {row["cause"] for row in world.dispatches(status="ended")} == {"room_closed"}
        assert len(world.dispatches(status="ended")) == FEW
        assert max(sizes) <= ENDED_AT_ONCE
