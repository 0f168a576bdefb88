"""What a server with Redis does when a node is lost, or Redis its data."""

from __future__ import annotations

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, DispatchOrder
from tests.simulator import judge
from tests.unit.simulator.world import World

WISH = DispatchOrder("greeter", attributes={"mark": "17"})


async def crash(world: World, **back: bool | float | None) -> None:
    """Kill the server and let it come back at once; time passes only as far as the test says."""
    await world.simulator.webhooks.stop()
    world.simulator.webhooks.start()
    world.simulator.lose_node(*world.simulator.rooms.by_name, **back)  # type: ignore[arg-type] # by the test


async def test_a_room_keeps_its_sid_and_starts_again_with_its_ghosts(world: World) -> None:
    world.simulator.add_worker("greeter")
    ana = world.simulator.join("lobby", "ana")
    world.dispatch("lobby")
    await world.wait(1)
    [agent] = world.simulator.agents("lobby")
    sid = world.simulator.rooms.by_name["lobby"].sid
    await crash(world, agents_rejoin=False, rejoin_after=4)
    await world.wait(3)
    assert world.receiver.summaries("lobby").count("room_started") == 1
    await world.wait(2)
    started = [each.webhook for each in world.receiver.received if each.event == "room_started"]
    assert [each["room"]["sid"] for each in started] == [sid, sid]
    assert {key for key in started[0] if started[0][key] != started[1][key]} <= {"id", "createdAt"}
    room = world.simulator.rooms.by_name["lobby"]
    assert room.dispatches.keys() == {each.id for each in room.dispatches.values() if each.agent_name == ""}
    back = room.participants["ana"]
    assert back.sid != ana.sid
    assert room.participants[agent.identity] is agent
    assert agent.ghost
    await world.wait(60)
    assert "participant_left" not in {each.event for each in world.receiver.received}
    assert judge(world.simulator.ledger).alone == ("lobby",)


async def test_a_room_is_empty_although_its_ghosts_are_listed(world: World) -> None:
    world.simulator.join("lobby", "ana")
    world.simulator.join("lobby", "bob")
    await world.wait(1)
    await crash(world, rejoin=False)
    world.simulator.join("lobby", "cleo")
    await world.wait(1)
    world.simulator.leave("lobby", "cleo")
    await world.wait(21)
    assert world.simulator.room("lobby") is None
    left = [each.summary for each in world.receiver.received if each.event == "participant_left"]
    assert left == ["participant_left cleo"]
    assert world.receiver.received[-1].webhook["roomEndReason"] == "ROOM_END_IDLE_TIMEOUT"


async def test_the_tokens_dispatch_is_launched_again_and_the_old_agent_returns(world: World) -> None:
    world.simulator.add_worker("greeter")
    world.simulator.join("lobby", "ana", dispatches=[WISH])
    await world.wait(1)
    await crash(world, agents_rejoin_after=8)
    await world.wait(7)
    [again] = [each for each in world.simulator.rooms.by_name["lobby"].dispatches.values() if each.agent_name]
    first, second = world.simulator.ledger.from_tokens
    assert (first.attributes, second.attributes) == ({"mark": "17"}, {"mark": "17"})
    assert again.id == second.id != first.id
    await world.wait(3)
    assert len([each for each in world.simulator.agents("lobby") if not each.ghost]) == 2
    assert judge(world.simulator.ledger).doubled == ("lobby",)


async def test_the_same_token_used_after_its_room_has_closed_launches_its_dispatch_again(world: World) -> None:
    world.simulator.add_worker("greeter")
    world.simulator.join("lobby", "ana", dispatches=[WISH])
    await world.wait(1)
    world.simulator.finish_room("lobby")
    world.simulator.join("lobby", "ana", dispatches=[WISH])
    await world.wait(1)
    first, second = world.simulator.ledger.from_tokens
    assert first.id != second.id
    assert first.room_sid != second.room_sid
    assert (first.agent_name, dict(first.attributes)) == (second.agent_name, dict(second.attributes))
    assert len(world.simulator.agents("lobby")) == 1


async def test_after_redis_lost_its_data_a_room_is_listed_when_it_changes_with_what_changed(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    world.simulator.lose_redis()
    room = world.simulator.rooms.by_name["lobby"]
    assert world.simulator.rooms.stored("lobby") is None
    world.simulator.add_worker("greeter", Behaviour())
    world.dispatch("lobby")
    await world.wait(1)
    assert world.simulator.rooms.stored("lobby") is room
    assert [each.identity for each in room.participants.values() if not each.unlisted] == [
        each.identity for each in world.simulator.agents("lobby")
    ]
    world.simulator.update("lobby", "ana", metadata="m")
    assert not room.participants["ana"].unlisted
    world.simulator.leave("lobby", "ana")
    await world.settle()
    last = world.receiver.received[-1].webhook
    assert (last["event"], last["room"]["sid"]) == ("participant_left", room.sid)


async def test_a_room_without_a_node_is_gone_when_redis_loses_its_data(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    await crash(world, rejoin=False)
    world.simulator.lose_redis()
    assert world.simulator.room("lobby") is None


async def test_a_ghost_cannot_leave(world: World) -> None:
    ana = world.simulator.join("lobby", "ana")
    await world.wait(1)
    await crash(world, rejoin=False)
    world.simulator.leave("lobby", "ana", DisconnectReason.PARTICIPANT_REMOVED)
    assert world.simulator.rooms.by_name["lobby"].participants["ana"] is ana
