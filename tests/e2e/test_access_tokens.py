"""A token server asks Usher which agents to name in an access token: never a second agent, never none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from livekit import api

from tests.harness.livekit.participants import Participant
from tests.harness.polling import never
from tests.harness.scene import Scene

WISH = {"department": "support", "language": "es"}


@pytest.fixture(scope="module")
def api_token(site: Scene) -> str:
    """What the token server shows at Usher's API."""
    site.usher.run("users", "add", "token-server", "--role", "editor")
    token: str = json.loads(site.usher.run("users", "token", "token-server", "--json"))["token"]
    return token


@pytest.fixture
def scene(site: Scene) -> Scene:
    site.clear()
    if not site.workers:
        site.start_worker("support-agent")
    site.usher.add_rule("support", {"participant": {"metadata": {"department": ["support"]}}}, "support-agent")
    return site


def promise(scene: Scene, api_token: str, room: str, identity: str, name: str) -> dict[str, Any]:
    """Ask Usher, as a token server does, for the agent of a participant."""
    order = {"participant": {"identity": identity, "name": name, "metadata": WISH}, "room": {"name": room}}
    answer = scene.usher.post("/api/v1/decide", order, token=api_token)
    assert answer.status == 200, answer.body
    promised: dict[str, Any]
    [promised] = answer.document["agents"]
    return promised


def wish_for(promised: dict[str, Any]) -> api.RoomAgentDispatch:
    return api.RoomAgentDispatch(
        agent_name=promised["agent_name"],
        metadata=promised["metadata"],
        attributes=promised["attributes"],
        restart_policy=promised["restart_policy"],
    )


def let_in(scene: Scene, api_token: str, room: str) -> tuple[Participant, dict[str, Any]]:
    """Do what a token server does for Ana; return her and the agent that was promised."""
    promised = promise(scene, api_token, room, "ana", "Ana")
    return scene.join("ana", room, name="Ana", metadata=WISH, dispatches=[wish_for(promised)]), promised


def one_agent(scene: Scene, ana: Participant, promised: dict[str, Any]) -> dict[str, Any]:
    """See that Ana has the one agent that was promised, and keeps it; return the dispatch."""
    assert ana.wait_for_greeting() == "Hola Ana, aquí Soporte."
    assert ana.job_metadata() == [json.loads(promised["metadata"])]
    dispatch = scene.usher.wait_for_dispatch(room=ana.room, identity="ana")
    never(lambda: len(scene.livekit.agents(ana.room)) != 1, during=3, what="not one agent for one caller")
    [at_livekit] = scene.livekit.dispatches(ana.room)
    assert dispatch["id"] == promised["id"]
    assert dispatch["livekit_dispatch_id"] == at_livekit.id
    assert dispatch["id"] in at_livekit.attributes.values()
    return dispatch


def test_the_tokens_dispatch_is_adopted_when_livekit_took_it(scene: Scene, api_token: str) -> None:
    ana, promised = let_in(scene, api_token, "token-new")
    dispatch = one_agent(scene, ana, promised)
    assert dispatch["attempts"] == 0


def test_the_tokens_dispatch_is_made_when_livekit_ignored_it(scene: Scene, api_token: str) -> None:
    scene.join("early", "token-existing")
    ana, promised = let_in(scene, api_token, "token-existing")
    dispatch = one_agent(scene, ana, promised)
    assert dispatch["attempts"] == 1


def test_two_people_with_tokens_who_open_a_room_at_once_have_one_agent(scene: Scene, api_token: str) -> None:
    """LiveKit launches the dispatch of the one whose join opened the room; either webhook may come first."""
    rooms = [f"token-both-{number}" for number in range(8)]
    tokens = [
        scene.livekit.token(
            identity,
            room,
            name=identity.title(),
            metadata=WISH,
            dispatches=[wish_for(promise(scene, api_token, room, identity, identity.title()))],
        )
        for room in rooms
        for identity in ("ana", "bob")
    ]
    callers = scene.participants.join_all(scene.server.url, tokens)
    for caller in callers:
        caller.wait_for_greeting(within=30)
    never(
        lambda: {room: count for room in rooms if (count := len(scene.livekit.agents(room))) != 1},
        during=8,
        what="a room without an agent, or with two",
    )
    for room in rooms:
        [dispatch] = [one for one in scene.usher.dispatches(room=room) if one["status"] == "joined"]
        [agent] = scene.livekit.agents(room)
        assert dispatch["agent_identity"] == agent.identity
