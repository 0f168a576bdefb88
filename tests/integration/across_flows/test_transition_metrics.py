"""Every state that a dispatch reaches is counted once, by whichever flow it is reached: as the audit log has it."""

from __future__ import annotations

from collections import Counter

import pytest

from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def counted(world: World, metric: str) -> Counter[str]:
    """Return the samples of a counter, summed over agents and replicas, by status (or `all`)."""
    found = Counter[str]()
    for replica in world.replicas:
        for family in replica.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == metric:
                    found[sample.labels.get("status", "all")] += int(sample.value)
    return +found


def audited(world: World) -> Counter[str]:
    query = "SELECT from_state, to_state FROM audit_log WHERE entity = 'dispatch'"
    return Counter(row["to_state"] for row in world.rows(query) if row["from_state"] != row["to_state"])


async def settle_and_compare(world: World, **at_least: int) -> None:
    await world.wait(1)
    found = counted(world, "usher_dispatch_transitions_total")
    assert found == audited(world)
    assert {status: found[status] for status in at_least} == at_least


@in_virtual_time
async def test_a_call_sent_at_once(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.finish_room("room")
        await world.until_status("ended")
        await settle_and_compare(world, sending=1, dispatched=1, joined=1, ended=1)
        labels = {"project": "default", "agent": "greeter", "status": "joined"}
        assert world.usher.metric("usher_dispatch_transitions_total", **labels) == 1


@pytest.mark.parametrize("replicas", [1, 2])
@in_virtual_time
async def test_dispatches_created_pending_and_their_claims(postgres_database: Database, replicas: int) -> None:
    async with World(postgres_database, replicas=replicas) as world:
        world.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 2)")
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(4):
            world.simulator.join(f"room-{number}", "ana")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2)
        await settle_and_compare(world, pending=4, sending=2, joined=2)


@in_virtual_time
async def test_dispatches_created_failed(database: Database) -> None:
    async with World(database) as world:
        world.rule(metadata={"$eval": "participant.nothing.there"})
        world.simulator.join("room", "ana")
        await world.until_status("failed")
        await settle_and_compare(world, failed=1)


@in_virtual_time
async def test_calls_that_are_repeated(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.REFUSE, code="unavailable"))
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=15)
        await settle_and_compare(world, pending=1, sending=2, joined=1)


@in_virtual_time
async def test_fallbacks_and_no_shows(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(answer_timeout_s=2, max_attempts=1, fallbacks=["reception"])
        world.simulator.join("room", "ana")
        await world.until_status("no_show", within=60)
        await settle_and_compare(world, no_show=1, dispatched=2, pending=1)
        assert counted(world, "usher_fallbacks_total") == {"all": 1}
        assert counted(world, "usher_no_shows_total") == {"all": 1}


@in_virtual_time
async def test_what_operators_do(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        world.simulator.join("room", "ana")
        row = await world.until_status("dispatched")
        operations = world.usher.orchestrator.operations
        await operations.cancel([row["id"]], "maria")
        await operations.redrive([row["id"]], "maria")
        await world.until_status("dispatched")
        await settle_and_compare(world, cancelled=1, pending=1, dispatched=2)


@pytest.mark.parametrize("by_webhook", [True, False], ids=["by webhook", "by a check of the room"])
@in_virtual_time
async def test_recoveries(database: Database, by_webhook: bool) -> None:
    async with World(database, sweep=0 if by_webhook else 5) as world:
        world.rule(recover="lost")
        worker = world.simulator.add_worker("greeter", Behaviour())
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.add_worker("greeter")
        if not by_webhook:
            world.route = lambda _: []
        world.simulator.kill_worker(worker)
        await world.until(lambda: len(world.dispatches()) == 2, within=60)
        await world.until_status("joined", within=30)
        await settle_and_compare(world, ended=1, pending=1)
        assert counted(world, "usher_recoveries_total") == {"all": 1}
