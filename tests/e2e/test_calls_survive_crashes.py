"""LiveKit with Redis is killed, loses a node or its Redis its data: each caller has one agent again, never two."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from livekit import api

from tests.harness.livekit.participants import Participant
from tests.harness.polling import eventually, never
from tests.harness.scene import Scene

BACK_SECONDS = 17.0  # until SDKs that reconnect are back on a busy machine
DECIDED_SECONDS = 10.0  # in which agents may return after the room was made again
MARGIN_SECONDS = 15.0  # for the agent's start, on a busy machine
WITHIN_SECONDS = BACK_SECONDS + DECIDED_SECONDS + MARGIN_SECONDS


@pytest.fixture
def scene(redis_scene: Scene) -> Scene:
    scene = redis_scene
    for process in (scene.redis, scene.server, scene.usher):
        if process is not None and not process.alive:  # a failed test must not fail the next
            process.start()
    for worker in scene.workers:
        worker.kill()
    scene.workers.clear()
    scene.clear()
    return scene


def agents_of(caller: Participant) -> list[str]:
    """Return the agents that a caller hears, whatever LiveKit lists."""
    return sorted(str(each["identity"]) for each in caller.remotes() if each["kind"] == "AGENT")


def one_agent(caller: Participant, *, within: float = WITHIN_SECONDS) -> str:
    """Return the agent of a caller, once it is one and stays one."""
    eventually(lambda: len(agents_of(caller)) == 1, within=within, what=f"{caller.identity} has one agent")
    never(lambda: len(agents_of(caller)) != 1, during=8, what="a caller without an agent, or with two")
    [agent] = agents_of(caller)
    return agent


def after_doubt(scene: Scene, room: str) -> None:
    """Wait until LiveKit has made the room again, and Usher's doubt about it is over."""

    def is_over() -> bool:
        started = len(scene.relay.deliveries("room_started", room=room))
        return started == 2 and all(one["doubtful_until"] is None for one in scene.usher.dispatches(room=room))

    eventually(is_over, within=BACK_SECONDS + DECIDED_SECONDS + 5, what=f"{room} is no longer in doubt")


def with_agent(scene: Scene, room: str, *, wish: Sequence[api.RoomAgentDispatch] = ()) -> tuple[Participant, str]:
    ana = scene.join("ana", room, dispatches=wish)
    ana.wait_for_greeting()
    scene.usher.wait_for_dispatch(room=room, identity="ana")
    return ana, one_agent(ana)


def everybody(scene: Scene, **columns: object) -> None:
    scene.usher.add_rule("all", {"event": ["participant_joined"]}, "greeter", **columns)


def wish_of(scene: Scene, token: str, room: str) -> list[api.RoomAgentDispatch]:
    """Return what a token server that asks Usher puts into Ana's access token."""
    order = {"participant": {"identity": "ana"}, "room": {"name": room}}
    answer = scene.usher.post("/api/v1/decide", order, token=token)
    assert answer.status == 200, answer.body
    return [
        api.RoomAgentDispatch(agent_name=one["agent_name"], metadata=one["metadata"], attributes=one["attributes"])
        for one in answer.document["agents"]
    ]


@pytest.fixture(scope="module")
def api_token(redis_scene: Scene) -> str:
    redis_scene.usher.run("users", "add", "token-server", "--role", "editor")
    token: str = json.loads(redis_scene.usher.run("users", "token", "token-server", "--json"))["token"]
    return token


def test_agents_that_return_are_kept(scene: Scene) -> None:
    everybody(scene)
    scene.start_worker("greeter")
    ana, before = with_agent(scene, "returns")
    scene.crash(down_seconds=2)
    after_doubt(scene, "returns")
    assert one_agent(ana) == before
    [dispatch] = scene.usher.dispatches(room="returns")
    assert dispatch["attempts"] == 1


@pytest.mark.parametrize("down_seconds", [2, 30])
def test_agents_that_died_with_the_server_are_replaced(scene: Scene, down_seconds: float) -> None:
    """After 30 s the SDKs have given up, and callers join again by hand; LiveKit lists the dead agent in both cases."""
    everybody(scene)
    scene.start_worker("greeter")
    room = f"ghosts-{down_seconds}"
    ana, before = with_agent(scene, room)
    scene.crash(down_seconds=down_seconds, workers_die=True)
    scene.start_worker("greeter")
    if down_seconds > BACK_SECONDS:
        ana = scene.join("ana", room)
    after_doubt(scene, room)
    assert one_agent(ana) != before
    lost, replacement = sorted(scene.usher.dispatches(room=room), key=lambda one: str(one["id"]))
    assert (lost["cause"], replacement["replaces"], replacement["status"]) == ("agent_lost", lost["id"], "joined")


def test_a_tokens_dispatch_that_is_launched_again_brings_no_second_agent(scene: Scene, api_token: str) -> None:
    everybody(scene)
    scene.start_worker("greeter")
    ana, _ = with_agent(scene, "launched-again", wish=wish_of(scene, api_token, "launched-again"))
    scene.crash(down_seconds=2)
    after_doubt(scene, "launched-again")
    one_agent(ana)
    [dispatch] = [one for one in scene.usher.dispatches(room="launched-again") if one["status"] == "joined"]
    assert [dispatch["agent_identity"]] == agents_of(ana)


def test_a_token_that_is_used_again_brings_one_agent(scene: Scene, api_token: str) -> None:
    everybody(scene)
    scene.start_worker("greeter")
    wish = wish_of(scene, api_token, "used-again")
    with_agent(scene, "used-again", wish=wish)
    scene.livekit.delete_room("used-again")
    eventually(lambda: "used-again" not in scene.livekit.room_names(), within=10, what="the room is closed")
    with_agent(scene, "used-again", wish=wish)


def test_a_token_server_that_asks_twice_brings_one_agent(scene: Scene, api_token: str) -> None:
    everybody(scene)
    scene.start_worker("greeter")
    first = wish_of(scene, api_token, "asked-twice")
    wish_of(scene, api_token, "asked-twice")
    with_agent(scene, "asked-twice", wish=first)
    [dispatch] = scene.usher.dispatches(room="asked-twice")
    assert dispatch["attempts"] == 0


def test_a_redis_that_lost_its_data_ends_no_call(scene: Scene) -> None:
    everybody(scene, recover="lost")
    worker = scene.start_worker("greeter")
    ana, before = with_agent(scene, "forgotten")
    assert scene.redis is not None
    scene.redis.lose_everything()
    never(
        lambda: [one for one in scene.usher.dispatches(room="forgotten") if one["status"] != "joined"],
        during=25,
        what="a call that goes on has ended",
    )
    # A friend is served by the agent that is there
    bob = scene.join("bob", "forgotten")
    assert bob.room_sid == ana.room_sid
    assert one_agent(bob) == before
    # And the agent is replaced when it dies, 20 s later
    worker.kill()
    scene.workers.remove(worker)
    scene.start_worker("greeter")
    eventually(lambda: agents_of(ana) not in ([], [before]), within=60, what="another agent is there")
    assert one_agent(bob) != before


def test_the_agents_of_a_lost_node_are_kept_or_replaced(cluster_scene: Scene) -> None:
    scene = cluster_scene
    everybody(scene)
    scene.start_worker("greeter")
    ana, _ = with_agent(scene, "moves")
    assert scene.cluster is not None
    scene.cluster.node_of("moves").kill()
    after_doubt(scene, "moves")
    one_agent(ana)
