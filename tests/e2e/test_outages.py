"""Webhooks lost, Usher down, LiveKit restarted: it costs delay, not callers, and never a second agent."""

from __future__ import annotations

import time

import pytest

from tests.harness.polling import eventually, never
from tests.harness.scene import Scene

SWEEP_SECONDS = 2.0  # as the fixture sets it
UNLISTED_SECONDS = 15.0  # LiveKit may have forgotten a room that lives on
MARGIN_SECONDS = 5.0  # for the sweep itself and the agent's start, on a busy machine


@pytest.fixture(scope="module")
def _worker(relayed_site: Scene) -> None:
    relayed_site.start_worker("greeter")


@pytest.fixture
def scene(relayed_site: Scene, _worker: None) -> Scene:
    relayed_site.relay.pass_all_on()
    for process in (relayed_site.server, relayed_site.usher):
        if not process.alive:  # a failed test must not fail the next
            process.start()
    relayed_site.clear()
    relayed_site.usher.add_rule("all", {"room": {"name": [{"prefix": "call-"}]}}, "greeter")
    return relayed_site


def one_agent_each(scene: Scene, *rooms: str) -> None:
    """Fail unless each room has one agent, and keeps one."""
    never(
        lambda: {room: count for room in rooms if (count := len(scene.livekit.agents(room))) != 1},
        during=SWEEP_SECONDS + 1,
        what="a room without an agent, or with two",
    )


def test_lost_webhooks_are_repaired_by_the_sweep(scene: Scene) -> None:
    scene.relay.lose_all()
    ana = scene.join("ana", "call-lost", metadata={"language": "es", "department": "sales"}, name="Ana")
    assert ana.wait_for_greeting(within=SWEEP_SECONDS + MARGIN_SECONDS) == "Hola Ana, aquí Ventas."
    print(f"a caller whose webhook was lost had an agent after {ana.seconds_to_agent():.1f} s")
    [event] = scene.usher.events(room="call-lost", identity="ana")
    assert (event["source"], event["outcome"], event["participant_sid"]) == ("sweep", "planned", ana.sid)
    dispatch = scene.usher.wait_for_dispatch(room="call-lost", within=SWEEP_SECONDS + MARGIN_SECONDS)
    assert dispatch["agent_identity"] == scene.livekit.agents("call-lost")[0].identity
    one_agent_each(scene, "call-lost")


def test_a_webhook_after_the_sweep_changes_nothing(scene: Scene) -> None:
    """A late webhook reports a join that the sweep has served."""
    tries: list[str] = []

    def late(webhook: dict[str, object]) -> int | None:
        if webhook["event"] != "participant_joined":
            return None
        tries.append(str(webhook["id"]))
        return 503 if tries.count(str(webhook["id"])) <= 3 else None

    scene.relay.intercept = late
    ana = scene.join("ana", "call-late")
    ana.wait_for_greeting(within=SWEEP_SECONDS + MARGIN_SECONDS)
    eventually(
        lambda: [each for each in scene.relay.deliveries("participant_joined", identity="ana") if each.status == 200],
        within=15,
        what="the webhook gets through",
    )
    assert len(scene.usher.events(room="call-late", identity="ana")) == 1
    one_agent_each(scene, "call-late")
    assert len(scene.usher.dispatches(room="call-late")) == 1


def test_dispatches_of_a_vanished_room_are_settled_by_the_sweep(scene: Scene) -> None:
    scene.join("ana", "call-vanishes").wait_for_greeting()
    scene.usher.wait_for_dispatch(room="call-vanishes")
    scene.relay.lose_all()
    scene.livekit.delete_room("call-vanishes")
    within = SWEEP_SECONDS + UNLISTED_SECONDS + MARGIN_SECONDS
    scene.usher.wait_for_dispatch(room="call-vanishes", status="ended", within=within)


def test_metadata_changed_after_joining_is_found_by_the_sweep(scene: Scene) -> None:
    wish = {"event": ["participant_updated"], "participant": {"metadata": {"escalate": [True]}}}
    scene.usher.add_rule("escalate", wish, "greeter")
    ana = scene.join("ana", "plain")
    never(lambda: scene.usher.dispatches(room="plain"), during=SWEEP_SECONDS + 1, what="a dispatch without a wish")
    ana.set_metadata('{"escalate": true, "language": "ca"}')
    assert ana.wait_for_greeting(within=SWEEP_SECONDS + MARGIN_SECONDS) == "Hola ana, aquí Suport."
    one_agent_each(scene, "plain")
    updates = scene.usher.events(room="plain", identity="ana", type="participant_updated")
    assert [(event["source"], event["outcome"]) for event in updates] == [("sweep", "planned")]


def test_callers_who_join_while_usher_is_down_are_served_when_it_is_back(scene: Scene) -> None:
    scene.join("ana", "call-before").wait_for_greeting()
    before = scene.usher.wait_for_dispatch(room="call-before")
    scene.usher.kill()
    rooms = [f"call-down-{number}" for number in range(3)]
    callers = scene.participants.join_all(scene.server.url, [scene.livekit.token("ana", room) for room in rooms])
    scene.usher.start()
    for caller in callers:
        caller.wait_for_greeting(within=SWEEP_SECONDS + MARGIN_SECONDS)
    one_agent_each(scene, "call-before", *rooms)
    assert [row["id"] for row in scene.usher.dispatches(room="call-before")] == [before["id"]]
    for room in rooms:
        scene.usher.wait_for_dispatch(room=room)
        assert len(scene.usher.dispatches(room=room)) == 1


@pytest.mark.alone
def test_usher_killed_in_the_middle_of_a_burst_loses_and_doubles_no_caller(scene: Scene) -> None:
    rooms = [f"call-kill-{number}" for number in range(12)]
    callers = []
    for room in rooms:
        callers.append(scene.participants.join(scene.server.url, scene.livekit.token("ana", room)))
        if len(callers) in {3, 6, 9}:
            scene.usher.kill()
            scene.usher.start()
    for caller in callers:
        caller.wait_for_greeting(within=30)
    for room in rooms:
        scene.usher.wait_for_dispatch(room=room)
    one_agent_each(scene, *rooms)
    assert {room: len(scene.livekit.dispatches(room)) for room in rooms} == dict.fromkeys(rooms, 1)


@pytest.mark.parametrize("down_seconds", [0, 4])
def test_livekit_restarted_under_a_call(scene: Scene, down_seconds: float) -> None:
    """Caller and agent find together again by themselves (see the contract); the agent is kept, and not doubled."""
    ana = scene.join("ana", "call-restart")
    ana.wait_for_greeting()
    scene.usher.wait_for_dispatch(room="call-restart")
    scene.server.kill()
    time.sleep(down_seconds)
    scene.server.start()
    eventually(
        lambda: [each for each in scene.livekit.participants("call-restart") if each.identity == "ana"],
        within=20,
        what="the caller is back",
    )
    back = eventually(
        lambda: [
            row
            for row in scene.usher.dispatches(room="call-restart")
            if row["status"] == "joined" and row["room_sid"] != ana.room_sid
        ],
        within=30,
        what="the caller has an agent in the new room",
    )
    one_agent_each(scene, "call-restart")
    [agent] = scene.livekit.agents("call-restart")
    assert back[-1]["agent_identity"] == agent.identity
    live = [row["id"] for row in scene.usher.dispatches(room="call-restart") if row["status"] == "joined"]
    assert live == [back[-1]["id"]]
    bob = scene.join("bob", "call-after")
    bob.wait_for_greeting(within=30)
    one_agent_each(scene, "call-restart", "call-after")
