"""What Usher relies on about LiveKit's dispatches and agents, shown on the real server, without Usher.

Should one of these fail after an upgrade of LiveKit, the code that names the fact must be looked at.
"""

from __future__ import annotations

import time

import pytest
from livekit import api
from livekit.protocol.agent import JobStatus

from tests.e2e.harness.administration import AGENT, Administration, agent_name_of
from tests.e2e.harness.polling import eventually, never
from tests.e2e.harness.scene import Scene
from tests.e2e.harness.worker import Worker


@pytest.fixture
def scene(livekit_alone: Scene) -> Scene:
    livekit_alone.clear()
    return livekit_alone


@pytest.fixture(scope="module")
def greeter(livekit_alone: Scene) -> Worker:
    return livekit_alone.start_worker("greeter")


def test_an_agent_comes_with_its_name_and_its_metadata(scene: Scene, greeter: Worker) -> None:
    ana = scene.join("ana", "greeted", metadata="whatever")
    scene.livekit.create_dispatch("greeted", "greeter", {"language": "es", "department": "sales"})
    assert ana.wait_for_greeting() == "Hola there, aquí Ventas."
    [agent] = scene.livekit.agents("greeted")
    assert agent.kind == AGENT
    assert agent_name_of(agent) == greeter.agent_name
    assert agent.attributes["lk.agent_name"] == greeter.agent_name
    joined = scene.relay.wait_for("participant_joined", room="greeted", identity=agent.identity).webhook["participant"]
    assert joined["kind"] == "AGENT"
    assert joined["sid"] == agent.sid
    assert greeter.agent_name in {joined["attributes"].get(key) for key in ("lk.agent_name", "lk.agent.name")}
    [offer] = [each for each in greeter.job_requests() if each["room"] == "greeted"]
    assert agent.identity == f"agent-{offer['job_id']}"


def test_the_job_list_is_late_and_the_attributes_come_back(scene: Scene, greeter: Worker) -> None:
    scene.join("ana", "late-list")
    dispatch = scene.livekit.create_dispatch("late-list", greeter.agent_name, {}, attributes={"usher.dispatch": "17"})
    eventually(lambda: scene.livekit.agents("late-list"), within=10, what="the agent is in the room")
    [listed] = scene.livekit.dispatches("late-list")
    assert listed.id == dispatch.id
    assert dict(listed.attributes) == {"usher.dispatch": "17"}
    assert not listed.state.jobs, "the job list is not late any more: looking before 6 s has become useful"
    [job] = eventually(
        lambda: scene.livekit.jobs("late-list", dispatch.id), within=7, what="the job list names the job"
    )
    [agent] = scene.livekit.agents("late-list")
    assert job.state.participant_identity == agent.identity
    assert job.state.worker_id
    assert "usher.dispatch" not in agent.attributes


def test_a_second_call_sends_a_second_agent(scene: Scene, greeter: Worker) -> None:
    scene.join("ana", "twice")
    for _ in range(2):
        scene.livekit.create_dispatch("twice", greeter.agent_name, {})
    eventually(lambda: len(scene.livekit.agents("twice")) == 2, within=10, what="two agents are in the room")


def test_a_dispatch_into_a_room_that_is_not_there_makes_the_room(scene: Scene, greeter: Worker) -> None:
    assert "ghost" not in scene.livekit.room_names()
    scene.livekit.create_dispatch("ghost", greeter.agent_name, {})
    assert "ghost" in scene.livekit.room_names()
    eventually(lambda: scene.livekit.agents("ghost"), within=10, what="an agent sits in the empty room")


def test_listing_the_dispatches_of_an_unknown_room_is_slow_and_unavailable(scene: Scene) -> None:
    started = time.monotonic()
    with pytest.raises(api.TwirpError) as refused:
        scene.livekit.dispatches("nowhere")
    assert refused.value.code == api.TwirpErrorCode.UNAVAILABLE
    assert refused.value.status == 503
    assert 2 < time.monotonic() - started < 6


def test_a_dispatch_without_a_worker_is_accepted_and_lost(scene: Scene) -> None:
    scene.join("ana", "lost")
    dispatch = scene.livekit.create_dispatch("lost", "latecomer", {})
    assert dispatch.id
    scene.start_worker("latecomer")
    never(lambda: scene.livekit.agents("lost"), during=4, what="an agent for a dispatch made before its worker came")
    assert [each.id for each in scene.livekit.dispatches("lost")] == [dispatch.id]
    assert scene.livekit.jobs("lost", dispatch.id) == []
    scene.livekit.create_dispatch("lost", "latecomer", {})
    eventually(lambda: scene.livekit.agents("lost"), within=10, what="an agent for the second dispatch")


