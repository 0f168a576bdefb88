"""A server with Redis: what outlives a crash, and what is lost with Redis.

The tests run in this order on the real server, and the last leaves it without a Redis.
"""

from __future__ import annotations

import asyncio

import pytest
from livekit import api
from livekit.protocol.models import ParticipantInfo

from tests.contract.livekit import Calls, LiveKitWithRedis

WISH = api.RoomAgentDispatch(agent_name="greeter", metadata="{}", attributes={"usher.dispatch": "17"})


async def by_identity(calls: Calls, room: str) -> dict[str, ParticipantInfo]:
    return {each.identity: each for each in await calls.participants(room)}


async def test_a_crash_leaves_the_room_its_sid_its_ghosts_and_the_dispatch_of_its_token(
    redis_calls: Calls, redis_livekit: LiveKitWithRedis
) -> None:
    calls, livekit = redis_calls, redis_livekit
    await livekit.start_worker("greeter")
    ana = await livekit.join("ana", "crashed", dispatches=[WISH])
    [ghost] = await calls.eventually(lambda: calls.agents("crashed"), within=10, what="the token's agent is there")
    made = await calls.dispatch("crashed", "nobody")
    [first] = [each for each in await calls.dispatches("crashed") if each.agent_name == "greeter"]

    await livekit.crash()

    assert "crashed" in await calls.room_names()
    listed = await by_identity(calls, "crashed")
    assert {listed["ana"].sid, listed[ghost.identity].sid} == {ana.sid, ghost.sid}
    assert listed[ghost.identity].state == ParticipantInfo.State.ACTIVE
    with pytest.raises(api.ServerError) as unanswered:
        await calls.dispatches("crashed")
    assert (unanswered.value.code, unanswered.value.status) == ("unavailable", 503)

    await livekit.start_worker("greeter")
    cleo = await livekit.join("cleo", "crashed")
    assert cleo.room_sid == ana.room_sid
    before, after = await calls.webhooks("room_started", "crashed", times=2)
    assert {key for key in before if before[key] != after[key]} <= {"id", "createdAt"}

    async def launched_again() -> list[api.AgentDispatch]:
        return [each for each in await calls.dispatches("crashed") if each.agent_name == "greeter"]

    [again] = await calls.eventually(launched_again, within=5, what="the token's dispatch is launched again")
    assert again.id != first.id
    assert dict(again.attributes) == {"usher.dispatch": "17"}
    assert made.id not in [each.id for each in await calls.dispatches("crashed")]

    async def another_agent() -> bool:
        return len(await calls.agents("crashed")) == 2  # the ghost is one

    await calls.eventually(another_agent, within=10, what="the dispatch of the token brings an agent")

    # A ghost cannot be removed: no node serves it.
    begun = asyncio.get_running_loop().time()
    with pytest.raises(api.ServerError) as refused:
        await calls.client.room.remove_participant(api.RoomParticipantIdentity(room="crashed", identity=ghost.identity))
    assert (refused.value.code, refused.value.status) == ("unavailable", 503)
    assert asyncio.get_running_loop().time() - begun > calls.seconds(2)
    assert (await by_identity(calls, "crashed"))[ghost.identity].sid == ghost.sid

    # Its identity's return takes its place, and says nothing of it.
    back = await livekit.join("ana", "crashed")
    assert (await by_identity(calls, "crashed"))["ana"].sid == back.sid != ana.sid
    await livekit.leave(back)
    await calls.webhooks("participant_left", "crashed", "ana")
    assert "ana" not in await by_identity(calls, "crashed")
    sent = calls.livekit.relay.deliveries("participant_left", room="crashed")
    assert [each.webhook["participant"]["sid"] for each in sent] == [back.sid]

    # Closing the room takes the ghosts along.
    await calls.client.room.delete_room(api.DeleteRoomRequest(room="crashed"))
    assert await calls.participants("crashed") == []
    await calls.webhooks("room_finished", "crashed")
    gone = {each.identity for each in calls.livekit.relay.deliveries("participant_left", room="crashed")}
    assert ghost.identity not in gone


