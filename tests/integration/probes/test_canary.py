"""Scheduled canaries: on time, by one replica, whatever LiveKit does, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, update

from app.db.record_ids import lowest_id_at
from app.db.tables import probes
from app.flows.probes.canary import Canary
from app.flows.probes.probe import ROOM_PREFIX
from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

SETTINGS = {"USHER_CANARY_AGENTS": "greeter, ghost", "USHER_CANARY_INTERVAL": "30"}


def _results(world: World, agent: str) -> Sequence[Any]:
    return [row for row in world.rows("SELECT * FROM probes ORDER BY id") if row["agent_name"] == agent]


async def _begin(world: World, minutes_ago: float) -> str:
    """Write down a probe that began so long ago and has no result yet."""
    started_at = world.clock.now() - timedelta(minutes=minutes_ago)
    row = {"id": lowest_id_at(started_at), "project": "default", "agent_name": "lost", "started_at": started_at}
    await world.usher.writer.run(lambda connection: connection.execute(insert(probes).values(row)))
    return lowest_id_at(started_at)


@in_virtual_time
async def test_every_agent_is_probed_every_interval(database: Database) -> None:
    # Given two agents on the list, of which only one has a worker
    async with World(database, settings=SETTINGS, sweep=5.0) as world:
        world.rule()
        world.simulator.add_worker("greeter", Behaviour(join_after=0.5))
        # When two minutes pass, with a caller in between
        await world.wait(40)
        world.simulator.join("support-1", "ana")
        await world.wait(75)
        # Then each was probed about every half a minute, and the results tell them apart
        came, absent = _results(world, "greeter"), _results(world, "ghost")
        assert 3 <= len(came) <= 4
        assert abs(len(came) - len(absent)) <= 1
        assert all(row["arrived"] for row in came)
        assert not any(row["arrived"] for row in absent if row["finished_at"] is not None)
        # the caller had her agent meanwhile, no probe was taken for a call, and no room is left but hers
        (dispatch,) = world.dispatches()
        assert (dispatch["participant_identity"], dispatch["status"]) == ("ana", "joined")
        await world.until(lambda: list(world.simulator.rooms.by_name) == ["support-1"], within=25)
        came = [row for row in _results(world, "greeter") if row["arrived"]]
        assert world.usher.metric("usher_probes_total", agent="greeter", outcome="arrived") == len(came)
        assert world.usher.metric("usher_probe_seconds_to_agent_count", agent="greeter") == len(came)


@in_virtual_time
async def test_several_replicas_take_turns_and_follow_one_that_is_killed(postgres_database: Database) -> None:
    async with World(postgres_database, settings=SETTINGS, replicas=3) as world:
        world.simulator.add_worker("greeter")
        await world.wait(80)
        before = len(_results(world, "greeter"))
        assert 2 <= before <= 3
        await world.replicas[0].kill()
        await world.wait(80)
        assert 2 <= len(_results(world, "greeter")) - before <= 3


@in_virtual_time
async def test_a_livekit_that_fails_is_a_result_and_ends_nothing(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        world.simulator.add_worker("greeter")
        world.simulator.faults.always("CreateRoom", Fault(FaultKind.REFUSE))
        await world.wait(50)
        failed = _results(world, "greeter")
        assert len(failed) >= 2
        assert not any(row["arrived"] for row in failed)
        assert failed[0]["detail"].startswith("CreateRoom: unavailable")
        # Once it is well again, the next probe arrives
        world.simulator.faults.clear()
        await world.wait(40)
        assert _results(world, "greeter")[-1]["arrived"]


@in_virtual_time
async def test_a_probe_under_way_does_not_hold_up_the_end(database: Database) -> None:
    async with World(database, settings=SETTINGS) as world:
        await world.wait(5)  # nobody comes: both are being waited for
        assert len(world.rows("SELECT * FROM probes WHERE finished_at IS NULL")) == 2
        before = world.clock.monotonic()
        await world.usher.stop()
        assert world.clock.monotonic() - before < 2
        assert world.rows("SELECT * FROM probes") == []
        assert world.simulator.rooms.by_name == {}


@in_virtual_time
async def test_what_a_dead_process_left_is_cleared_up_and_old_results_go(database: Database) -> None:
    async with World(database) as world:
        context = world.usher.orchestrator.context
        lost, settled, old = [await _begin(world, minutes) for minutes in (10, 20, 60 * 24 * 40)]
        others = update(probes).where(probes.c.id != lost).values(finished_at=world.clock.now())
        await world.usher.writer.run(lambda connection: connection.execute(others))
        await context.clients["default"].create_room(f"{ROOM_PREFIX}{lost}")
        # When the next turn is taken
        settings = context.settings.model_copy(update={"canary_agents": ("greeter",), "canary_interval": 30.0})
        await Canary(replace(context, settings=settings)).run_once()
        # Then
        assert world.simulator.rooms.by_name == {}
        rows = {row["id"]: row for row in world.rows("SELECT * FROM probes")}
        assert (rows[lost]["arrived"], rows[lost]["detail"]) == (None, "Usher was stopped meanwhile")
        assert rows[lost]["finished_at"] is not None
        assert rows[settled]["detail"] == ""
        assert old not in rows


@in_virtual_time
async def test_off_by_default(database: Database) -> None:
    async with World(database) as world:
        await world.wait(35)
        assert world.rows("SELECT * FROM probes") == []
