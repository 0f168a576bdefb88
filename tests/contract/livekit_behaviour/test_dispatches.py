"""Dispatches, jobs and agents: what Usher relies on, held by the simulator and by the real server alike."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api
from livekit.protocol.agent import JobStatus
from livekit.protocol.models import ParticipantInfo

from tests.contract.livekit import Calls


async def test_an_agent_joins_under_its_jobs_name_with_a_webhook(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    await calls.livekit.join("ana", "arrival")
    dispatch = await calls.dispatch("arrival", "greeter")
    assert dispatch.id.startswith("AD_")
    [agent] = await calls.eventually(lambda: calls.agents("arrival"), within=10, what="the agent is in the room")
    assert agent.identity.startswith("agent-AJ_")
    assert agent.attributes["lk.agent_name"] == "greeter"
    assert agent.permission.agent
    [joined] = await calls.webhooks("participant_joined", "arrival", agent.identity)
    said = joined["participant"]
    assert isinstance(said, dict)
    assert (said["kind"], said["sid"], said["state"]) == ("AGENT", agent.sid, "ACTIVE")
    [job] = await calls.eventually(lambda: calls.jobs("arrival", dispatch.id), within=8, what="the job is listed")
    assert agent.identity == f"agent-{job.id}"
    assert job.dispatch_id == dispatch.id


async def test_attributes_and_metadata_come_back_from_the_list_but_not_from_the_agent(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    await calls.livekit.join("ana", "come-back")
    dispatch = await calls.dispatch("come-back", "greeter", {"language": "es"}, {"usher.dispatch": "17"})
    [agent] = await calls.eventually(lambda: calls.agents("come-back"), within=10, what="the agent is in the room")
    [listed] = await calls.dispatches("come-back")
    assert (listed.id, listed.agent_name, listed.metadata) == (dispatch.id, "greeter", '{"language": "es"}')
    assert dict(listed.attributes) == {"usher.dispatch": "17"}
    assert "usher.dispatch" not in agent.attributes
    [job] = await calls.eventually(lambda: calls.jobs("come-back", dispatch.id), within=8, what="the job is listed")
    assert (job.state.status, job.state.participant_identity) == (JobStatus.JS_RUNNING, agent.identity)
    assert job.state.worker_id.startswith("AW_")


async def test_the_job_list_is_late_after_any_worker_has_registered_and_prompt_later(calls: Calls) -> None:
    """Then (and each minute) the server collects its workers' names for 5 s; jobs are listed once it has done."""
    await calls.livekit.start_worker("greeter")
    for room in ("late", "prompt"):
        await calls.livekit.join("ana", room)
    await calls.livekit.start_worker("newcomer")
    late = await calls.dispatch("late", "greeter")
    await calls.eventually(lambda: calls.agents("late"), within=3, what="the agent is in the room")
    assert await calls.jobs("late", late.id) == []
    await calls.eventually(lambda: calls.jobs("late", late.id), within=8, what="the job is listed")
    prompt = await calls.dispatch("prompt", "greeter")
    begun = asyncio.get_running_loop().time()
    await calls.eventually(lambda: calls.jobs("prompt", prompt.id), within=8, what="the job is listed")
    assert asyncio.get_running_loop().time() - begun < calls.seconds(3)


