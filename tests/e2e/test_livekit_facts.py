"""What Usher's code relies on about LiveKit, shown on the real server, without Usher.

Should one of these fail after an upgrade of LiveKit, the code that names the fact in its comment must be looked at.
"""

from __future__ import annotations

import time

import pytest
from livekit import api

from tests.e2e.harness.administration import AGENT, agent_name_of
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


def test_a_join_is_told_with_the_metadata_of_the_token(scene: Scene) -> None:
    ana = scene.join("ana", "told", metadata={"language": "es"}, attributes={"tier": "gold"}, name="Ana")
    webhook = scene.relay.wait_for("participant_joined", room="told", identity="ana").webhook
    participant = webhook["participant"]
    assert participant["sid"] == ana.sid
    assert webhook["room"]["sid"] == ana.room_sid
    assert participant["metadata"] == '{"language": "es"}'
    assert participant["attributes"] == {"tier": "gold"}
    assert participant["name"] == "Ana"
    assert participant["state"] == "ACTIVE"
    assert "kind" not in participant  # STANDARD is the default, and defaults are left out


def test_a_webhook_is_signed_without_bearer_and_carries_a_secret(scene: Scene) -> None:
    scene.join("ana", "signed")
    delivery = scene.relay.wait_for("participant_joined", room="signed")
    receiver = api.WebhookReceiver(api.TokenVerifier(scene.server.api_key, scene.server.api_secret))
    event = receiver.receive(delivery.body.decode(), delivery.token)
    assert event.participant.identity == "ana"
    assert delivery.webhook["room"]["turnPassword"]


def test_a_phone_caller_has_kind_sip_and_the_number_dialled(scene: Scene) -> None:
    numbers = {"sip.phoneNumber": "+34600111222", "sip.trunkPhoneNumber": "+15557654321"}
    scene.join("sip_+34600111222", "phone", kind="sip", attributes=numbers)
    participant = scene.relay.wait_for("participant_joined", room="phone").webhook["participant"]
    assert participant["kind"] == "SIP"
    assert participant["attributes"] == numbers


def test_changed_metadata_has_no_webhook_and_shows_first_when_its_owner_leaves(scene: Scene) -> None:
    ana = scene.join("ana", "changed", metadata="before")
    scene.relay.wait_for("participant_joined", room="changed")
    scene.livekit.update_participant("changed", "ana", metadata="after", attributes={"tier": "gold"})
    eventually(
        lambda: [each.metadata for each in scene.livekit.participants("changed")] == ["after"],
        within=5,
        what="the server knows the new metadata",
    )
    ana.leave()
    left = scene.relay.wait_for("participant_left", room="changed")
    assert left.webhook["participant"]["metadata"] == "after"
    about_ana = scene.relay.deliveries(room="changed", identity="ana")
    assert [each.event for each in about_ana] == ["participant_joined", "participant_left"]


def test_who_returns_has_another_sid(scene: Scene) -> None:
    first = scene.join("ana", "returns")
    first.leave()
    second = scene.join("ana", "returns")
    assert second.sid != first.sid
    assert second.room_sid == first.room_sid
    eventually(
        lambda: len(scene.relay.deliveries("participant_joined", room="returns", identity="ana")) == 2,
        within=5,
        what="both joins are told",
    )


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


def test_a_killed_workers_agent_stays_listed_until_its_connection_times_out(scene: Scene) -> None:
    doomed = scene.start_worker("doomed")
    scene.join("ana", "killed")
    scene.livekit.create_dispatch("killed", "doomed", {})
    [agent] = eventually(lambda: scene.livekit.agents("killed"), within=10, what="the agent is in the room")
    doomed.kill()
    killed_at = time.time()
    assert scene.livekit.agents("killed")
    left = scene.relay.wait_for("participant_left", room="killed", identity=agent.identity, within=60)
    print(f"the agent of a killed worker left after {left.at - killed_at:.1f} s")
    assert left.webhook["participant"]["disconnectReason"] == "CONNECTION_TIMEOUT"
    assert left.at - killed_at > 5


def test_a_job_that_every_worker_refuses_leaves_no_agent(scene: Scene) -> None:
    refuser = scene.start_worker("refuser", behaviour="refuse")
    scene.join("ana", "refused")
    dispatch = scene.livekit.create_dispatch("refused", "refuser", {})
    eventually(refuser.job_requests, within=10, what="the worker is asked")
    never(lambda: scene.livekit.agents("refused"), during=6, what="an agent whose job was refused")
    jobs = scene.livekit.jobs("refused", dispatch.id)
    print(f"jobs of a refused dispatch: {[(job.state.status, job.state.error) for job in jobs]}")


def test_an_agent_may_choose_an_identity_of_its_own(scene: Scene) -> None:
    scene.start_worker("receptionist", behaviour="own_identity")
    scene.join("ana", "lobby")
    dispatch = scene.livekit.create_dispatch("lobby", "receptionist", {})
    [agent] = eventually(lambda: scene.livekit.agents("lobby"), within=10, what="the agent is in the room")
    assert agent.identity == "receptionist-lobby"
    [job] = eventually(lambda: scene.livekit.jobs("lobby", dispatch.id), within=7, what="the job list names the job")
    assert job.state.participant_identity == "receptionist-lobby"
