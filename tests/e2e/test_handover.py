"""Hand-overs on the real LiveKit: the caller always has an agent, and in the end one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness.livekit.participants import Participant
from tests.harness.polling import eventually
from tests.harness.scene import Scene

START_SECONDS = 15.0  # what an agent may need from its dispatch to its greeting, on a busy machine


def call(scene: Scene, room: str, agent_name: str, **columns: object) -> Participant:
    """Let a caller into a room of its own rule; return it once the agent has greeted it."""
    scene.usher.add_rule(room, {"room": {"name": [room]}}, agent_name, **columns)
    caller = scene.join("ana", room)
    caller.wait_for_greeting(within=START_SECONDS)
    return caller


def previous(caller: Participant) -> dict[str, Any]:
    """Return what the agents in the room were given about the one before them; empty if that is none of them."""
    found = [document["previous"] for document in caller.job_metadata() if "previous" in document]
    return dict(found[-1]) if found else {}


def only_agent(scene: Scene, room: str, agent_name: str) -> bool:
    return len(scene.livekit.agents(room)) == len(scene.livekit.agents(room, agent_name)) == 1


@pytest.fixture(scope="module")
def agents(relayed_site: Scene) -> Scene:
    relayed_site.start_worker("greeter")
    relayed_site.start_worker("expert")
    relayed_site.start_worker("hands over", behaviour="hand_over")
    return relayed_site


@pytest.fixture(scope="module")
def api_token(relayed_site: Scene) -> str:
    relayed_site.usher.run("users", "add", "supervisor", "--role", "editor")
    token: str = json.loads(relayed_site.usher.run("users", "token", "supervisor", "--json"))["token"]
    return token


def test_the_next_agent_joins_before_the_first_one_is_taken_out(agents: Scene, api_token: str) -> None:
    caller = call(agents, "warm", "greeter")
    first = agents.usher.wait_for_dispatch(room="warm")
    order = {"agent_name": "expert", "context": {"order": 42}, "reason": "asked for one"}
    answer = agents.usher.post(f"/api/v1/calls/{first['id']}/handover?wait=30", order, token=api_token)
    assert (answer.status, answer.document["status"]) == (200, "done")
    eventually(lambda: only_agent(agents, "warm", "expert"), within=START_SECONDS, what="the first agent has left")
    eventually(lambda: previous(caller), within=START_SECONDS, what="the next agent has greeted")
    assert previous(caller)["context"] == {"order": 42}
    joined = agents.relay.wait_for("participant_joined", room="warm", identity=answer_identity(agents, answer.document))
    left = agents.relay.wait_for("participant_left", room="warm", identity=first["agent_identity"])
    assert joined.at < left.at


def answer_identity(scene: Scene, answer: dict[str, str]) -> str:
    (row,) = [one for one in scene.usher.dispatches(room="warm") if one["id"] == answer["dispatch_id"]]
    return str(row["agent_identity"])


def test_an_agent_that_does_not_come_leaves_the_first_one_in_place(agents: Scene, api_token: str) -> None:
    caller = call(agents, "nobody", "greeter", max_attempts=1)
    order = {"agent_name": "absent", "timeout_s": 2}
    answer = agents.usher.post("/api/v1/calls/ana/handover?wait=30", order, token=api_token)
    assert (answer.status, answer.document["status"]) == (200, "failed")
    assert "absent did not join" in answer.document["detail"]
    assert only_agent(agents, "nobody", "greeter")
    assert len(caller.greetings()) == 1


def test_an_agent_hands_its_caller_over_as_it_leaves(agents: Scene) -> None:
    caller = call(agents, "cold", "hands over")
    eventually(lambda: only_agent(agents, "cold", "expert"), within=START_SECONDS, what="the next agent is there")
    eventually(lambda: previous(caller), within=START_SECONDS, what="it has greeted")
    said = previous(caller)
    assert (said["agent_name"], said["cause"], said["context"]) == ("hands over", "handover", {"topic": "invoice"})
    first, following = agents.usher.dispatches(room="cold")
    assert (first["cause"], following["replaces"]) == ("handed_over", first["id"])
