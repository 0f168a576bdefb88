"""Who holds a call: leases that end, clocks that jump, processes that die, replicas that share the work."""

from __future__ import annotations

import asyncio

import pytest

from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.replica import Replica
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

LEASE_S = 15.0


@in_virtual_time
async def test_a_delivery_longer_than_its_lease_is_not_begun_twice(database: Database) -> None:
    """LiveKit answers each question at the last moment, and the clock jumps over the lease meanwhile."""
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.RESET_BEFORE))
        for method in ("ListRooms", "ListParticipants", "ListDispatch"):
            world.simulator.faults.script(method, Fault(FaultKind.HANG_AFTER, seconds=4.9))
        world.simulator.join("room", "ana")
        await world.until(lambda: world.simulator.ledger.counts["ListRooms"], what="it looks")
        world.clock.jumped += 3600
        await world.until_status("joined", within=60)
        await world.wait(20)
        assert len(world.simulator.ledger.dispatches) == 1, world.describe()
        assert world.judge().clean


@in_virtual_time
async def test_a_call_under_way_when_the_clock_jumps_forward_is_made_once(sqlite_database: Database) -> None:
    await _jump_in_the_midst_of_a_call(sqlite_database, replicas=1)


@in_virtual_time
async def test_a_call_under_way_when_the_clock_jumps_forward_is_not_made_by_another_replica(
    postgres_database: Database,
) -> None:
    await _jump_in_the_midst_of_a_call(postgres_database, replicas=2)


async def _jump_in_the_midst_of_a_call(database: Database, replicas: int) -> None:
    # The webhook of the agent's join bears a time that the verifier does not believe: the sweep sees it.
    async with World(database, sweep=5, replicas=replicas) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.SLOW, seconds=3))
        world.simulator.join("room", "ana")
        await world.until(lambda: world.simulator.ledger.counts["CreateDispatch"])
        world.clock.jumped += 3600
        await world.until_status("joined", within=10)
        await world.wait(20)
        assert len(world.simulator.ledger.dispatches) == 1, world.describe()


@in_virtual_time
async def test_after_the_clock_jumped_forward_a_dead_replicas_call_is_checked_when_its_lease_really_ends(
    postgres_database: Database,
) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_BEFORE, seconds=60))
        world.simulator.join("room", "ana")
        await world.until_status("sending")
        await world.replicas[0].kill()
        world.clock.jumped += 3600
        await world.until_status("joined", within=LEASE_S + 2)
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("moment", ["pending", "dispatched", "sending"])
@in_virtual_time
async def test_a_clock_set_back_delays_no_dispatch(database: Database, moment: str) -> None:
    async with World(database) as world:
        world.rule(answer_timeout_s=2, max_attempts=20)
        fault = {
            "pending": Fault(FaultKind.RESET_BEFORE),
            "dispatched": None,
            "sending": Fault(FaultKind.SLOW, seconds=1),
        }[moment]
        if fault is not None:
            world.simulator.faults.script("CreateDispatch", fault)
        world.simulator.join("room", "ana")
        await world.until_status(moment)
        world.clock.jumped -= 7200
        world.simulator.add_worker("greeter")
        await world.until_status("joined", within=15)
        await world.wait(10)
        assert world.judge().clean, world.describe()


@in_virtual_time
async def test_what_a_dead_process_held_is_freed_although_the_clock_was_set_back(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_BEFORE, seconds=60))
        world.simulator.join("room", "ana")
        await world.until_status("sending")
        await world.usher.kill()
        world.clock.jumped -= 7200
        await world.add_replica()
        await world.until_status("joined", within=25)
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER])
@in_virtual_time
async def test_a_dead_replicas_call_is_checked_by_the_other_within_the_lease(
    postgres_database: Database, kind: FaultKind
) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.rule()
        if kind is FaultKind.HANG_BEFORE:
            world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(kind, seconds=60))
        world.simulator.join("room", "ana")
        await world.until_status("sending")
        await world.replicas[0].kill()
        row = await world.until_status("joined" if kind is FaultKind.HANG_BEFORE else "dispatched", within=LEASE_S + 2)
        assert len(world.simulator.ledger.dispatches) == 1
        assert world.attempts(row["id"])[0]["error_code"] == "crash"


