"""Who leaves before the agent came, who leaves and returns, and whose agent goes with him."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, Fault, FaultKind, Timing
from tests.conftest import Database
from tests.simulator import Mishap, Unit
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def asked(world: World) -> list[str]:
    """Return the ids of the dispatches of ours that LiveKit still has, in all rooms."""
    rooms = world.simulator.rooms.by_name.values()
    return [one.id for room in rooms for one in room.dispatches.values() if one.agent_name]


@in_virtual_time
async def test_a_caller_who_gives_up_is_cancelled_with_the_time_waited(database: Database) -> None:
    async with World(database) as world:
        world.rule(agent_name="absent", answer_timeout_s=30)
        world.simulator.join("room", "ana")
        world.simulator.join("room", "supervisor", kind="EGRESS")  # counts as no caller
        await world.until_status("dispatched")
        await world.wait(4)
        world.simulator.leave("room", "ana")
        row = await world.until_status("cancelled", within=1.5)
        assert row["reason"].startswith("the caller gave up after 4.")
        await world.until(lambda: not asked(world), within=2, what="the dispatch is deleted")
        assert world.usher.metric("usher_callers_gone_total", agent="absent") == 1


@in_virtual_time
async def test_a_caller_who_leaves_before_livekit_answers_leaves_nothing_behind(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter", Behaviour(join_after=3))
        world.simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_AFTER, seconds=2))
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob", kind="INGRESS")
        await world.until_status("sending")
        world.simulator.leave("room", "ana")
        await world.until_status("cancelled", within=1.5)
        await world.until(lambda: not asked(world), within=5)
        await world.wait(10)
        assert world.agents("room") == []


@in_virtual_time
async def test_a_caller_reported_gone_before_joining_is_not_served(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.order(Mishap.DELAY, event="participant_joined", identity="ana", seconds=3)
        world.simulator.join("room", "ana")
        await world.wait(0.5)
        world.simulator.leave("room", "ana")
        await world.until(lambda: world.events(type="participant_joined"))
        (event,) = world.events(type="participant_joined")
        assert event["outcome"] == "ignored"
        assert "left already" in event["decision"]
        assert world.simulator.ledger.dispatches == []


@in_virtual_time
async def test_a_room_that_closes_settles_all_of_its_dispatches(database: Database) -> None:
    async with World(database) as world:
        world.rule(scope="participant")
        world.rule("also", "absent", on_match="continue", priority=1, answer_timeout_s=60)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        await world.until_status("dispatched")
        world.simulator.finish_room("room")
        await world.until(lambda: {row["status"] for row in world.dispatches()} == {"ended", "cancelled"}, within=2)
        await world.wait(30)
        assert len(world.simulator.ledger.dispatches) == 2
        assert not world.judge().ghosts


@in_virtual_time
async def test_the_first_caller_of_a_room_may_leave_when_a_second_is_there(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="late", answer_timeout_s=3, max_attempts=5)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.join("room", "bob")
        await world.until(lambda: world.events(participant_identity="bob"))
        world.simulator.leave("room", "ana")
        await world.wait(2)
        assert world.dispatch()["status"] in {"dispatched", "sending", "pending"}
        world.simulator.add_worker("late")
        await world.until_status("joined")
        assert world.judge().clean
        (event,) = world.events(type="participant_joined", participant_identity="bob")
        assert event["outcome"] == "served"


@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_withdraw_takes_the_agent_out_with_the_last_it_serves(database: Database, scope: str) -> None:
    async with World(database) as world:
        world.rule(scope=scope, withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob")
        wanted = 1 if scope == "room" else 2
        await world.until(lambda: len(world.dispatches(status="joined")) == wanted)
        world.simulator.leave("room", "ana")
        await world.wait(3)
        assert len(world.agents("room")) == 1
        assert len(world.dispatches(status="joined")) == 1
        world.simulator.leave("room", "bob")
        await world.until(lambda: not world.agents("room"), within=4)
        await world.until(lambda: {row["status"] for row in world.dispatches()} == {"ended"}, within=1)
        assert asked(world) == []


@in_virtual_time
async def test_withdrawal_waits_for_every_caller_in_the_room_whatever_their_rule(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern={"participant": {"identity": ["ana"]}}, withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        world.simulator.join("room", "supervisor")
        await world.until_status("joined")
        world.simulator.leave("room", "ana")
        await world.wait(3)
        assert len(world.agents("room")) == 1
        world.simulator.leave("room", "supervisor")
        await world.until(lambda: not world.agents("room"), within=4)


@in_virtual_time
async def test_livekit_is_asked_nothing_about_the_agent_of_a_room_that_has_closed(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.leave("room", "ana")
        world.simulator.finish_room("room")
        await world.until_status("ended")
        asked_before = len(world.simulator.ledger.calls)
        await world.wait(8)
        assert world.simulator.ledger.calls[asked_before:] == []


@pytest.mark.parametrize("obstinate", [Behaviour(ignores_termination=True), Behaviour(stays_after_delete=True)])
@in_virtual_time
async def test_an_agent_that_will_not_go_is_removed(sqlite_database: Database, obstinate: Behaviour) -> None:
    async with World(sqlite_database) as world:
        world.rule(scope="participant", withdraw=True)
        world.simulator.add_worker("greeter", obstinate)
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob", kind="CONNECTOR")
        await world.until(lambda: len(world.dispatches(status="joined")) == 2)
        world.simulator.leave("room", "ana")
        await world.until(lambda: len(world.agents("room")) == 1, within=3)


@in_virtual_time
async def test_an_agent_that_arrives_as_its_caller_leaves_does_not_stay(sqlite_database: Database) -> None:
    """It was on its way when its dispatch was deleted, and no list of LiveKit names it."""
    async with World(sqlite_database, sweep=5) as world:
        world.rule(scope="participant")
        world.simulator.add_worker("greeter", Behaviour(join_after=1.0, stays_after_delete=True))
        world.simulator.join("room", "ana")
        world.simulator.join("room", "bob")
        await world.until(lambda: len(world.dispatches(status="dispatched")) == 2)
        world.simulator.leave("room", "ana")
        await world.until(lambda: len(world.agents("room")) == 2, within=3)
        await world.until(lambda: len(world.agents("room")) == 1, within=12)
        (row,) = world.dispatches(status="joined")
        assert (row["participant_identity"], row["agent_identity"]) == ("bob", world.agents("room")[0])
        entry = world.simulator.ledger.dispatch(row["livekit_dispatch_id"])
        assert entry is not None
        assert entry.agents[0].identity == row["agent_identity"]


@in_virtual_time
async def test_without_withdraw_the_agent_stays(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule(withdraw=False)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.leave("room", "ana")
        await world.wait(15)
        assert len(world.agents("room")) == 1
        await world.until_status("ended", within=15)  # LiveKit closes the room


@pytest.mark.parametrize("gap", [0.05, 0.15, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("scope", ["room", "participant"])
@in_virtual_time
async def test_a_caller_who_reloads_the_page_keeps_an_agent_or_gets_another(
    sqlite_database: Database, scope: str, gap: float
) -> None:
    """The agent is being withdrawn when its caller is back: whatever comes of it, he is not left alone."""
    async with World(sqlite_database, timing=Timing(activation=0.02)) as world:
        world.rule(scope=scope, withdraw=True)
        world.simulator.add_worker("greeter", Behaviour(ignores_termination=True))
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.leave("room", "ana")
        await world.wait(gap)
        world.simulator.join("room", "ana")
        await world.wait(8)
        verdict = world.judge(unit=Unit.ROOM, tolerance=0.5)
        assert verdict.clean, world.describe()
        assert not verdict.alone, world.describe()
        assert len(world.agents("room")) == 1
        joined = world.dispatches(status="joined")
        assert [row["agent_identity"] for row in joined] == world.agents("room"), world.describe()


@pytest.mark.parametrize("gap", [0.1, 0.4, 1.0, 3.0])
@in_virtual_time
async def test_a_caller_who_returns_while_the_agent_is_leaving_gets_another(
    sqlite_database: Database, gap: float
) -> None:
    """livekit-agents sessions end by themselves a moment after their participant has left."""
    async with World(sqlite_database) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        world.simulator.leave("room", "ana")
        world.simulator.schedule.call_later(
            1.5, lambda: world.simulator.leave("room", row["agent_identity"], DisconnectReason.CLIENT_INITIATED)
        )
        await world.wait(gap)
        world.simulator.join("room", "ana")
        await world.wait(8)
        assert not world.judge().alone, world.describe()
        assert len(world.agents("room")) == 1
        assert world.judge(tolerance=0.5).clean


@in_virtual_time
async def test_an_agent_that_hangs_up_on_its_caller_is_not_replaced(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(4)
        world.simulator.leave("room", row["agent_identity"])
        await world.wait(12)
        assert world.dispatch()["status"] == "ended"
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("scope", ["room", "participant"])
@pytest.mark.parametrize("late_left", [0.0, 0.05, 2.0])
@in_virtual_time
async def test_a_reconnect_under_the_same_identity_is_served_by_the_same_dispatch_or_the_next(
    sqlite_database: Database, scope: str, late_left: float
) -> None:
    """LiveKit puts the old participant out; its `participant_left` may come after the new one's join (#2399)."""
    async with World(sqlite_database, timing=Timing(activation=0.02)) as world:
        world.rule(scope=scope)
        world.simulator.add_worker("greeter", Behaviour(join_after=1.0))
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.join("room", "ana", late_left=late_left)
        await world.wait(12)
        assert len(world.dispatches(status="joined")) == 1, world.describe()
        assert len(world.agents("room")) == 1
        assert not world.judge().alone
        assert not world.judge().lost


