"""Dispatches, jobs and agents: what Usher relies on, held by the simulator and by the real server alike."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api
from livekit.protocol.agent import JobStatus
from livekit.protocol.models import ParticipantInfo

from tests.contract.livekit import Desk


async def test_an_agent_arrives_under_its_jobs_name_and_is_told(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    await desk.livekit.join("ana", "arrival")
    dispatch = await desk.dispatch("arrival", "greeter")
    assert dispatch.id.startswith("AD_")
    [agent] = await desk.eventually(lambda: desk.agents("arrival"), within=10, what="the agent is in the room")
    assert agent.identity.startswith("agent-AJ_")
    assert agent.attributes["lk.agent_name"] == "greeter"
    assert agent.permission.agent
    [joined] = await desk.told("participant_joined", "arrival", agent.identity)
    said = joined["participant"]
    assert isinstance(said, dict)
    assert (said["kind"], said["sid"], said["state"]) == ("AGENT", agent.sid, "ACTIVE")
    [job] = await desk.eventually(lambda: desk.jobs("arrival", dispatch.id), within=8, what="the job is listed")
    assert agent.identity == f"agent-{job.id}"
    assert job.dispatch_id == dispatch.id


async def test_attributes_and_metadata_come_back_from_the_list_but_not_from_the_agent(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    await desk.livekit.join("ana", "come-back")
    dispatch = await desk.dispatch("come-back", "greeter", {"language": "es"}, {"usher.dispatch": "17"})
    [agent] = await desk.eventually(lambda: desk.agents("come-back"), within=10, what="the agent is in the room")
    [listed] = await desk.dispatches("come-back")
    assert (listed.id, listed.agent_name, listed.metadata) == (dispatch.id, "greeter", '{"language": "es"}')
    assert dict(listed.attributes) == {"usher.dispatch": "17"}
    assert "usher.dispatch" not in agent.attributes
    [job] = await desk.eventually(lambda: desk.jobs("come-back", dispatch.id), within=8, what="the job is listed")
    assert (job.state.status, job.state.participant_identity) == (JobStatus.JS_RUNNING, agent.identity)
    assert job.state.worker_id.startswith("AW_")


async def test_the_job_list_is_late_after_any_worker_has_registered_and_prompt_later(desk: Desk) -> None:
    """Then (and each minute) the server collects its workers' names for 5 s; jobs are listed once it has done."""
    await desk.livekit.start_worker("greeter")
    for room in ("late", "prompt"):
        await desk.livekit.join("ana", room)
    await desk.livekit.start_worker("newcomer")
    late = await desk.dispatch("late", "greeter")
    await desk.eventually(lambda: desk.agents("late"), within=3, what="the agent is in the room")
    assert await desk.jobs("late", late.id) == []
    await desk.eventually(lambda: desk.jobs("late", late.id), within=8, what="the job is listed")
    prompt = await desk.dispatch("prompt", "greeter")
    begun = asyncio.get_running_loop().time()
    await desk.eventually(lambda: desk.jobs("prompt", prompt.id), within=8, what="the job is listed")
    assert asyncio.get_running_loop().time() - begun < desk.seconds(3)


