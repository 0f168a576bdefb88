"""A caller who joins again and again gets agents up to the budget; nobody else notices."""

from __future__ import annotations

import pytest

from app.audit import CallState, explain
from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from app.simulator import Behaviour
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

BUDGET = 12


def over_budget(world: World) -> int:
    return len(world.dispatches(cause="over_budget", status="cancelled"))


def sent(world: World) -> int:
    return len(world.simulator.ledger.dispatches)


async def join_often(world: World, identity: str, times: int, every: float) -> None:
    """Join a room of its own each time, and leave it half a second later."""
    for number in range(times):
        room = f"{identity}-{world.loop.time()}-{number}"
        world.simulator.join(room, identity)
        world.loop.call_later(0.5, world.simulator.leave, room, identity)
        await world.wait(every)


@in_virtual_time
async def test_a_thousand_joins_of_one_identity_make_no_more_agents_than_the_budget(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "mallory", 1000, 0.047)
        world.simulator.join("hall", "ana")
        await world.until_status("joined", within=2, participant_identity="ana")
        # The database is asked once a second, in which there are 21 joins.
        assert 60 <= sent(world) <= 60 + 25
        assert over_budget(world) == 1001 - sent(world)
        assert len(world.events(type="participant_joined", participant_identity="mallory")) == 1000
        assert world.usher.metric("usher_over_budget_total", project="default") == over_budget(world)


@in_virtual_time
async def test_a_caller_who_reconnects_twenty_times_in_a_minute_keeps_getting_agents(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "ana", 20, 3.0)
        assert len(world.dispatches(participant_identity="ana")) == 20
        assert over_budget(world) == 0


@in_virtual_time
async def test_the_budget_is_there_again_after_a_minute(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLER_BUDGET": str(BUDGET)}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "ana", BUDGET + 8, 0.5)
        assert 3 <= over_budget(world) <= 8
        await world.wait(61)
        world.simulator.join("later", "ana")
        await world.until_status("joined", within=2, room_name="later")


@in_virtual_time
async def test_agents_that_are_replaced_do_not_use_up_the_budget(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLER_BUDGET": "4", "USHER_RECOVERY_BUDGET": "9"}) as world:
        world.rule(recover="lost")
        world.simulator.add_worker("greeter", Behaviour(leaves_after=4, leaves_with=DisconnectReason.AGENT_ERROR))
        world.simulator.join("hall", "ana")
        await world.wait(50)
        assert len(world.dispatches(participant_identity="ana")) == 10
        await join_often(world, "ana", 3, 1.2)
        assert over_budget(world) == 0


@in_virtual_time
async def test_the_budget_holds_after_a_restart_and_over_replicas(database: Database) -> None:
    async with World(database, settings={"USHER_CALLER_BUDGET": str(BUDGET)}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "mallory", BUDGET + 2, 0.2)
        await world.usher.stop()
        await world.add_replica()
        await join_often(world, "mallory", 30, 0.2)
        # A process grants a fourth of the budget before it asks the database.
        assert sent(world) <= BUDGET + BUDGET // 4 + 10  # and it asks once a second


@in_virtual_time
async def test_a_phone_number_has_a_budget_and_hidden_numbers_have_none(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLER_BUDGET": str(BUDGET)}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(BUDGET + 20):
            for phone in ("+34600111222", "anonymous"):
                world.simulator.join(
                    f"call-{phone}-{number}",
                    "sip_anonymous" if phone == "anonymous" else f"sip_{phone}_{number}",
                    kind=ParticipantKind.SIP,
                    attributes={"sip.phoneNumber": phone, "sip.ruleID": "SDR_1", "sip.callStatus": "ringing"},
                )
            await world.wait(0.2)
            for room in [name for name in world.simulator.rooms.by_name if name.endswith(f"-{number}")]:
                world.simulator.finish_room(room)
        refused = world.dispatches(cause="over_budget")
        assert len(refused) >= 5
        assert all("+34600111222" in row["room_name"] for row in refused)


SPELLINGS = (
    "+34600111222",
    "0034600111222",
    "34600111222",
    "+34 600-111-222",
    "sip:+34600111222@trunk",
    "tel:+34600111222",
)


@in_virtual_time
async def test_a_phone_number_has_one_budget_however_it_is_spelled(database: Database) -> None:
    async with World(database, settings={"USHER_CALLER_BUDGET": str(BUDGET)}) as world:
        world.rule()
        world.simulator.add_worker("greeter")

        async def call_often(times: int, begin: int) -> None:
            for number in range(begin, begin + times):
                phone = SPELLINGS[number % len(SPELLINGS)]
                attributes = {"sip.phoneNumber": phone, "sip.ruleID": "SDR_1", "sip.callStatus": "ringing"}
                room = f"call-{number}"
                world.simulator.join(room, f"sip_{number}", kind=ParticipantKind.SIP, attributes=attributes)
                await world.wait(0.2)
                world.simulator.finish_room(room)

        await call_often(BUDGET + 20, begin=0)
        granted = sent(world)
        assert granted <= BUDGET + 10
        # And after a restart, which the process knows of from the database alone, it is used up
        await world.usher.stop()
        await world.add_replica()
        await call_often(12, begin=100)
        assert sent(world) <= granted + BUDGET // 4 + 2
        # But not that of a number with the same last digits in another country
        attributes = {"sip.phoneNumber": "+351600111222", "sip.ruleID": "SDR_1", "sip.callStatus": "ringing"}
        world.simulator.join("abroad", "sip_abroad", kind=ParticipantKind.SIP, attributes=attributes)
        await world.until_status("joined", within=2, room_name="abroad")


@in_virtual_time
async def test_no_limit_is_a_budget_of_zero(sqlite_database: Database) -> None:
    async with World(sqlite_database, settings={"USHER_CALLER_BUDGET": "0"}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "load-test", 100, 0.1)
        assert over_budget(world) == 0


@in_virtual_time
async def test_an_app_that_gives_many_callers_one_identity_has_four_times_the_budget(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(300):
            world.simulator.join(f"room-{number}", "user")
            await world.wait(0.1)
        assert sent(world) == 240
        assert over_budget(world) == 60


@pytest.mark.parametrize("budget", [1, 3])
@in_virtual_time
async def test_people_read_why_no_agent_was_sent(sqlite_database: Database, budget: int) -> None:
    async with World(sqlite_database, settings={"USHER_CALLER_BUDGET": str(budget)}) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await join_often(world, "ana", budget + 1, 1.2)
        with sqlite_database.reader_engine().connect() as connection:
            found = explain(connection, "ana")
        assert found.timeline.call.state is CallState.CANCELLED
        assert "more dispatches within a minute than USHER_CALLER_BUDGET allows" in found.timeline.summary
        assert found.timeline.dispatches[0].dispatch.attempts == 0