@in_virtual_time
async def test_pending_work_of_a_dead_replica_goes_on_in_the_other(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.rule(agent_name="late", answer_timeout_s=2, max_attempts=10)
        for number in range(8):
            world.simulator.join(f"room-{number}", "ana")
        await world.until(lambda: len(world.dispatches(status="dispatched")) == 8)
        await world.replicas[0].kill()
        world.simulator.add_worker("late")
        await world.until(lambda: len(world.dispatches(status="joined")) == 8, within=LEASE_S + 10)
        assert world.judge().clean


@in_virtual_time
async def test_the_same_webhook_to_two_replicas_makes_one_dispatch(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.route = lambda _: world.replicas
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(10):
            world.simulator.join(f"room-{number}", "ana")
        await world.until(lambda: len(world.dispatches(status="joined")) == 10)
        assert len(world.dispatches()) == 10
        assert len(world.simulator.ledger.dispatches) == 10
        assert len(world.events(type="participant_joined", participant_kind="STANDARD")) == 10


@in_virtual_time
async def test_one_replica_sweeps_and_the_other_follows_when_it_is_killed(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2, sweep=10) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.wait(12)

        def sweeps(replica: Replica) -> float:
            return replica.metric("usher_sweeps_total", project="default", outcome="done")

        before = [sweeps(replica) for replica in world.replicas]
        await world.wait(60)
        swept = [sweeps(replica) - count for replica, count in zip(world.replicas, before, strict=True)]
        assert 5 <= sum(swept) <= 7, "one sweep per interval, by either replica"
        sweeper = world.replicas[swept.index(max(swept))]
        other = next(replica for replica in world.replicas if replica is not sweeper)
        await sweeper.kill()
        world.route = lambda _: ()
        world.simulator.join("room", "ana")
        await world.until(lambda: world.agents("room"), within=1.5 * 10 + 4)
        assert sweeps(other) > 0


@in_virtual_time
async def test_a_rule_edited_anywhere_holds_in_both_replicas(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2) as world:
        world.rule(agent_name="first")
        for number, agent in enumerate(("first", "second", "third")):
            world.database.execute("UPDATE routing_rules SET agent_name = :agent", agent=agent)
            for index in (0, 1):
                world.route = lambda _, index=index: [world.replicas[index]]  # type: ignore[misc] # bound now
                world.simulator.join(f"room-{number}-{index}", "ana")
                await world.until(lambda: world.dispatches(room_name=f"room-{number}-{index}"))  # noqa: B023 - awaited
        assert [row["agent_name"] for row in world.dispatches()] == ["first"] * 2 + ["second"] * 2 + ["third"] * 2


@in_virtual_time
async def test_two_replicas_agree_on_webhooks_in_any_order(postgres_database: Database) -> None:
    """Joins to one, leavings to the other, at once: no caller is served by a dispatch that is being given up."""
    async with World(postgres_database, replicas=2) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.route = lambda body: [world.replicas[b'"participant_left"' in body]]
        for number in range(12):
            room = f"room-{number}"
            world.simulator.join(room, "ana")
            await world.wait(0.15)
            world.simulator.join(room, "bob")
            world.simulator.schedule.call_later(0.08, lambda room=room: world.simulator.leave(room, "ana"))  # type: ignore[misc]
        await world.wait(15)
        verdict = world.judge()
        assert verdict.clean, world.describe()
        assert not verdict.alone


@in_virtual_time
async def test_a_graceful_stop_hands_back_and_loses_nothing(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.SLOW, seconds=0.5))
        for number in range(40):
            world.simulator.join(f"room-{number}", "ana")
        await world.until(lambda: world.dispatches(status="sending"))
        stopping = asyncio.ensure_future(world.usher.stop())
        await stopping
        held = world.rows("SELECT id FROM dispatches WHERE lease_owner IS NOT NULL")
        assert held == []
        await world.add_replica()
        await world.until(lambda: len(world.dispatches(status="joined")) == 40, within=30)
        assert world.judge().clean
        assert not world.judge().repeated
