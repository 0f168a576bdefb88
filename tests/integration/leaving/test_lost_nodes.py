"""A LiveKit with Redis loses a node: its rooms are made again under their SIDs, and the dead stay listed."""

from __future__ import annotations

import asyncio

import pytest

from app.flows.token_dispatches import decide
from app.plan.expected import Expected
from app.simulator import DispatchOrder
from tests.conftest import Database
from tests.simulator.webhook_faults import Mishap
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

NOBODY_BACK = {"rejoin": False, "agents_rejoin": False}


def living(world: World, room: str = "room") -> list[str]:
    """Return the identities of the agents that are really in a room."""
    return [agent.identity for agent in world.simulator.agents(room) if not agent.ghost]


async def call_under_way(world: World, *callers: str, room: str = "room") -> None:
    for identity in callers or ("ana",):
        world.simulator.join(room, identity)
    await world.until(lambda: len(living(world, room)) >= 1)
    await world.wait(8)


@pytest.mark.parametrize("sweep", [0.0, 1.0])
@pytest.mark.parametrize("after", [0.5, 2.5, 9.0])
@in_virtual_time
async def test_an_agent_that_returns_is_kept(sqlite_database: Database, after: float, sweep: float) -> None:
    async with World(sqlite_database, sweep=sweep) as world:
        world.rule(recover=RECOVER)
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        (before,) = living(world)
        # When the node is lost, and the agent follows its caller so many seconds later
        world.simulator.lose_node("room", rejoin_after=3.0, agents_rejoin_after=3.0 + after)
        await world.wait(40)
        # Then it goes on, and no other was ever asked for
        assert living(world) == [before], world.describe()
        row = world.dispatch()
        assert (row["status"], row["agent_identity"], row["doubtful_until"]) == ("joined", before, None)
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("recover", [False, True])
@pytest.mark.parametrize("sweep", [0.0, 1.0])
@in_virtual_time
async def test_an_agent_that_does_not_return_is_replaced(
    sqlite_database: Database, recover: bool, sweep: float
) -> None:
    async with World(sqlite_database, sweep=sweep) as world:
        world.rule(recover=RECOVER if recover else NO_RECOVERY)
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        (before,) = living(world)
        # When the node is lost with the agent, and the caller comes back
        world.simulator.lose_node("room", rejoin_after=3.0, agents_rejoin=False)
        # Then another agent is there soon after the ten seconds in which the old one might have returned
        await world.until(lambda: living(world), within=16)
        await world.wait(30)
        (agent,) = living(world)
        assert agent != before
        lost, replacement = world.dispatches()
        assert (lost["status"], lost["cause"], lost["agent_identity"]) == ("ended", "agent_lost", before)
        assert (replacement["status"], replacement["replaces"]) == ("joined", lost["id"])
        # And LiveKit was asked to remove the dead one
        assert "RemoveParticipant" in [call.method for call in world.simulator.ledger.calls]


