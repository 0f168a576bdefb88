"""An agent that vanishes while its participant is there: replaced, at once, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol.agent_dispatch import JobRestartPolicy

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_a_killed_worker_is_replaced_within_a_second_of_livekits_webhook(database: Database) -> None:
    async with World(database) as world:
        world.rule(recover="lost")
        worker = world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        lost = await world.until_status("joined")
        world.simulator.add_worker("greeter")
        world.simulator.kill_worker(worker)
        await world.until_status("ended", within=25)
        reported = world.loop.time()
        found = await world.until_status("joined", within=1.5)
        assert world.simulator.ledger.dispatches[-1].asked - reported < 1.0
        assert (found["replaces"], found["recoveries"]) == (lost["id"], 1)
        assert "CONNECTION_TIMEOUT" in world.dispatch(id=lost["id"])["reason"]
        assert world.agents("room") == [found["agent_identity"]]
        assert not world.judge().doubled


@pytest.mark.parametrize(
    ("columns", "policy"),
    [
        ({}, JobRestartPolicy.JRP_NEVER),  # one that leaves before min_stay_s is asked for again by us
        ({"recover": "never", "min_stay_s": 0}, JobRestartPolicy.JRP_ON_FAILURE),
        ({"recover": "lost", "min_stay_s": 0}, JobRestartPolicy.JRP_NEVER),
        ({"recover": "always", "min_stay_s": 0}, JobRestartPolicy.JRP_NEVER),
    ],
)
@in_virtual_time
async def test_livekit_cloud_replaces_no_agent_that_usher_replaces(
    sqlite_database: Database, columns: dict[str, Any], policy: int
) -> None:
    async with World(sqlite_database) as world:
        world.rule(**columns)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        (entry,) = world.simulator.ledger.dispatches
        assert entry.restart_policy == policy


@in_virtual_time
async def test_a_crash_loop_stops_at_the_budget(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_RECOVERY_BUDGET": "3"}) as world:
        world.rule(recover="always")
        world.simulator.add_worker("greeter", Behaviour(leaves_after=3.3))
        world.simulator.join("room", "ana")
        await world.wait(30)
        rows = world.dispatches()
        assert [row["status"] for row in rows] == ["ended"] * 4
        assert [row["recoveries"] for row in rows] == [0, 1, 2, 3]
        assert "not replaced" in rows[-1]["reason"]
        assert len(world.simulator.ledger.dispatches) == 4


@in_virtual_time
async def test_a_replacement_serves_the_callers_of_the_first(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="always", withdraw=True)
        worker = world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob")
        await world.until_status("joined")
        await world.wait(4)
        world.simulator.leave("room", "ana")
        world.simulator.add_worker("greeter")
        world.simulator.stop_worker(worker)
        await world.until(lambda: len(world.dispatches()) == 2)
        row = await world.until_status("joined")
        callers = world.rows("SELECT participant_identity FROM dispatch_callers WHERE dispatch_id = :id", id=row["id"])
        assert [one["participant_identity"] for one in callers] == ["bob"]
        world.simulator.leave("room", "bob")
        await world.until(lambda: not world.agents("room"), within=4)


@in_virtual_time
async def test_no_agent_is_sent_to_a_caller_who_left_with_the_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="lost", scope="participant")
        worker = world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob", kind="CONNECTOR")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2)
        world.simulator.add_worker("greeter")
        world.simulator.kill_worker(worker)
        world.simulator.leave("room", "ana")
        await world.until(lambda: len(world.dispatches()) == 3, within=25)
        await world.wait(10)
        assert [row["participant_identity"] for row in world.dispatches(status="joined")] == ["bob"]


@pytest.mark.parametrize("reason", [DisconnectReason.PARTICIPANT_REMOVED, DisconnectReason.ROOM_DELETED])
@in_virtual_time
async def test_an_agent_that_was_removed_is_not_replaced(sqlite_database: Database, reason: DisconnectReason) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="lost")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        world.simulator.leave("room", row["agent_identity"], reason)
        await world.wait(5)
        assert [one["status"] for one in world.dispatches()] == ["ended"]


@in_virtual_time
async def test_an_agent_that_comes_as_it_is_given_up_is_replaced_when_livekit_sends_it_away(
    sqlite_database: Database,
) -> None:
    """Over many moments at which its join may cross the deletion of its dispatch, no caller ends up alone."""
    async with World(sqlite_database, seed=3) as world:
        world.rule(answer_timeout_s=2, max_attempts=8)
        world.simulator.add_worker("greeter", Behaviour(join_after=1.97))
        for number in range(30):
            world.simulator.join(f"room-{number}", "ana")
            await world.wait(0.013)
        await world.wait(40)
        verdict = world.judge(tolerance=8)
        assert not verdict.alone, world.describe()
        assert verdict.clean, verdict
        for number in range(30):
            assert len(world.agents(f"room-{number}")) == 1


@pytest.mark.parametrize("arrival", [2.2, 2.6, 3.2, 4.0])
@in_virtual_time
async def test_an_agent_that_was_given_up_is_not_taken_for_the_next(sqlite_database: Database, arrival: float) -> None:
    """It comes while the next is being asked for, and LiveKit sends it away once it lists its job."""
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=2, max_attempts=8)
        slow = world.simulator.add_worker("greeter", Behaviour(join_after=arrival))
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.faults.always("ListRooms", Fault(FaultKind.SLOW, seconds=0.6))
        world.simulator.add_worker("greeter")
        slow.full_until = float("inf")
        await world.wait(25)
        assert not world.judge().alone, world.describe()
        assert len(world.agents("room")) == 1
        (row,) = world.dispatches(status="joined")
        assert world.agents("room") == [row["agent_identity"]]