async def test_every_call_adds_an_agent(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    await desk.livekit.join("ana", "twice")
    for _ in range(2):
        await desk.dispatch("twice", "greeter")

    async def two() -> bool:
        return len(await desk.agents("twice")) == 2

    await desk.eventually(two, within=10, what="two agents are in the room")


async def test_a_room_lists_an_automatic_dispatch_without_a_name(desk: Desk) -> None:
    await desk.livekit.join("ana", "automatic")
    listed = await desk.client.agent_dispatch.list_dispatch("automatic")
    assert [each.agent_name for each in listed] == [""]


async def test_one_dispatch_can_be_listed_by_its_id(desk: Desk) -> None:
    await desk.livekit.join("ana", "by-id")
    for agent_name in ("nobody", "nothing"):
        await desk.dispatch("by-id", agent_name)
    wanted = (await desk.dispatches("by-id"))[0]
    found = await desk.client.agent_dispatch.get_dispatch(wanted.id, "by-id")
    assert found is not None
    assert found.id == wanted.id


async def test_a_dispatch_into_an_unknown_room_makes_a_ghost(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    assert "ghost" not in await desk.room_names()
    await desk.dispatch("ghost", "greeter")
    assert "ghost" in await desk.room_names()
    await desk.told("room_started", "ghost")
    await desk.eventually(lambda: desk.agents("ghost"), within=10, what="an agent sits in the empty room")


async def test_dispatches_of_an_unknown_room_are_unavailable_after_a_long_wait(desk: Desk) -> None:
    begun = asyncio.get_running_loop().time()
    with pytest.raises(api.ServerError) as listed:
        await desk.dispatches("nowhere")
    waited = asyncio.get_running_loop().time() - begun
    assert (listed.value.code, listed.value.status) == ("unavailable", 503)
    assert desk.seconds(2) < waited < desk.seconds(6)
    with pytest.raises(api.ServerError) as deleted:
        await desk.client.agent_dispatch.delete_dispatch("AD_unknown", "nowhere")
    assert (deleted.value.code, deleted.value.status) == ("unavailable", 503)


async def test_an_unknown_dispatch_cannot_be_deleted(desk: Desk) -> None:
    await desk.livekit.join("ana", "unknown-dispatch")
    with pytest.raises(api.ServerError) as refused:
        await desk.client.agent_dispatch.delete_dispatch("AD_unknown", "unknown-dispatch")
    assert (refused.value.code, refused.value.status) == ("not_found", 404)


async def test_a_dispatch_without_a_worker_is_accepted_and_lost(desk: Desk) -> None:
    await desk.livekit.join("ana", "lost")
    dispatch = await desk.dispatch("lost", "latecomer")
    await desk.livekit.start_worker("latecomer")
    await desk.never(lambda: desk.agents("lost"), during=4, what="an agent for a dispatch made before its worker came")
    assert [each.id for each in await desk.dispatches("lost")] == [dispatch.id]
    assert await desk.jobs("lost", dispatch.id) == []
    await desk.dispatch("lost", "latecomer")
    await desk.eventually(lambda: desk.agents("lost"), within=10, what="an agent for the second dispatch")


async def test_a_deleted_dispatch_is_unlisted_at_once_and_its_agent_leaves(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    await desk.livekit.join("ana", "deleted")
    dispatch = await desk.dispatch("deleted", "greeter")
    [agent] = await desk.eventually(lambda: desk.agents("deleted"), within=10, what="the agent is in the room")
    answered = await desk.client.agent_dispatch.delete_dispatch(dispatch.id, "deleted")
    assert answered.id == dispatch.id
    assert await desk.dispatches("deleted") == []

    async def gone() -> bool:
        return not await desk.agents("deleted")

    await desk.eventually(gone, within=15, what="the agent has left")
    await desk.told("participant_left", "deleted", agent.identity)


async def test_a_dispatch_in_a_token_works_only_for_who_opens_the_room(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    wish = api.RoomAgentDispatch(agent_name="greeter", metadata="{}", attributes={"usher.dispatch": "9"})
    await desk.livekit.join("ana", "opened", dispatches=[wish])
    await desk.eventually(lambda: desk.agents("opened"), within=10, what="the token's agent in a new room")
    [listed] = await desk.dispatches("opened")
    assert dict(listed.attributes) == {"usher.dispatch": "9"}
    await desk.livekit.join("early", "open-already")
    await desk.livekit.join("bob", "open-already", dispatches=[wish])
    await desk.never(lambda: desk.dispatches("open-already"), during=3, what="a dispatch in a room that existed")
    assert await desk.agents("open-already") == []


@pytest.mark.parametrize(("kind", "status"), [("refuse", JobStatus.JS_SUCCESS), ("stall", JobStatus.JS_RUNNING)])
async def test_the_status_of_a_job_says_nothing_about_an_agent(desk: Desk, kind: str, status: int) -> None:
    room = f"status-{kind}"
    await desk.livekit.start_worker(kind, kind)  # type: ignore[arg-type]  # one of the kinds
    await desk.livekit.join("ana", room)
    dispatch = await desk.dispatch(room, kind)
    [job] = await desk.eventually(lambda: desk.jobs(room, dispatch.id), within=8, what="the job is listed")
    assert job.state.status == status
    assert await desk.agents(room) == []


async def test_an_agent_that_is_removed_leaves_its_dispatch_and_its_job_as_they_were(desk: Desk) -> None:
    await desk.livekit.start_worker("greeter")
    await desk.livekit.join("ana", "removed")
    dispatch = await desk.dispatch("removed", "greeter")
    [agent] = await desk.eventually(lambda: desk.agents("removed"), within=10, what="the agent is in the room")
    await desk.client.room.remove_participant(api.RoomParticipantIdentity(room="removed", identity=agent.identity))
    [left] = await desk.told("participant_left", "removed", agent.identity)
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "PARTICIPANT_REMOVED"
    [job] = await desk.eventually(lambda: desk.jobs("removed", dispatch.id), within=8, what="the job is listed")
    assert job.state.status == JobStatus.JS_RUNNING


async def test_an_agent_may_choose_its_identity(desk: Desk) -> None:
    await desk.livekit.start_worker("receptionist", "own_identity")
    await desk.livekit.join("ana", "lobby")
    dispatch = await desk.dispatch("lobby", "receptionist")
    [agent] = await desk.eventually(lambda: desk.agents("lobby"), within=10, what="the agent is in the room")
    assert agent.identity == "receptionist-lobby"
    assert agent.attributes["lk.agent_name"] == "receptionist"
    [job] = await desk.eventually(lambda: desk.jobs("lobby", dispatch.id), within=8, what="the job is listed")
    assert job.state.participant_identity == "receptionist-lobby"


async def test_a_killed_workers_agent_stays_listed_until_it_is_removed_or_times_out(desk: Desk) -> None:
    await desk.livekit.start_worker("doomed")
    dispatches = {}
    for room in ("timed-out", "taken-out"):
        await desk.livekit.join("ana", room)
        dispatches[room] = (await desk.dispatch(room, "doomed")).id
    agents = {}
    for room in dispatches:
        [agents[room]] = await desk.eventually(lambda: desk.agents(room), within=10, what="the agent is there")  # noqa: B023
    begun = asyncio.get_running_loop().time()
    await desk.livekit.kill_worker("doomed")
    await desk.client.agent_dispatch.delete_dispatch(dispatches["taken-out"], "taken-out")

    async def gone() -> bool:
        return not await desk.agents("taken-out")

    await desk.never(gone, during=2, what="DeleteDispatch takes a dead agent out")
    dead = agents["taken-out"].identity
    await desk.client.room.remove_participant(api.RoomParticipantIdentity(room="taken-out", identity=dead))
    await desk.eventually(gone, within=2, what="RemoveParticipant takes it out")
    assert await desk.agents("timed-out")
    [left] = await desk.told("participant_left", "timed-out", agents["timed-out"].identity)
    waited = asyncio.get_running_loop().time() - begun
    assert desk.seconds(10) < waited < desk.seconds(45)
    said = left["participant"]
    assert isinstance(said, dict)
    assert said["disconnectReason"] == "CONNECTION_TIMEOUT"
    [job] = await desk.jobs("timed-out", dispatches["timed-out"])
    assert job.state.status == JobStatus.JS_RUNNING


async def test_a_restarted_server_has_lost_the_dispatch_but_caller_and_agent_come_back(desk: Desk) -> None:
    await desk.livekit.start_worker("survivor")
    ana = await desk.livekit.join("ana", "restarted", metadata="kept")
    await desk.dispatch("restarted", "survivor")
    [agent] = await desk.eventually(lambda: desk.agents("restarted"), within=10, what="the agent is in the room")
    await desk.livekit.restart()

    async def back() -> dict[str, ParticipantInfo]:
        found = {each.identity: each for each in await desk.people("restarted")}
        return found if set(found) == {"ana", agent.identity} else {}

    people = await desk.eventually(back, within=20, what="caller and agent are back")
    assert people["ana"].sid != ana.sid
    assert people["ana"].metadata == "kept"
    assert people[agent.identity].sid != agent.sid
    assert await desk.dispatches("restarted") == []


@pytest.mark.parametrize(("metadata", "attributes"), [("x" * (512 * 1024 + 1), {}), ("", {"large": "x" * (64 * 1024)})])
async def test_what_is_too_large_is_refused(desk: Desk, metadata: str, attributes: dict[str, str]) -> None:
    await desk.livekit.join("ana", "large")
    request = api.CreateAgentDispatchRequest(
        room="large", agent_name="greeter", metadata=metadata, attributes=attributes
    )
    with pytest.raises(api.ServerError) as refused:
        await desk.client.agent_dispatch.create_dispatch(request)
    assert (refused.value.code, refused.value.status) == ("invalid_argument", 400)
    assert await desk.dispatches("large") == []


async def test_a_deployment_with_strange_letters_is_refused(desk: Desk) -> None:
    await desk.livekit.join("ana", "deployment")
    request = api.CreateAgentDispatchRequest(room="deployment", agent_name="greeter", deployment="no spaces")
    with pytest.raises(api.ServerError) as refused:
        await desk.client.agent_dispatch.create_dispatch(request)
    assert (refused.value.code, refused.value.status) == ("invalid_argument", 400)