async def test_create_dispatch_makes_a_crashed_room_again_once_the_lost_node_is_known_to_be_lost(
    redis_calls: Calls, redis_livekit: LiveKitWithRedis
) -> None:
    calls, livekit = redis_calls, redis_livekit
    ana = await livekit.join("ana", "made-again")
    await livekit.crash()
    with pytest.raises(api.ServerError) as unanswered:
        await calls.dispatch("made-again", "nobody")
    assert (unanswered.value.code, unanswered.value.status) == ("unavailable", 503)

    async def accepted() -> str:
        try:
            return (await calls.dispatch("made-again", "nobody")).id
        except api.ServerError:
            return ""

    dispatch_id = await calls.eventually(accepted, within=12, what="CreateDispatch is accepted")
    assert [each.id for each in await calls.dispatches("made-again")] == [dispatch_id]
    started = await calls.webhooks("room_started", "made-again", times=2)
    assert {each["room"]["sid"] for each in started} == {ana.room_sid}  # type: ignore[index] # an object
    assert (await by_identity(calls, "made-again"))["ana"].sid == ana.sid


async def test_a_redis_that_lost_its_data_lists_a_room_once_it_changes_with_the_participants_that_changed(
    redis_calls: Calls, redis_livekit: LiveKitWithRedis
) -> None:
    calls, livekit = redis_calls, redis_livekit
    await livekit.start_worker("greeter")
    ana = await livekit.join("ana", "forgotten")
    first = await calls.dispatch("forgotten", "greeter")
    [agent] = await calls.eventually(lambda: calls.agents("forgotten"), within=10, what="the agent is there")
    await asyncio.sleep(calls.seconds(6))  # what its coming has changed is written by then

    await livekit.lose_redis()

    assert "forgotten" not in await calls.room_names()
    assert await calls.participants("forgotten") == []
    assert [each.id for each in await calls.dispatches("forgotten")] == [first.id]
    with pytest.raises(api.ServerError) as unknown:
        await calls.client.room.remove_participant(api.RoomParticipantIdentity(room="forgotten", identity="ana"))
    assert (unknown.value.code, unknown.value.status) == ("not_found", 404)

    refusals: set[tuple[str, str]] = set()

    async def accepted() -> str:
        try:
            return (await calls.dispatch("forgotten", "greeter")).id
        except api.ServerError as error:
            refusals.add((error.code, error.message))
            return ""

    second = await calls.eventually(accepted, within=8, what="CreateDispatch is accepted again")
    assert refusals <= {("unknown", "could not find any available nodes")}  # for up to 2 s
    assert {each.id for each in await calls.dispatches("forgotten")} == {first.id, second}  # in no order
    [newcomer] = await calls.eventually(lambda: calls.agents("forgotten"), within=10, what="an agent is listed")
    assert newcomer.identity != agent.identity
    await calls.eventually(calls.room_names, within=5, what="a room is listed")
    assert "ana" not in await by_identity(calls, "forgotten")
    await livekit.leave(ana)
    [left] = await calls.webhooks("participant_left", "forgotten", "ana")
    assert left["room"]["sid"] == ana.room_sid  # type: ignore[index] # an object
    started = calls.livekit.relay.deliveries("room_started", room="forgotten")
    assert len(started) == 1


async def test_without_its_redis_the_server_says_so(redis_calls: Calls, redis_livekit: LiveKitWithRedis) -> None:
    calls = redis_calls
    await redis_livekit.stop_redis()
    for ask, text in (
        (calls.room_names(), "could not get rooms: dial tcp "),
        (calls.participants("anywhere"), "dial tcp "),
        (calls.dispatch("anywhere", "greeter"), "could not get node for room: dial tcp "),
    ):
        with pytest.raises(api.ServerError) as failed:
            await ask
        assert (failed.value.code, failed.value.status) == ("unknown", 500)
        assert failed.value.message.startswith(text)
        assert failed.value.message.endswith("connection refused")