@in_virtual_time
async def test_a_caller_who_returns_after_the_end_gets_an_agent_again(database: Database) -> None:
    async with World(database) as world:
        world.rule(scope="participant", withdraw=True)
        world.simulator.add_worker("greeter")
        for _ in range(3):
            world.simulator.join("room", "ana")
            await world.until_status("joined")
            world.simulator.leave("room", "ana")
            await world.until(lambda: not world.agents("room"), within=4)
            await world.until(lambda: not world.dispatches(status="joined"), within=4)
        assert [row["status"] for row in world.dispatches()] == ["ended"] * 3
        assert world.judge(unit=Unit.PARTICIPANT).clean


@in_virtual_time
async def test_a_room_of_the_same_name_is_another_room(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(agent_name="absent", answer_timeout_s=2, max_attempts=30)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        first = world.dispatch()
        world.simulator.webhook_faults.outage = True  # no webhook reports its end
        world.simulator.finish_room("room")
        world.simulator.webhook_faults.outage = False
        world.simulator.join("room", "bob")
        await world.until_status("cancelled", room_sid=first["room_sid"], within=5)
        assert "gone" in world.dispatch(id=first["id"])["reason"]
        world.simulator.add_worker("absent")
        row = await world.until_status("joined", within=10)
        assert (row["participant_identity"], row["room_sid"]) == ("bob", world.simulator.rooms.by_name["room"].sid)
        assert world.judge().clean
