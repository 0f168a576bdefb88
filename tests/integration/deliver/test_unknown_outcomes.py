"""Calls whose outcome is not known: looked into before anything is sent again."""

from __future__ import annotations

import pytest

from app.simulator import Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

HAD_ITS_EFFECT = [
    Fault(FaultKind.ERROR_AFTER),
    Fault(FaultKind.ERROR_AFTER, code="internal"),
    Fault(FaultKind.RESET_AFTER),
    Fault(FaultKind.HANG_AFTER, seconds=30),
]
HAD_NONE = [
    Fault(FaultKind.REFUSE),
    Fault(FaultKind.REFUSE, code="resource_exhausted"),
    Fault(FaultKind.REFUSE, code="internal"),
    Fault(FaultKind.RESET_BEFORE),
    Fault(FaultKind.HANG_BEFORE, seconds=30),
]


def name(fault: Fault) -> str:
    return f"{fault.kind.value}-{fault.code}"


@pytest.mark.parametrize("older", [False, True], ids=["marks", "no marks"])
@pytest.mark.parametrize("fault", HAD_ITS_EFFECT, ids=name)
@in_virtual_time
async def test_what_took_effect_is_adopted(sqlite_database: Database, fault: Fault, older: bool) -> None:
    async with World(sqlite_database, keeps_attributes=not older) as world:
        world.rule(answer_timeout_s=30)
        world.simulator.faults.script("CreateDispatch", fault)
        world.simulator.join("room", "ana")
        row = await world.until_status("dispatched", within=15)
        (entry,) = world.simulator.ledger.dispatches
        assert row["livekit_dispatch_id"] == entry.id
        assert "after all" in row["reason"]
        (attempt,) = world.attempts(row["id"])
        assert attempt["outcome"] == "adopted"
        assert attempt["livekit_dispatch_id"] == entry.id
        assert attempt["error_code"]  # what the call itself was answered stays
        assert attempt["error_code"]


@pytest.mark.parametrize("fault", HAD_NONE, ids=name)
@in_virtual_time
async def test_what_took_no_effect_is_sent_again(sqlite_database: Database, fault: Fault) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", fault)
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=15)
        assert len(world.simulator.ledger.dispatches) == 1
        assert [one["number"] for one in world.attempts(row["id"])] == [1, 2]
        assert world.attempts(row["id"])[1]["outcome"] == "accepted"
        assert world.judge().clean


@in_virtual_time
async def test_the_agent_itself_may_be_the_first_sign(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_AFTER, seconds=3))
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=2)
        await world.wait(15)
        assert world.dispatch()["livekit_dispatch_id"] == world.simulator.ledger.dispatches[0].id
        assert len(world.simulator.ledger.dispatches) == 1
        assert world.story(row["id"]) == ["sending", "joined"]


@in_virtual_time
async def test_an_answer_that_comes_after_its_agent_adds_no_line_to_the_audit_log(database: Database) -> None:
    async with World(database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_AFTER, seconds=1))
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", within=1)
        await world.until(lambda: [one["outcome"] for one in world.attempts(row["id"])] == ["accepted"])
        lines = world.rows("SELECT to_state FROM audit_log WHERE entity_id = :id ORDER BY id", id=row["id"])
        assert [line["to_state"] for line in lines] == ["sending", "joined"]
        assert world.dispatch()["livekit_dispatch_id"] == world.simulator.ledger.dispatches[0].id


@in_virtual_time
async def test_a_call_that_takes_effect_after_the_check_is_withdrawn_later(database: Database) -> None:
    """A call that timed out and takes effect after the look brings a second agent, for as long as it takes to see it.

    This is the one case that Usher cannot rule out. It is over within the time the job list takes to fill.
    """
    async with World(database, settings={"USHER_REQUEST_TIMEOUT": "1"}) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.LATE, seconds=6))
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.agents("room")) == 2, what="the late effect")
        await world.until(lambda: len(world.agents("room")) == 1, within=10, what="one of them is withdrawn")
        await world.wait(10)
        row = world.dispatch()
        assert row["status"] == "joined"
        assert world.agents("room") == [row["agent_identity"]]
        assert not world.judge(tolerance=10.0).doubled
        live = [one for one in world.simulator.rooms.by_name["room"].dispatches.values() if one.agent_name]
        assert [one.id for one in live] == [row["livekit_dispatch_id"]]


@in_virtual_time
async def test_a_livekit_that_is_down_costs_delay_and_not_a_flood(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        await world.wire.stop()
        world.simulator.join("room", "ana")
        await world.until_status("pending")
        await world.wait(110)
        assert len(world.rows("SELECT id FROM audit_log")) < 120
        await world.wire.start()
        await world.until_status("joined", within=11)
        assert world.judge().clean
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_what_failed_for_trouble_is_taken_up_by_the_sweep_while_the_caller_waits(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database, sweep=10) as world:
        world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.ERROR_AFTER, code="internal"))
        world.simulator.faults.always("ListDispatch", Fault(FaultKind.HANG_BEFORE, seconds=4))
        world.simulator.join("room", "ana")
        world.simulator.join("other", "bob")
        await world.wait(30)
        world.simulator.faults.clear()
        await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=60)
        await world.wait(10)
        assert world.judge().clean
        assert not world.judge().repeated


@in_virtual_time
async def test_a_permanent_refusal_fails_with_livekits_message(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        refusal = Fault(FaultKind.REFUSE, code="invalid_argument", message="metadata size exceeds limits")
        world.simulator.faults.script("CreateDispatch", refusal)
        world.simulator.join("room", "ana")
        row = await world.until_status("failed")
        assert "metadata size exceeds limits" in row["reason"]
        assert len(world.attempts(row["id"])) == 1


@in_virtual_time
async def test_refusals_are_repeated_up_to_max_attempts(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(max_attempts=3)
        world.simulator.faults.always("CreateDispatch", Fault(FaultKind.REFUSE, code="permission_denied"))
        world.simulator.join("room", "ana")
        row = await world.until_status("failed")
        assert [one["outcome"] for one in world.attempts(row["id"])] == ["rejected"] * 3


@in_virtual_time
async def test_with_a_third_of_all_calls_failing_no_caller_is_lost_or_doubled(sqlite_database: Database) -> None:
    callers = 40
    async with World(sqlite_database, sweep=10) as world:
        for _ in range(3):
            world.simulator.add_worker("greeter")
        world.rule()
        world.simulator.faults.by_chance(1 / 3, after_share=0.5, hang_seconds=8.0, seed=5)
        for number in range(callers):
            world.simulator.join(f"room-{number}", "ana")
            await world.wait(0.1)
        await world.until(lambda: len(world.dispatches(status="joined")) == callers, within=120)
        verdict = world.judge()
        assert verdict.clean, verdict
        assert not verdict.repeated, verdict
        assert verdict.served == callers
