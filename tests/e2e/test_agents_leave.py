"""What an agent's leaving means on the real LiveKit: a failed attempt, an end, a loss, or a hand-over to a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.livekit.participants import Participant
from tests.harness.livekit.worker import Behaviour, Worker
from tests.harness.polling import eventually, never
from tests.harness.scene import Scene

START_SECONDS = 40.0  # what an agent may need from its join to its greeting where other work takes the machine
TIMEOUT_SECONDS = 45.0  # LiveKit lists a killed agent for about 20 s
NO_SUCCESSOR_SECONDS = 3.0  # a replacement is dispatched within a second of the leaving's webhook
RECOVER = ("never", "lost", "always")

Row = dict[str, Any]


@pytest.fixture
def scene(site: Scene) -> Iterator[Scene]:
    site.clear()
    yield site
    for worker in site.workers:
        worker.kill()
    site.workers.clear()


def with_agents(scene: Scene, agent_name: str, **columns: object) -> dict[str, Participant]:
    """Let a caller into a room for each value of `recover`; return them once each has been greeted."""
    for recover in RECOVER:
        room = f"{agent_name}-{recover}"
        scene.usher.add_rule(room, {"room": {"name": [room]}}, agent_name, recover=recover, **columns)
    tokens = [scene.livekit.token("ana", f"{agent_name}-{recover}") for recover in RECOVER]
    callers = scene.participants.join_all(scene.server.url, tokens)
    return dict(zip(RECOVER, callers, strict=True))


def first_end(scene: Scene, room: str, *, within: float = START_SECONDS) -> Row:
    """Return the first dispatch of the room once it has ended."""

    def ended() -> Row | None:
        rows = scene.usher.dispatches(room=room)
        return rows[0] if rows and rows[0]["status"] == "ended" else None

    found = eventually(ended, within=within, what=f"the agent of {room} has left")
    assert found is not None
    return found


def disconnect_reason(scene: Scene, room: str, agent: str) -> str:
    left = scene.relay.wait_for("participant_left", room=room, identity=agent, within=TIMEOUT_SECONDS)
    return str(left.webhook["participant"]["disconnectReason"])


@pytest.mark.parametrize(
    ("behaviour", "reason", "replaced_by"),
    [
        ("finish", "CLIENT_INITIATED", ()),
        ("shut_down", "CLIENT_INITIATED", ("always",)),
        ("raise", "CLIENT_INITIATED", ("always",)),
        ("remove_itself", "PARTICIPANT_REMOVED", ()),
        ("delete_room", "ROOM_DELETED", ()),
    ],
)
def test_which_agents_are_replaced_after_leaving_by_themselves(
    scene: Scene, behaviour: Behaviour, reason: str, replaced_by: tuple[str, ...]
) -> None:
    scene.start_worker(behaviour, behaviour=behaviour)
    callers = with_agents(scene, behaviour, min_stay_s=0)
    for recover, caller in callers.items():
        lost = first_end(scene, caller.room)
        assert lost["joined_at"] is not None
        assert disconnect_reason(scene, caller.room, lost["agent_identity"]) == reason
        if recover in replaced_by:
            found = eventually(
                lambda room=caller.room: scene.usher.dispatches(room=room)[1:],  # type: ignore[misc]
                within=START_SECONDS,
                what=f"the agent is replaced with recover {recover}",
            )
            assert found[0]["replaces"] == lost["id"]
    never(
        lambda: [
            caller.room
            for recover, caller in callers.items()
            if recover not in replaced_by and len(scene.usher.dispatches(room=caller.room)) > 1
        ],
        during=NO_SUCCESSOR_SECONDS,
        what="an agent came after one that had not to be replaced",
    )


def test_which_agents_are_replaced_after_their_worker_was_killed(scene: Scene) -> None:
    killed = scene.start_worker("doomed")
    callers = with_agents(scene, "doomed")
    for caller in callers.values():
        caller.wait_for_greeting()
        scene.usher.wait_for_dispatch(room=caller.room)
    kill_and_start_another(scene, killed)
    for recover, caller in callers.items():
        lost = first_end(scene, caller.room, within=TIMEOUT_SECONDS)
        assert disconnect_reason(scene, caller.room, lost["agent_identity"]) == "CONNECTION_TIMEOUT"
        if recover == "never":
            continue
        replacement = scene.usher.wait_for_dispatch(room=caller.room, within=START_SECONDS)
        assert replacement["replaces"] == lost["id"]
        eventually(lambda c=caller: len(c.greetings()) == 1, within=5, what="one agent greets")  # type: ignore[misc]
    never(
        lambda: len(scene.usher.dispatches(room="doomed-never")) > 1,
        during=NO_SUCCESSOR_SECONDS,
        what="the lost agent was replaced with recover never",
    )


def kill_and_start_another(scene: Scene, worker: Worker) -> None:
    worker.kill()
    scene.workers.remove(worker)
    scene.start_worker(worker.agent_name)


def test_which_agents_are_replaced_when_their_worker_drains(scene: Scene) -> None:
    """A person has come in `handed-over`: the agent that leaves hands its caller over, whatever the rule says."""
    draining = scene.start_worker("draining")
    callers = with_agents(scene, "draining", min_stay_s=0)
    scene.usher.add_rule(
        "handed-over",
        {"room": {"name": ["handed-over"]}, "participant": {"identity": ["ana"]}},
        "draining",
        recover="always",
        min_stay_s=0,
    )
    callers["person"] = scene.join("ana", "handed-over")
    for caller in callers.values():
        caller.wait_for_greeting()
        scene.usher.wait_for_dispatch(room=caller.room)
    scene.join("sue", "handed-over")
    scene.start_worker("draining")
    draining.ask_to_stop()
    for recover, caller in callers.items():
        lost = first_end(scene, caller.room)
        assert disconnect_reason(scene, caller.room, lost["agent_identity"]) == "CLIENT_INITIATED"
        if recover == "always":
            replacement = scene.usher.wait_for_dispatch(room=caller.room, within=START_SECONDS)
            assert replacement["replaces"] == lost["id"]
        elif recover == "person":
            assert "somebody else is there" in lost["reason"]
    never(
        lambda: [
            caller.room
            for recover, caller in callers.items()
            if recover != "always" and len(scene.usher.dispatches(room=caller.room)) > 1
        ],
        during=NO_SUCCESSOR_SECONDS,
        what="an agent came after one that had not to be replaced",
    )


@pytest.mark.parametrize("recover", RECOVER)
def test_an_agent_that_leaves_before_min_stay_s_is_a_failed_attempt(scene: Scene, recover: str) -> None:
    scene.start_worker("raise", behaviour="raise", wait=False)
    scene.start_worker("substitute")
    scene.workers[0].wait_for_registration()
    scene.usher.add_rule(
        "brief",
        {"room": {"name": [f"brief-{recover}"]}},
        "raise",
        min_stay_s=10,
        max_attempts=2,
        fallbacks=["substitute"],
        recover=recover,
    )
    ana = scene.join("ana", f"brief-{recover}")
    dispatch = eventually(
        lambda: [
            one
            for one in scene.usher.dispatches(room=ana.room)
            if one["status"] == "joined" and one["asked_agent_name"] == "substitute"
        ],
        within=2 * START_SECONDS,
        what="the fallback is there",
    )[0]
    outcomes = [(one["agent_name"], one["outcome"]) for one in scene.usher.attempts(dispatch["id"])]
    assert outcomes == [("raise", "left_early"), ("raise", "left_early"), ("substitute", "accepted")]
    assert [agent.attributes["lk.agent_name"] for agent in scene.livekit.agents(ana.room)] == ["substitute"]


def test_an_agent_that_is_done_before_min_stay_s_has_served_its_caller(scene: Scene) -> None:
    scene.start_worker("finish", behaviour="finish")
    scene.usher.add_rule("quick", {"room": {"name": ["quick"]}}, "finish", min_stay_s=10, recover="always")
    scene.join("ana", "quick")
    done = first_end(scene, "quick")
    assert "it was done" in done["reason"]
    never(lambda: len(scene.usher.dispatches(room="quick")) > 1, during=NO_SUCCESSOR_SECONDS, what="another agent")
    assert [one["outcome"] for one in scene.usher.attempts(done["id"])] == ["accepted"]


@pytest.mark.parametrize("withdraw", [1, 0])
def test_a_caller_back_after_three_seconds_has_one_agent_that_hears_them(scene: Scene, withdraw: int) -> None:
    """The agent's AgentSession ends with its caller, and the agent stays in the room, mute."""
    scene.start_worker("session", behaviour="session")
    room = f"comes-back-{withdraw}"
    scene.usher.add_rule("session", {"room": {"name": [room]}}, "session", withdraw=withdraw)
    ana = scene.join("ana", room)
    ana.publish_audio()
    first = one_that_hears(ana)
    ana.leave()
    left = scene.relay.wait_for("participant_left", room=room, identity="ana", within=10)
    eventually(lambda: time.time() - left.at > 3, within=5, what="three seconds have passed")
    again = scene.join("ana", room)
    again.publish_audio()
    second = one_that_hears(again)
    assert second != first
    never(lambda: agents_of(again) != [second], during=5, what="not one agent for one caller")


def agents_of(caller: Participant) -> list[str]:
    return sorted(str(each["identity"]) for each in caller.remotes() if each["kind"] == "AGENT")


def one_that_hears(caller: Participant) -> str:
    """Return the only agent in the room once it hears the caller."""

    def hearing() -> list[str]:
        agents = [each for each in caller.remotes() if each["kind"] == "AGENT"]
        return [each["identity"] for each in agents if each["attributes"].get("hears") == caller.sid]

    [agent] = eventually(hearing, within=START_SECONDS, what=f"an agent hears {caller.identity}")
    eventually(lambda: agents_of(caller) == [agent], within=5, what="it is the only agent")
    return agent
