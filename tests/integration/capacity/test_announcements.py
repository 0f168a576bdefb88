"""A caller's place in the queue is announced by participant attributes; trouble with that delays no dispatch."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest

from app.db.types import parse_instant
from app.db.writer import Writer
from app.flows.context import Context
from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.integration.capacity.test_queues import agent, hang_up, queue
from tests.integration.incidents.incident_rows import a_token, ask
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def announced(world: World, room: str, identity: str) -> dict[str, str]:
    """Return what Usher has written on a caller."""
    attributes = world.simulator.participant(room, identity).attributes
    return {name: value for name, value in attributes.items() if name.startswith("usher.") and value}


def count_updates(world: World) -> list[float]:
    """Return a list that gets the time of each UpdateParticipant call."""
    moments: list[float] = []

    def note(path: str) -> None:
        if path.endswith("/UpdateParticipant"):
            moments.append(world.loop.time())

    world.wire.observers.append(note)
    return moments


def instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else parse_instant(value)


def is_told(world: World, room: str, identity: str, **wanted: str) -> Any:
    return lambda: announced(world, room, identity) == {f"usher.{name}": value for name, value in wanted.items()}


@in_virtual_time
async def test_a_caller_is_told_the_position_and_then_that_the_agent_is_there(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        world.rule(announce=True)
        world.simulator.add_worker("greeter")
        for number in range(3):
            world.simulator.join(f"room-{number}", f"ana-{number}")
            await world.wait(0.3)
        first = is_told(world, "room-0", "ana-0", state="connected")
        await world.until(first, within=5)
        await world.until(is_told(world, "room-1", "ana-1", state="queued", position="1"), within=5)
        await world.until(is_told(world, "room-2", "ana-2", state="queued", position="2"), within=5)
        await world.wait(20)
        await hang_up(world, "room-0")
        await world.until(is_told(world, "room-1", "ana-1", state="connected"), within=6)
        # The first call took as long as the next is expected to; console, API and metrics say the same
        (ended,) = world.rows("SELECT placed_at, ended_at FROM dispatches WHERE status = 'ended'")
        seconds = (instant(ended["ended_at"]) - instant(ended["placed_at"])).total_seconds()
        assert 20 < seconds < 40
        moved = {"state": "queued", "position": "1", "expected_wait_s": str(round(seconds))}
        await world.until(is_told(world, "room-2", "ana-2", **moved), within=6)
        shown = await ask(world, await a_token(world), "GET", "/api/v1/queue")
        assert shown["items"][0]["expected_wait_s"] == pytest.approx(seconds, abs=0.1)
        metrics = await world.usher.get("/metrics")
        (line,) = [one for one in metrics.splitlines() if one.startswith("usher_queue_expected_wait_seconds{")]
        assert line.startswith('usher_queue_expected_wait_seconds{agent="greeter",rule=""} ')
        assert float(line.rpartition(" ")[2]) == pytest.approx(2 * seconds, abs=0.2)


@in_virtual_time
async def test_a_caller_without_an_agent_is_told_that_it_failed(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(announce=True, queue_timeout_s=4)
        world.simulator.join("room", "ana")
        await world.until(is_told(world, "room", "ana", state="queued", position="1"), within=3)
        await world.until_status("no_show", within=6)
        await world.until(is_told(world, "room", "ana", state="failed"), within=4)


@pytest.mark.parametrize("is_answered", [True, False])
@in_virtual_time
async def test_a_caller_who_is_left_without_an_agent_is_told_of_none(database: Database, *, is_answered: bool) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=int(is_answered))
        world.rule(announce=True, recover="never", min_stay_s=0)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        wanted = {"state": "connected"} if is_answered else {"state": "queued", "position": "1"}
        await world.until(is_told(world, "room", "ana", **wanted), within=5)
        if is_answered:
            (identity,) = world.agents("room")
            world.simulator.leave("room", identity)
        else:
            await world.usher.orchestrator.operations.cancel([world.dispatch()["id"]], "maria")
        await world.until(is_told(world, "room", "ana"), within=6)
        assert announced(world, "room", "ana") == {}


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[str]:
    """Return a list that gets a line for each call of a method."""
    calls: list[str] = []
    method = getattr(owner, name)

    async def count(self: Any, *given: Any, **options: Any) -> Any:
        calls.append(name)
        return await method(self, *given, **options)

    monkeypatch.setattr(owner, name, count)
    return calls


async def calls_within(world: World, calls: list[str], seconds: float) -> int:
    calls.clear()
    await world.wait(seconds)
    return len(calls)


@in_virtual_time
async def test_callers_that_were_announced_as_failed_are_read_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = counted(monkeypatch, Context, "read")
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(announce=True, queue_timeout_s=2)
        await world.wait(10)
        idle = await calls_within(world, reads, 20)
        world.simulator.join("room", "ana")
        await world.until(is_told(world, "room", "ana", state="failed"), within=10)
        await world.wait(5)
        after = await calls_within(world, reads, 20)
        assert after < 1.2 * idle, (after, idle)


@in_virtual_time
async def test_to_announce_positions_hardly_uses_the_writer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = counted(monkeypatch, Writer, "run")
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule()
        world.simulator.join("room", "ana")
        await world.until(lambda: queue(world) == ["room"], within=5)
        await world.wait(5)
        silent = await calls_within(world, transactions, 20)
        world.database.execute("UPDATE dispatches SET announce = true")
        await world.until(is_told(world, "room", "ana", state="queued", position="1"), within=5)
        more = await calls_within(world, transactions, 20) - silent
        # Of several replicas one announces: it says every 2.5 s that it still does. SQLite has one.
        assert more <= (16 if database.kind == "postgresql" else 6), more


@in_virtual_time
async def test_nothing_is_announced_unless_the_rule_says_so(database: Database) -> None:
    async with World(database) as world:
        moments = count_updates(world)
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.wait(5)
        assert moments == []


@in_virtual_time
async def test_a_livekit_that_hangs_at_announcements_delays_no_dispatch_and_is_not_stormed(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        world.rule(announce=True)
        world.simulator.add_worker("greeter")
        moments = count_updates(world)
        world.simulator.faults.always("UpdateParticipant", Fault(FaultKind.HANG_BEFORE, seconds=60))
        for number in range(20):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 1, within=3)
        began = world.loop.time()

        def is_another_there(gone: str) -> bool:
            return [one["id"] for one in world.dispatches(status="joined")] not in ([], [gone])

        for _ in range(5):
            (row,) = world.dispatches(status="joined")
            world.simulator.finish_room(row["room_name"])
            await world.until(partial(is_another_there, row["id"]), within=4)
        assert world.loop.time() - began < 15
        await world.wait(20)
        assert len(moments) <= 8 * (world.loop.time() / 5 + 1)  # eight at once, each for the request's timeout


@in_virtual_time
async def test_announcements_do_not_make_the_sweep_report_a_change(database: Database) -> None:
    async with World(database, sweep=3) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(pattern={"event": ["participant_joined", "participant_updated"]}, announce=True)
        world.simulator.join("room", "ana")
        await world.until(is_told(world, "room", "ana", state="queued", position="1"), within=3)
        await world.wait(10)
        assert [row["type"] for row in world.events(participant_identity="ana")] == ["participant_joined"]
        assert len(world.dispatches()) == 1


@in_virtual_time
async def test_one_of_two_replicas_announces_and_the_other_takes_over(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(announce=True)
        moments = count_updates(world)
        for number in range(2):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(is_told(world, "room-1", "ana-1", state="queued", position="2"), within=5)
        await world.wait(10)
        assert len(moments) == 2
        await world.replicas[0].kill()
        world.simulator.leave("room-0", "ana-0")
        await world.until(is_told(world, "room-1", "ana-1", state="queued", position="1"), within=30)
