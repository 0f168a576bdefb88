"""Which calls take a place of their rule: those with the rule's own agent, not its fallbacks, and no hand-over."""

from __future__ import annotations

from app.flows.operations.handover_order import HandoverOrder
from tests.conftest import Database
from tests.integration.capacity.test_queues import agent, hang_up, queue
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


@in_virtual_time
async def test_a_full_rule_does_not_close_the_queue_of_its_fallback(database: Database) -> None:
    async with World(database) as world:
        agent(world, "second", max_calls=1)
        world.rule(max_calls=1, queue_timeout_s=5, fallbacks=["second"])
        for name in ("greeter", "second"):
            world.simulator.add_worker(name)
        for number in range(3):
            world.simulator.join(f"room-{number}", f"ana-{number}")
            await world.wait(0.5)
        await world.until_status("joined", room_name="room-1", within=8)
        await world.until(lambda: world.dispatch(room_name="room-2")["rung"] == 1, within=3)
        assert queue(world) == ["room-2"]
        # Without an end of its wait only a free place can start it.
        world.database.execute("UPDATE dispatches SET next_attempt_at = NULL WHERE queued_at IS NOT NULL")
        await hang_up(world, "room-1")
        await world.until_status("joined", room_name="room-2", within=2)
        assert world.dispatch(room_name="room-0")["status"] == "joined"


@in_virtual_time
async def test_a_full_rule_does_not_close_the_queue_of_the_agent_that_a_call_is_handed_to(database: Database) -> None:
    async with World(database) as world:
        agent(world, "expert", starts_per_second=1)
        world.rule(max_calls=2)
        for name in ("greeter", "expert"):
            world.simulator.add_worker(name)
        for number in range(2):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2)
        for row in world.dispatches(status="joined"):
            order = HandoverOrder(row["id"], "expert")
            await world.usher.orchestrator.operations.hand_over(order, "maria")
        await world.until(lambda: len(world.dispatches(status="joined", agent_name="expert")) == 2, within=4)


@in_virtual_time
async def test_a_call_that_is_being_handed_over_takes_one_place_of_its_rule(database: Database) -> None:
    async with World(database) as world:
        world.rule(max_calls=2)
        world.simulator.add_worker("greeter")
        world.simulator.join("room-0", "ana-0")
        first = await world.until_status("joined")
        await world.usher.orchestrator.operations.hand_over(HandoverOrder(first["id"], "expert"), "maria")
        await world.until(lambda: world.dispatches(status="dispatched", agent_name="expert"), within=3)
        world.simulator.join("room-1", "ana-1")
        await world.until_status("joined", room_name="room-1", within=3)
        world.simulator.join("room-2", "ana-2")
        await world.until(lambda: queue(world) == ["room-2"], within=3)


@in_virtual_time
async def test_a_call_that_was_handed_over_has_left_its_place_to_the_next_caller_of_the_rule(
    database: Database,
) -> None:
    async with World(database) as world:
        world.rule(max_calls=1)
        for name in ("greeter", "expert"):
            world.simulator.add_worker(name)
        world.simulator.join("room-0", "ana-0")
        first = await world.until_status("joined")
        world.simulator.join("room-1", "ana-1")
        await world.until(lambda: queue(world) == ["room-1"], within=3)
        await world.usher.orchestrator.operations.hand_over(HandoverOrder(first["id"], "expert"), "maria")
        await world.until_status("joined", room_name="room-1", within=15)
        assert [row["agent_name"] for row in world.dispatches(status="joined")].count("expert") == 1
