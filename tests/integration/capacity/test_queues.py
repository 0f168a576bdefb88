"""Callers wait for a place with an agent: in which order, how long, and what is asked in its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from app.agents.agent_limits import FOREVER
from app.agents.edit_agent import change_agent
from app.audit import timeline
from app.db.types import format_instant
from app.errors import ConflictError
from app.flows.operations.handover_order import HandoverOrder
from app.flows.token_dispatches import decide
from app.livekit.vocabulary import DisconnectReason
from app.plan.expected import Expected
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

HALL = {"room": {"name": [{"prefix": "hall"}]}}
VIP = {"room": {"name": [{"prefix": "vip"}]}}


def agent(world: World, agent_name: str, **columns: Any) -> None:
    """Insert a row of `agents` with plain SQL."""
    names = "".join(f", {name}" for name in columns)
    places = "".join(f", :{name}" for name in columns)
    statement = f"INSERT INTO agents (agent_name{names}) VALUES (:agent_name{places})"
    world.database.execute(statement, agent_name=agent_name, **columns)


def later(world: World, seconds: float) -> Any:
    """Return an instant as plain SQL writes it."""
    instant = world.clock.now() + timedelta(seconds=seconds)
    return instant if world.database.kind == "postgresql" else format_instant(instant)


def asked(world: World) -> list[str]:
    return [f"{entry.agent_name} {entry.room}" for entry in world.simulator.ledger.dispatches]


def queue(world: World) -> list[str]:
    rows = world.rows("SELECT room_name FROM dispatches WHERE queued_at IS NOT NULL ORDER BY queue_priority, queued_at")
    return [row["room_name"] for row in rows]


async def hang_up(world: World, room: str) -> None:
    world.simulator.finish_room(room)
    await world.wait(1.5)


@in_virtual_time
async def test_the_next_place_goes_by_priority_and_then_to_who_has_waited_longest(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        world.rule("hall", pattern=HALL)
        world.rule("vip", pattern=VIP, queue_priority=10)
        world.simulator.add_worker("greeter")
        for room in ("hall-1", "hall-2", "hall-3", "vip-1", "vip-2"):
            world.simulator.join(room, f"caller of {room}")
            await world.wait(1)
        assert queue(world) == ["vip-1", "vip-2", "hall-2", "hall-3"]
        assert {row["cause"] for row in world.dispatches(status="pending")} == {"queued"}
        for room in ("hall-1", "vip-1", "vip-2", "hall-2", "hall-3"):
            await world.until_status("joined", room_name=room, within=3)
            await hang_up(world, room)
        assert asked(world) == [f"greeter {room}" for room in ("hall-1", "vip-1", "vip-2", "hall-2", "hall-3")]


@in_virtual_time
async def test_a_rule_takes_so_many_calls_and_delays_no_other_rule_of_the_agent(database: Database) -> None:
    async with World(database) as world:
        world.rule("hall", pattern=HALL, max_calls=1)
        world.rule("vip", pattern=VIP)
        world.simulator.add_worker("greeter")
        for number in range(3):
            world.simulator.join(f"hall-{number}", f"ana-{number}")
            await world.wait(0.2)
        world.simulator.join("vip", "bob")
        await world.until_status("joined", room_name="vip", within=2)
        await world.wait(2)
        assert queue(world) == ["hall-1", "hall-2"]
        assert "rule 'hall' has 1 of 1 calls" in world.dispatch(room_name="hall-1")["reason"]
        await hang_up(world, "hall-0")
        await world.until_status("joined", room_name="hall-1", within=3)
        assert queue(world) == ["hall-2"]


RAISES: dict[str, Callable[[World], object]] = {
    "the agent's limit is raised": lambda world: world.database.execute("UPDATE agents SET max_calls = 2"),
    "the agent has no limit any more": lambda world: world.database.execute("DELETE FROM agents"),
    "the rule's limit is raised": lambda world: world.database.execute("UPDATE routing_rules SET max_calls = 3"),
    "the rule has no limit any more": lambda world: world.database.execute("UPDATE routing_rules SET max_calls = NULL"),
}


@pytest.mark.parametrize("what", RAISES)
@in_virtual_time
async def test_the_queue_moves_as_soon_as_a_limit_is_raised_by_sql(database: Database, what: str) -> None:
    async with World(database) as world:
        if "agent" in what:
            agent(world, "greeter", max_calls=1)
        world.rule(max_calls=1)
        if "agent" in what:
            world.database.execute("UPDATE routing_rules SET max_calls = NULL")
        world.simulator.add_worker("greeter")
        for number in range(2):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.wait(3)
        assert len(world.dispatches(status="joined")) == 1
        RAISES[what](world)
        await world.until(lambda: len(world.dispatches(status="joined")) == 2, within=2)


@in_virtual_time
async def test_after_the_time_in_the_queue_the_fallbacks_are_asked_in_turn_and_then_nobody(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        agent(world, "second", max_calls=0)
        world.rule(queue_timeout_s=5, fallbacks=["second", "third"])
        world.simulator.add_worker("third")
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=8)
        row = world.dispatch()
        assert (row["rung"], row["asked_agent_name"]) == (2, "third")
        reasons = [one["reason"] for one in world.rows("SELECT reason FROM audit_log ORDER BY id")]
        assert "no place within 5 s: greeter has 0 of 0 calls; asking third instead" in reasons
        world.simulator.leave("room", "ana")

        agent(world, "third", max_calls=0)
        world.simulator.join("other", "bob")
        row = await world.until_status("no_show", within=20, room_name="other")
        assert row["cause"] == "queue_timeout"
        assert row["queued_at"] is None
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_without_a_time_in_the_queue_fallbacks_are_asked_at_once(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(queue_timeout_s=0, fallbacks=["second"])
        world.simulator.add_worker("second")
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=2)
        assert asked(world) == ["second room"]


@in_virtual_time
async def test_a_fallback_frees_the_place_of_the_first_agent(database: Database) -> None:
    async with World(database) as world:
        agent(world, "absent", max_calls=1)
        world.rule(agent_name="absent", fallbacks=["second"], max_attempts=1, answer_timeout_s=8)
        world.simulator.add_worker("second")
        world.simulator.join("room-1", "ana")
        await world.wait(0.5)
        world.simulator.join("room-2", "bob")
        await world.wait(2)
        assert queue(world) == ["room-2"]
        await world.until_status("joined", room_name="room-1", within=15)
        await world.until(lambda: "absent room-2" in asked(world), within=1)


@in_virtual_time
async def test_an_agent_out_of_service_is_not_asked_and_returns_by_itself(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        agent(world, "greeter", out_of_service_until=later(world, 8))
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.wait(5)
        row = world.dispatch()
        assert (row["status"], row["cause"]) == ("pending", "out_of_service")
        assert "greeter is out of service until" in row["reason"]
        assert world.simulator.ledger.dispatches == []
        await world.until_status("joined", within=5)


@in_virtual_time
async def test_callers_of_an_agent_that_is_out_until_it_is_put_back_wait_without_an_end(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        agent(world, "greeter")
        with database.writer_engine().begin() as connection:
            change_agent(connection, "greeter", {"out_of_service_until": FOREVER}, "maria")  # as `usher agents pause`
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until(lambda: queue(world) == ["room"], within=3)
        row = world.dispatch()
        assert row["reason"] == "greeter is out of service until it is put back; no other agent to ask"
        assert row["next_attempt_at"] is None
        if database.kind == "postgresql":
            world.database.execute("UPDATE agents SET out_of_service_until = 'infinity'")
            await world.wait(3)
            assert queue(world) == ["room"]
        world.database.execute("UPDATE agents SET out_of_service_until = NULL")
        await world.until_status("joined", within=2)


@in_virtual_time
async def test_the_substitutes_of_an_agent_out_of_service_are_followed(database: Database) -> None:
    async with World(database) as world:
        world.rule(fallbacks=["fallback"])
        agent(world, "greeter", out_of_service_until=later(world, 60), substitute_agent_name="second")
        agent(world, "second", out_of_service_until=later(world, 60), substitute_agent_name="third")
        for name in ("greeter", "second", "third", "fallback"):
            world.simulator.add_worker(name)
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=3)
        assert asked(world) == ["third room"]
        reasons = [one["reason"] for one in world.rows("SELECT reason FROM audit_log ORDER BY id")]
        assert [one for one in reasons if "is out of service until" in one and "asking third in its place" in one]
        (attempt,) = world.attempts(world.dispatch()["id"])
        assert attempt["agent_name"] == "third"


@in_virtual_time
async def test_a_loop_of_substitutes_leads_to_the_fallbacks(database: Database) -> None:
    async with World(database) as world:
        world.rule(fallbacks=["fallback"])
        agent(world, "greeter", out_of_service_until=later(world, 60), substitute_agent_name="second")
        agent(world, "second", out_of_service_until=later(world, 60), substitute_agent_name="greeter")
        world.simulator.add_worker("fallback")
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=3)
        assert asked(world) == ["fallback room"]


@in_virtual_time
async def test_out_of_service_for_longer_than_the_queue_is_a_no_show_with_its_own_cause(database: Database) -> None:
    async with World(database) as world:
        world.rule(queue_timeout_s=4)
        agent(world, "greeter", out_of_service_until=later(world, 3600))
        world.simulator.join("room", "ana")
        row = await world.until_status("no_show", within=8)
        assert row["cause"] == "out_of_service"
        assert "greeter is out of service until" in row["reason"]


@in_virtual_time
async def test_an_agent_back_in_service_by_sql_is_asked_at_once(database: Database) -> None:
    async with World(database) as world:
        world.rule()
        agent(world, "greeter", out_of_service_until=later(world, 3600))
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.wait(3)
        world.database.execute("UPDATE agents SET out_of_service_until = NULL")
        await world.until_status("joined", within=1.5)


@pytest.mark.parametrize("columns", [{"max_calls": 0}, {"out_of_service_until": None}])
@in_virtual_time
async def test_callers_who_wait_get_the_fallback_once_it_is_the_only_agent_in_service(
    database: Database, columns: dict[str, Any]
) -> None:
    async with World(database) as world:
        is_full = "max_calls" in columns
        world.rule(fallbacks=["second"])
        agent(world, "greeter", **(columns if is_full else {"out_of_service_until": later(world, 7200)}))
        agent(world, "second", **({} if is_full else {"out_of_service_until": later(world, 600)}))
        world.simulator.add_worker("second")
        world.simulator.join("room", "ana")
        await world.until(lambda: queue(world) == ["room"], within=3)
        named = "greeter" if is_full else "second"
        until = later(world, 3600) if is_full else None
        world.database.execute(
            "UPDATE agents SET out_of_service_until = :until WHERE agent_name = :name", until=until, name=named
        )
        row = await world.until_status("joined", within=3)
        assert (row["asked_agent_name"], asked(world)) == ("second", ["second room"])


@in_virtual_time
async def test_what_a_caller_waits_for_is_said_anew_when_the_agent_is_taken_out_of_service(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule(queue_timeout_s=60)
        world.simulator.join("room", "ana")
        await world.until(lambda: queue(world) == ["room"], within=3)
        assert world.dispatch()["reason"] == "no free place: greeter has 0 of 0 calls"
        world.database.execute("UPDATE agents SET out_of_service_until = :until", until=later(world, 3600))
        await world.wait(3)
        assert "greeter is out of service until" in world.dispatch()["reason"]
        assert world.dispatch()["cause"] == "out_of_service"
        reasons = [one["reason"] for one in world.rows("SELECT reason FROM audit_log ORDER BY id")]
        assert len([one for one in reasons if "is out of service until" in one]) == 1


@in_virtual_time
async def test_a_caller_whose_agent_is_lost_keeps_the_place(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        world.rule(recover="lost")
        world.simulator.add_worker("greeter")
        world.simulator.join("room-1", "ana")
        await world.until_status("joined")
        world.simulator.join("room-2", "bob")
        await world.wait(5)
        (identity,) = world.agents("room-1")
        world.simulator.leave("room-1", identity, DisconnectReason.CONNECTION_TIMEOUT)
        await world.until(lambda: asked(world) == ["greeter room-1", "greeter room-1"], within=40)
        assert queue(world) == ["room-2"]


@in_virtual_time
async def test_a_rate_of_starts_holds_over_two_replicas(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2) as world:
        agent(world, "greeter", starts_per_second=2)
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(8):
            world.simulator.join(f"room-{number}", f"ana-{number}")
        await world.until(lambda: len(asked(world)) == 8, within=10)
        moments = [entry.asked for entry in world.simulator.ledger.dispatches]
        assert all(sum(1 for other in moments if moment <= other < moment + 0.9) <= 2 for moment in moments)


@in_virtual_time
async def test_a_thousand_waiting_callers_cost_as_many_statements_as_one(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=0)
        world.rule()
        statements: list[str] = []
        engine = world.usher.orchestrator.context.writer._engine  # noqa: SLF001 - counts what the service asks
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        counts = []

        def is_long(callers: int) -> bool:
            return len(queue(world)) == callers

        for callers in (1, 1000):
            for number in range(len(queue(world)), callers):
                world.simulator.join(f"room-{number}", f"ana-{number}")
            await world.until(partial(is_long, callers), within=60)
            await world.wait(1)
            statements.clear()
            await world.wait(10)
            counts.append(len(statements))
        assert counts[1] < 1.2 * counts[0], counts  # the loops ask as often, however many callers wait


@pytest.mark.parametrize("columns", [{"max_calls": 0}, {"out_of_service_until": None}])
@in_virtual_time
async def test_a_hand_over_to_an_agent_without_a_place_is_refused(database: Database, columns: dict[str, Any]) -> None:
    async with World(database) as world:
        is_full = "max_calls" in columns
        agent(world, "expert", **(columns if is_full else {"out_of_service_until": later(world, 60)}))
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        order = HandoverOrder(first["id"], "expert")
        with pytest.raises(ConflictError, match="0 of 0 calls" if is_full else "out of service"):
            await world.usher.orchestrator.operations.hand_over(order, "maria")
        await world.wait(2)
        assert world.agents("room") == [first["agent_identity"]]


@in_virtual_time
async def test_a_hand_over_to_an_agent_out_of_service_asks_its_substitute(database: Database) -> None:
    async with World(database) as world:
        agent(world, "expert", out_of_service_until=later(world, 600), substitute_agent_name="colleague")
        agent(world, "colleague", max_calls=1)
        world.rule()
        for name in ("greeter", "colleague"):
            world.simulator.add_worker(name)
        for room in ("one", "two"):
            world.simulator.join(room, f"caller-{room}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2)
        first, second = world.dispatches()
        operations = world.usher.orchestrator.operations
        order = await operations.hand_over(HandoverOrder(first["id"], "expert"), "maria")
        following = await world.until_status("joined", id=order.following.id)
        assert (following["agent_name"], following["asked_agent_name"]) == ("expert", "colleague")
        assert world.dispatch(id=first["id"])["reason"] == "colleague has the call"
        with pytest.raises(ConflictError, match="colleague has 1 of 1 calls"):
            await operations.hand_over(HandoverOrder(second["id"], "expert"), "maria")
        with pytest.raises(ConflictError, match="expert is out of service, and its substitute colleague has the call"):
            await operations.hand_over(HandoverOrder(following["id"], "expert"), "maria")


@in_virtual_time
async def test_a_call_that_is_handed_over_needs_no_second_place_of_its_rule(database: Database) -> None:
    async with World(database) as world:
        world.rule(max_calls=1)
        for name in ("greeter", "expert"):
            world.simulator.add_worker(name)
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.usher.orchestrator.operations.hand_over(HandoverOrder(first["id"], "expert"), "maria")
        await world.until_status("joined", agent_name="expert", within=5)


@in_virtual_time
async def test_nothing_over_a_limit_is_promised_to_a_token_server(database: Database) -> None:
    database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', :pattern, 'greeter')",
        pattern='{"event": ["participant_joined"]}',
    )
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        orchestrator = world.usher.orchestrator
        promised = []
        for number in range(2):
            expected = Expected("default", f"room-{number}", "", f"ana-{number}", "", "STANDARD", "", {})
            lookups = orchestrator.lookups.answered
            promised.append(await decide(orchestrator.context, orchestrator.book, expected, lookups))
        assert [len(one.promises) for one in promised] == [1, 0]
        # Who was promised nothing is asked for when they join, and waits.
        world.simulator.add_worker("greeter")
        world.simulator.join("room-2", "bob")
        await world.until_status("joined", room_name="room-2")
        world.simulator.join("room-1", "ana-1")
        await world.wait(2)
        assert queue(world) == ["room-1"]


@in_virtual_time
async def test_the_timeline_says_why_a_caller_waited_and_what_ended_it(database: Database) -> None:
    async with World(database) as world:
        agent(world, "greeter", max_calls=1)
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(2):
            world.simulator.join(f"room-{number}", f"ana-{number}")
            await world.wait(0.5)
        with database.reader_engine().connect() as connection:
            waiting = timeline(connection, "ana-1")
        assert waiting.summary == "ana-1 is waiting for greeter: no free place: greeter has 1 of 1 calls."
        await hang_up(world, "room-0")
        await world.until_status("joined", room_name="room-1")
        with database.reader_engine().connect() as connection:
            steps = {step.title: step.reason for step in timeline(connection, "ana-1").steps}
        assert steps["waiting to be sent"] == "no free place: greeter has 1 of 1 calls"
        assert steps["the dispatch is sent"].startswith("greeter has a free place, after ")
