"""Canaries: whether an agent comes, how fast, why not; and nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from app.flows.probes.probe import Prober
from app.simulator import Behaviour, Fault, FaultKind, Refusal
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def _prober(world: World) -> Prober:
    context = world.usher.orchestrator.context
    return Prober("default", context.clients["default"], context.writer, context.clock, context.metrics)


def _row(world: World) -> Any:
    (row,) = world.rows("SELECT * FROM probes")
    return row


@in_virtual_time
async def test_an_agent_that_comes_is_timed_and_its_room_closed(database: Database) -> None:
    # Given a service that sweeps, a rule for every caller, and a worker whose agent takes half a second
    async with World(database, sweep=1.0) as world:
        world.rule()
        world.simulator.add_worker("greeter", Behaviour(join_after=0.5))
        # When the agent is probed
        result = await _prober(world).probe("greeter")
        # Then its arrival is timed and written down
        assert result.arrived
        assert result.milliseconds_to_agent is not None
        assert 500 <= result.milliseconds_to_agent <= 900
        assert (result.detail, result.agent_name) == ("", "greeter")
        row = _row(world)
        assert (row["id"], bool(row["arrived"]), row["milliseconds_to_agent"]) == (
            result.id, True, result.milliseconds_to_agent,
        )  # fmt: skip
        assert row["finished_at"] is not None
        assert world.usher.metric("usher_probes_total", agent="greeter", outcome="arrived") == 1
        # And no room is left, no room was made by the dispatch, and the probe counts as no call
        await world.wait(5)
        assert world.simulator.rooms.by_name == {}
        (asked,) = world.simulator.ledger.dispatches
        assert not asked.created_room
        assert asked.attributes == {"usher.probe": result.id}
        assert f'"probe": "{result.id}"' in asked.metadata
        assert world.dispatches() == []


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (None, "no agent came within 8 s: no worker took the job"),
        (Behaviour(never_joins=True), "no agent came within 8 s: a worker took job AJ_"),
        (Behaviour(refusal=Refusal.TERMINATE), "no agent came within 8 s: a worker took job AJ_"),
    ],
)
@in_virtual_time
async def test_an_agent_that_does_not_join_is_reported_with_the_cause(
    database: Database, behaviour: Behaviour | None, cause: str
) -> None:
    async with World(database) as world:
        if behaviour is not None:
            world.simulator.add_worker("greeter", behaviour)
        result = await _prober(world).probe("greeter", timeout_s=8.0)
        assert not result.arrived
        assert result.milliseconds_to_agent is None
        assert result.detail.startswith(cause)
        assert _row(world)["detail"] == result.detail
        assert world.usher.metric("usher_probes_total", agent="greeter", outcome="absent") == 1
        assert world.simulator.rooms.by_name == {}


@in_virtual_time
async def test_an_answer_that_is_lost_does_not_hide_the_agent(database: Database) -> None:
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.ERROR_AFTER))
        world.simulator.faults.script("ListParticipants", Fault(FaultKind.REFUSE))
        result = await _prober(world).probe("greeter")
        assert result.arrived


@in_virtual_time
async def test_trouble_of_livekit_is_the_detail_and_no_error(database: Database) -> None:
    async with World(database) as world:
        prober = _prober(world)
        # A dispatch that is refused
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.REFUSE, "permission_denied"))
        refused = await prober.probe("greeter")
        assert refused.detail.startswith("LiveKit refused the dispatch: permission_denied")
        # A room that cannot be made
        world.simulator.faults.always("CreateRoom", Fault(FaultKind.REFUSE))
        assert (await prober.probe("greeter")).detail.startswith("CreateRoom: unavailable")
        world.simulator.faults.always("CreateRoom", None)
        # A room that is deleted at the second try, and one that is not
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("DeleteRoom", Fault(FaultKind.REFUSE))
        assert (await prober.probe("greeter")).detail == ""
        world.simulator.faults.always("DeleteRoom", Fault(FaultKind.REFUSE))
        stuck = await prober.probe("greeter")
        assert stuck.arrived
        assert "could not be deleted" in stuck.detail
        assert len(world.rows("SELECT * FROM probes WHERE finished_at IS NOT NULL")) == 4


@in_virtual_time
async def test_several_agents_are_probed_at_once(database: Database) -> None:
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        assert await _prober(world).run_once(["greeter", "ghost"], timeout_s=2.0) == {"arrived": 1, "absent": 1}