@in_virtual_time
async def test_callers_who_join_the_room_by_hand_half_a_minute_later(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(4):
            await call_under_way(world, f"caller-{number}", room=f"room-{number}")
        await world.simulator.restart(down_for=30.0, redis=True, workers_die=True, rejoin=False)
        world.simulator.add_worker("greeter")
        for number in range(4):
            world.simulator.join(f"room-{number}", f"caller-{number}")
        await world.until(lambda: all(living(world, f"room-{number}") for number in range(4)), within=16)
        await world.wait(40)
        assert [len(living(world, f"room-{number}")) for number in range(4)] == [1] * 4, world.describe()


@in_virtual_time
async def test_a_caller_who_was_never_in_the_room_gets_an_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.simulator.lose_node("room", **NOBODY_BACK)
        await world.wait(5)
        world.simulator.join("room", "bob")
        await world.until(lambda: living(world), within=13)
        await world.wait(60)
        assert len(living(world)) == 1
        # And the caller who did not come back is not waited for
        query = "SELECT left_at FROM dispatch_callers WHERE participant_identity = 'ana'"
        assert all(row["left_at"] for row in world.rows(query))


@in_virtual_time
async def test_a_call_ends_when_no_participant_reconnects(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(withdraw=True)
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        # When only the agent returns
        world.simulator.lose_node("room", rejoin=False, agents_rejoin_after=4.0)
        # Then it is withdrawn, as after any leaving of its callers
        await world.until_status("ended", within=30)
        assert living(world) == []


@pytest.mark.parametrize("moment", [1.0, 6.0, 13.5])
@in_virtual_time
async def test_a_restart_of_usher_in_between_forgets_nothing(sqlite_database: Database, moment: float) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.simulator.lose_node("room", rejoin_after=0.5, agents_rejoin=False)
        await world.wait(moment)
        await world.usher.kill()
        await world.wait(1)
        await world.add_replica()
        await world.until(lambda: living(world), within=16)
        await world.wait(40)
        assert len(living(world)) == 1


@pytest.mark.parametrize("step", [-7200, -60, 60, 7200])
@in_virtual_time
async def test_a_clock_that_is_set_delays_nothing(sqlite_database: Database, step: int) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.simulator.lose_node("room", rejoin_after=0.5, agents_rejoin=False)
        await world.wait(4)
        world.clock.jumped += step
        await world.until(lambda: living(world), within=25)
        await world.wait(40)
        assert len(living(world)) == 1, world.describe()


@in_virtual_time
async def test_two_replicas_replace_it_once(postgres_database: Database) -> None:
    async with World(postgres_database, replicas=2, sweep=2.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.route = lambda body: [world.replicas[hash(body) % 2]]
        world.simulator.lose_node("room", rejoin_after=3.0, agents_rejoin=False)
        await world.until(lambda: living(world), within=16)
        await world.wait(60)
        assert len(living(world)) == 1
        assert len(world.dispatches()) == 2


@in_virtual_time
async def test_an_agent_that_reconnects_after_its_replacement_was_dispatched_is_removed(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database, sweep=5.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.simulator.lose_node("room", rejoin_after=3.0, agents_rejoin_after=16.0)
        await world.wait(60)
        assert len(living(world)) == 1, world.describe()
        assert world.dispatch(status="joined")["agent_identity"] == living(world)[0]


@in_virtual_time
async def test_each_caller_has_an_agent_of_their_own_again(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule(scope="participant")
        world.simulator.add_worker("greeter")
        await call_under_way(world, "ana", "bob", "eva")
        await world.until(lambda: len(living(world)) == 3)
        world.simulator.lose_node("room", rejoin_after=3.0, agents_rejoin=False)
        await world.until(lambda: len(living(world)) == 3, within=20)
        await world.wait(30)
        assert len(living(world)) == 3
        assert len(world.dispatches(status="joined")) == 3


@in_virtual_time
async def test_a_caller_who_was_waiting_gets_an_agent(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule(answer_timeout_s=5, max_attempts=20)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.lose_node("room", rejoin_after=3.0)
        world.simulator.add_worker("greeter")
        await world.until(lambda: living(world), within=20)
        await world.wait(40)
        assert len(living(world)) == 1, world.describe()
        assert len(world.dispatches(status="joined")) == 1


@pytest.mark.parametrize("agent_back", [None, 0.2, 2.0, 4.0, 7.0, 9.5, 14.0])
@pytest.mark.parametrize("sweep", [0.0, 1.0])
@in_virtual_time
async def test_a_token_whose_dispatch_is_launched_again(
    sqlite_database: Database, agent_back: float | None, sweep: float
) -> None:
    pattern = '{"event": ["participant_joined"]}'
    sqlite_database.execute(
        "INSERT INTO routing_rules (name, agent_name, pattern) VALUES ('all', 'greeter', :pattern)", pattern=pattern
    )
    async with World(sqlite_database, sweep=sweep) as world:
        world.simulator.add_worker("greeter")
        orchestrator = world.usher.orchestrator
        expected = Expected("default", "room", "", "ana", "", "STANDARD", "", {})
        decided = await decide(orchestrator.context, orchestrator.book, expected, orchestrator.lookups.answered)
        (promise,) = decided.promises
        order = DispatchOrder(promise.agent_name, promise.metadata, dict(promise.attributes))
        world.simulator.join("room", "ana", dispatches=[order])
        await world.until_status("joined")
        await world.wait(8)
        (before,) = living(world)
        # When the room is made again, so that LiveKit launches the token's dispatch once more
        world.simulator.lose_node(
            "room",
            rejoin_after=3.0,
            agents_rejoin=agent_back is not None,
            agents_rejoin_after=3.0 + (agent_back or 0.0),
        )
        await world.wait(70)
        # Then one agent stays: the old one, which has the conversation, if it returned in time
        (agent,) = living(world)
        if agent_back is not None and agent_back < 10:
            assert agent == before, world.describe()
        assert world.dispatch(status="joined")["agent_identity"] == agent
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_the_first_start_of_a_room_puts_nothing_in_doubt(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        # Given that the webhook of the start comes after everything else
        world.simulator.webhook_faults.order(Mishap.DELAY, event="room_started", seconds=4.0)
        await call_under_way(world)
        assert world.dispatch()["doubtful_until"] is None


@in_virtual_time
async def test_ghosts_cost_a_sweep_no_further_calls(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=2.0) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await call_under_way(world)
        world.simulator.lose_node("room", rejoin_after=1.0, agents_rejoin=False)
        await world.wait(60)
        calls: list[str] = []
        world.simulator.on_call(calls.append)
        await asyncio.sleep(20)
        assert set(calls) <= {"ListRooms", "ListParticipants"}, calls


RECOVER, NO_RECOVERY = "lost", "never"