def test_a_deleted_dispatch_takes_its_agent_out(scene: Scene, greeter: Worker) -> None:
    scene.join("ana", "deleted")
    dispatch = scene.livekit.create_dispatch("deleted", greeter.agent_name, {})
    eventually(lambda: scene.livekit.agents("deleted"), within=10, what="the agent is in the room")
    scene.livekit.delete_dispatch("deleted", dispatch.id)
    eventually(lambda: not scene.livekit.agents("deleted"), within=15, what="the agent has left the room")


def test_a_dispatch_in_the_token_works_only_for_who_makes_the_room(scene: Scene, greeter: Worker) -> None:
    wish = api.RoomAgentDispatch(agent_name=greeter.agent_name, metadata="{}")
    scene.join("ana", "first", dispatches=[wish])
    eventually(lambda: scene.livekit.agents("first"), within=10, what="the token's agent in a new room")
    scene.join("early", "second")
    scene.join("bob", "second", dispatches=[wish])
    never(lambda: scene.livekit.dispatches("second"), during=3, what="the token's dispatch in a room that existed")
    assert scene.livekit.agents("second") == []


def test_the_status_of_a_job_says_nothing_about_an_agent(scene: Scene) -> None:
    """A refused job reads SUCCESS; one that a worker took and never began reads RUNNING."""
    scene.start_worker("refuser", behaviour="refuse")
    scene.start_worker("staller", behaviour="stall")
    expected = {"refuser": JobStatus.JS_SUCCESS, "staller": JobStatus.JS_RUNNING}
    dispatched = {}
    for agent_name in expected:
        scene.join("ana", agent_name)
        dispatched[agent_name] = scene.livekit.create_dispatch(agent_name, agent_name, {}).id
    for agent_name, status in expected.items():
        [job] = eventually(
            lambda name=agent_name: scene.livekit.jobs(name, dispatched[name]),  # type: ignore[misc]
            within=8,
            what=f"the job of {agent_name} is listed",
        )
        assert job.state.status == status
        assert scene.livekit.agents(agent_name) == []


def test_a_token_tells_which_dispatch_it_asked_for(scene: Scene, greeter: Worker) -> None:
    wish = api.RoomAgentDispatch(agent_name=greeter.agent_name, metadata="{}", attributes={"usher.dispatch": "9"})
    scene.join("ana", "token-attributes", dispatches=[wish])
    [listed] = scene.livekit.dispatches("token-attributes")
    assert dict(listed.attributes) == {"usher.dispatch": "9"}


def test_refusals_by_their_codes(scene: Scene, greeter: Worker) -> None:
    scene.join("ana", "codes")
    too_large = "x" * (513 * 1024)
    with pytest.raises(api.TwirpError) as metadata:
        scene.livekit.create_dispatch("codes", greeter.agent_name, too_large)
    assert (metadata.value.code, metadata.value.status) == (api.TwirpErrorCode.INVALID_ARGUMENT, 400)
    with pytest.raises(api.TwirpError) as attributes:
        scene.livekit.create_dispatch("codes", greeter.agent_name, {}, attributes={"large": "x" * 65537})
    assert (attributes.value.code, attributes.value.status) == (api.TwirpErrorCode.INVALID_ARGUMENT, 400)
    with pytest.raises(api.TwirpError) as unknown:
        scene.livekit.delete_dispatch("codes", "AD_unknown")
    assert (unknown.value.code, unknown.value.status) == (api.TwirpErrorCode.NOT_FOUND, 404)
    impostor = Administration(scene.server, api_secret="not the secret of this server at all")
    with pytest.raises(api.TwirpError) as forged:
        impostor.create_dispatch("codes", greeter.agent_name, {})
    assert forged.value.status == 401
    assert scene.livekit.dispatches("codes") == []


def test_an_agent_that_is_removed_leaves_its_dispatch_and_its_job_as_they_were(scene: Scene, greeter: Worker) -> None:
    scene.join("ana", "removed")
    dispatch = scene.livekit.create_dispatch("removed", greeter.agent_name, {})
    [agent] = eventually(lambda: scene.livekit.agents("removed"), within=10, what="the agent is in the room")
    scene.livekit.remove_participant("removed", agent.identity)
    left = scene.relay.wait_for("participant_left", room="removed", identity=agent.identity).webhook
    assert left["participant"]["disconnectReason"] == "PARTICIPANT_REMOVED"
    [job] = eventually(lambda: scene.livekit.jobs("removed", dispatch.id), within=8, what="the job list names the job")
    assert job.state.status == JobStatus.JS_RUNNING


def test_an_agent_may_choose_an_identity_of_its_own(scene: Scene) -> None:
    scene.start_worker("receptionist", behaviour="own_identity")
    scene.join("ana", "lobby")
    dispatch = scene.livekit.create_dispatch("lobby", "receptionist", {})
    [agent] = eventually(lambda: scene.livekit.agents("lobby"), within=10, what="the agent is in the room")
    assert agent.identity == "receptionist-lobby"
    [job] = eventually(lambda: scene.livekit.jobs("lobby", dispatch.id), within=7, what="the job list names the job")
    assert job.state.participant_identity == "receptionist-lobby"