async def test_every_call_adds_an_agent(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    await calls.livekit.join("ana", "twice")
    for _ in range(2):
        await calls.dispatch("twice", "greeter")

    async def two() -> bool:
        return len(await calls.agents("twice")) == 2

    await calls.eventually(two, within=10, what="two agents are in the room")


async def test_a_room_lists_an_automatic_dispatch_without_a_name(calls: Calls) -> None:
    await calls.livekit.join("ana", "automatic")
    listed = await calls.client.agent_dispatch.list_dispatch("automatic")
    assert [each.agent_name for each in listed] == [""]


async def test_one_dispatch_can_be_listed_by_its_id(calls: Calls) -> None:
    await calls.livekit.join("ana", "by-id")
    for agent_name in ("nobody", "nothing"):
        await calls.dispatch("by-id", agent_name)
    wanted = (await calls.dispatches("by-id"))[0]
    found = await calls.client.agent_dispatch.get_dispatch(wanted.id, "by-id")
    assert found is not None
    assert found.id == wanted.id


async def test_a_dispatch_into_an_unknown_room_opens_the_room(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    assert "ghost" not in await calls.room_names()
    await calls.dispatch("ghost", "greeter")
    assert "ghost" in await calls.room_names()
    await calls.webhooks("room_started", "ghost")
    await calls.eventually(lambda: calls.agents("ghost"), within=10, what="an agent sits in the empty room")


async def test_dispatches_of_an_unknown_room_are_unavailable_after_a_long_wait(calls: Calls) -> None:
    begun = asyncio.get_running_loop().time()
    with pytest.raises(api.ServerError) as listed:
        await calls.dispatches("nowhere")
    waited = asyncio.get_running_loop().time() - begun
    assert (listed.value.code, listed.value.status) == ("unavailable", 503)
    assert calls.seconds(2) < waited < calls.seconds(6)
    with pytest.raises(api.ServerError) as deleted:
        await calls.client.agent_dispatch.delete_dispatch("AD_unknown", "nowhere")
    assert (deleted.value.code, deleted.value.status) == ("unavailable", 503)


async def test_an_unknown_dispatch_cannot_be_deleted(calls: Calls) -> None:
    await calls.livekit.join("ana", "unknown-dispatch")
    with pytest.raises(api.ServerError) as refused:
        await calls.client.agent_dispatch.delete_dispatch("AD_unknown", "unknown-dispatch")
    assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_a_dispatch_without_a_worker_is_accepted_and_lost(calls: Calls) -> None:
    await calls.livekit.join("ana", "lost")
    dispatch = await calls.dispatch("lost", "latecomer")
    await calls.livekit.start_worker("latecomer")
    await calls.never(lambda: calls.agents("lost"), during=4, what="an agent for a dispatch older than its worker")
    assert [each.id for each in await calls.dispatches("lost")] == [dispatch.id]
    assert await calls.jobs("lost", dispatch.id) == []
    await calls.dispatch("lost", "latecomer")
    await calls.eventually(lambda: calls.agents("lost"), within=10, what="an agent for the second dispatch")


async def test_a_deleted_dispatch_is_unlisted_at_once_and_its_agent_leaves(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    await calls.livekit.join("ana", "deleted")
    dispatch = await calls.dispatch("deleted", "greeter")
    [agent] = await calls.eventually(lambda: calls.agents("deleted"), within=10, what="the agent is in the room")
    answered = await calls.client.agent_dispatch.delete_dispatch(dispatch.id, "deleted")
    assert answered.id == dispatch.id
    assert await calls.dispatches("deleted") == []

    async def gone() -> bool:
        return not await calls.agents("deleted")

    await calls.eventually(gone, within=15, what="the agent has left")
    await calls.webhooks("participant_left", "deleted", agent.identity)


async def test_a_dispatch_in_a_token_works_only_for_the_join_that_opens_the_room(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    wish = api.RoomAgentDispatch(agent_name="greeter", metadata="{}", attributes={"usher.dispatch": "9"})
    await calls.livekit.join("ana", "opened", dispatches=[wish])
    await calls.eventually(lambda: calls.agents("opened"), within=10, what="the token's agent in a new room")
    [listed] = await calls.dispatches("opened")
    assert dict(listed.attributes) == {"usher.dispatch": "9"}
    await calls.livekit.join("early", "open-already")
    await calls.livekit.join("bob", "open-already", dispatches=[wish])
    await calls.never(lambda: calls.dispatches("open-already"), during=3, what="a dispatch in a room that existed")
    assert await calls.agents("open-already") == []


async def test_the_same_token_used_again_after_its_room_has_closed_brings_an_agent_again(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    wish = api.RoomAgentDispatch(agent_name="greeter", metadata="{}", attributes={"usher.dispatch": "9"})
    await calls.livekit.join("ana", "reopened", dispatches=[wish])
    # An agent that is still on its way would open the room again, before the token does.
    await calls.eventually(lambda: calls.agents("reopened"), within=10, what="the token's agent")
    [first] = await calls.dispatches("reopened")
    await calls.client.room.delete_room(api.DeleteRoomRequest(room="reopened"))
    await calls.webhooks("room_finished", "reopened")
    await calls.livekit.join("ana", "reopened", dispatches=[wish])
    [second] = await calls.dispatches("reopened")
    assert second.id != first.id
    assert second.attributes == first.attributes
    await calls.eventually(lambda: calls.agents("reopened"), within=10, what="the token's agent comes again")


@pytest.mark.parametrize(("kind", "status"), [("refuse", JobStatus.JS_SUCCESS), ("stall", JobStatus.JS_RUNNING)])
async def test_the_status_of_a_job_says_nothing_about_an_agent(calls: Calls, kind: str, status: int) -> None:
    room = f"status-{kind}"
    await calls.livekit.start_worker(kind, kind)  # type: ignore[arg-type]  # one of the kinds
    await calls.livekit.join("ana", room)
    dispatch = await calls.dispatch(room, kind)
    [job] = await calls.eventually(lambda: calls.jobs(room, dispatch.id), within=8, what="the job is listed")
    assert job.state.status == status
    assert await calls.agents(room) == []


async def test_an_agent_that_is_removed_leaves_its_dispatch_and_its_job_as_they_were(calls: Calls) -> None:
    await calls.livekit.start_worker("greeter")
    await calls.livekit.join("ana", "removed")
    dispatch = await calls.dispatch("removed", "greeter")
    [agent] = await calls.eventually(lambda: calls.agents("removed"), within=10, what="the agent is in the room")
    await calls.client.room.remove_participant(api.RoomParticipantIdentity(room="removed", identity=agent.identity))
    [left] = await calls.webhooks("participant_left", "removed", agent.identity)
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "PARTICIPANT_REMOVED"
    [job] = await calls.eventually(lambda: calls.jobs("removed", dispatch.id), within=8, what="the job is listed")
    assert job.state.status == JobStatus.JS_RUNNING


async def test_an_agent_may_choose_its_identity(calls: Calls) -> None:
    await calls.livekit.start_worker("receptionist", "own_identity")
    await calls.livekit.join("ana", "lobby")
    dispatch = await calls.dispatch("lobby", "receptionist")
    [agent] = await calls.eventually(lambda: calls.agents("lobby"), within=10, what="the agent is in the room")
    assert agent.identity == "receptionist-lobby"
    assert agent.attributes["lk.agent_name"] == "receptionist"
    [job] = await calls.eventually(lambda: calls.jobs("lobby", dispatch.id), within=8, what="the job is listed")
    assert job.state.participant_identity == "receptionist-lobby"


async def test_a_killed_workers_agent_stays_listed_until_it_is_removed_or_times_out(calls: Calls) -> None:
    await calls.livekit.start_worker("doomed")
    dispatches = {}
    for room in ("timed-out", "taken-out"):
        await calls.livekit.join("ana", room)
        dispatches[room] = (await calls.dispatch(room, "doomed")).id
    agents = {}
    for room in dispatches:
        [agents[room]] = await calls.eventually(lambda: calls.agents(room), within=10, what="the agent is there")  # noqa: B023
    begun = asyncio.get_running_loop().time()
    await calls.livekit.kill_worker("doomed")
    await calls.client.agent_dispatch.delete_dispatch(dispatches["taken-out"], "taken-out")

    async def gone() -> bool:
        return not await calls.agents("taken-out")

    await calls.never(gone, during=2, what="DeleteDispatch takes a dead agent out")
    dead = agents["taken-out"].identity
    await calls.client.room.remove_participant(api.RoomParticipantIdentity(room="taken-out", identity=dead))
    await calls.eventually(gone, within=2, what="RemoveParticipant takes it out")
    assert await calls.agents("timed-out")
    [left] = await calls.webhooks("participant_left", "timed-out", agents["timed-out"].identity)
    waited = asyncio.get_running_loop().time() - begun
    assert calls.seconds(10) < waited < calls.seconds(45)
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "CONNECTION_TIMEOUT"
    [job] = await calls.jobs("timed-out", dispatches["timed-out"])
    assert job.state.status == JobStatus.JS_RUNNING


async def test_a_restarted_server_has_lost_the_dispatch_but_caller_and_agent_come_back(calls: Calls) -> None:
    await calls.livekit.start_worker("survivor")
    ana = await calls.livekit.join("ana", "restarted", metadata="kept")
    await calls.dispatch("restarted", "survivor")
    [agent] = await calls.eventually(lambda: calls.agents("restarted"), within=10, what="the agent is in the room")
    await calls.livekit.restart()

    async def back() -> dict[str, ParticipantInfo]:
        found = {each.identity: each for each in await calls.participants("restarted")}
        return found if set(found) == {"ana", agent.identity} else {}

    people = await calls.eventually(back, within=20, what="caller and agent are back")
    assert people["ana"].sid != ana.sid
    assert people["ana"].metadata == "kept"
    assert people[agent.identity].sid != agent.sid
    assert await calls.dispatches("restarted") == []


@pytest.mark.parametrize(("metadata", "attributes"), [("x" * (512 * 1024 + 1), {}), ("", {"large": "x" * (64 * 1024)})])
async def test_what_is_too_large_is_refused(calls: Calls, metadata: str, attributes: dict[str, str]) -> None:
    await calls.livekit.join("ana", "large")
    request = api.CreateAgentDispatchRequest(
        room="large", agent_name="greeter", metadata=metadata, attributes=attributes
    )
    with pytest.raises(api.ServerError) as refused:
        await calls.client.agent_dispatch.create_dispatch(request)
    assert (refused.value.code, refused.value.status) == ("invalid_argument", 400)
    assert await calls.dispatches("large") == []


async def test_a_deployment_with_strange_letters_is_refused(calls: Calls) -> None:
    await calls.livekit.join("ana", "deployment")
    request = api.CreateAgentDispatchRequest(room="deployment", agent_name="greeter", deployment="no spaces")
    with pytest.raises(api.ServerError) as refused:
        await calls.client.agent_dispatch.create_dispatch(request)
    assert (refused.value.code, refused.value.status) == ("invalid_argument", 400)
