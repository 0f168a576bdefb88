"""What LiveKit with Redis does when it is killed under callers and agents whose SDKs reconnect: Usher has no rule here.

The contract suite holds the parts of it that the simulator knows; the reconnecting is the real SDKs' own.
"""

from __future__ import annotations

import pytest
from livekit import api
from livekit.protocol.models import ParticipantInfo

from tests.harness.livekit.participants import Participant
from tests.harness.polling import eventually
from tests.harness.scene import Scene

BACK_SECONDS = 30.0  # until participants that reconnect are back; seen: 2.5 to 17 s on a busy machine
GIVE_UP_SECONDS = 25.0  # after which no SDK tries any longer


def listed(scene: Scene, room: str) -> dict[str, ParticipantInfo]:
    return {each.identity: each for each in scene.livekit.participants(room)}


def room_sids(scene: Scene, room: str) -> list[str]:
    """Return the room SID of each `room_started`."""
    return [str(each.webhook["room"]["sid"]) for each in scene.relay.deliveries("room_started", room=room)]


def sids_of_both_starts(scene: Scene, room: str) -> list[str]:
    """Return the room SIDs of both `room_started`, once the second has come."""

    def look() -> list[str]:
        found = room_sids(scene, room)
        return found if len(found) > 1 else []

    return eventually(look, within=10, what=f"{room} is started a second time")


def back_with_new_sids(scene: Scene, room: str, before: dict[str, ParticipantInfo]) -> dict[str, ParticipantInfo]:
    """Return who is listed once everybody of before is back under another SID."""

    def look() -> dict[str, ParticipantInfo]:
        now = listed(scene, room)
        return now if all(each in now and now[each].sid != before[each].sid for each in before) else {}

    return eventually(look, within=BACK_SECONDS, what=f"everybody is back in {room}")


def call_with_agent(scene: Scene, room: str, agent_name: str, *, by_token: bool) -> Participant:
    """Let Ana join and have an agent, by her token or by CreateDispatch."""
    wish = api.RoomAgentDispatch(agent_name=agent_name, metadata="{}", attributes={"mark": "17"})
    ana = scene.join("ana", room, dispatches=[wish] if by_token else [])
    if not by_token:
        scene.livekit.create_dispatch(room, agent_name, {})
    ana.wait_for_greeting()
    return ana


def test_a_server_back_after_two_seconds_has_its_callers_and_agents_again_and_launches_the_tokens_dispatch_again(
    redis_scene: Scene,
) -> None:
    """The dispatch brings a second agent if its worker has registered again by then, which is a race."""
    scene = redis_scene
    scene.start_worker("greeter")
    rooms = {"by-token": True, "by-call": False}
    callers = {room: call_with_agent(scene, room, "greeter", by_token=by_token) for room, by_token in rooms.items()}
    before = {room: listed(scene, room) for room in rooms}
    [first] = scene.livekit.dispatches("by-token")
    scene.crash(down_seconds=2)
    for room, by_token in rooms.items():
        now = back_with_new_sids(scene, room, before[room])
        assert sids_of_both_starts(scene, room) == [callers[room].room_sid] * 2
        if by_token:
            [again] = scene.livekit.dispatches(room)
            assert again.id != first.id
            assert (again.agent_name, dict(again.attributes)) == ("greeter", {"mark": "17"})
        else:
            assert now.keys() == before[room].keys()
            assert scene.livekit.dispatches(room) == []


@pytest.mark.parametrize("down_seconds", [2, 30])
def test_an_agent_whose_worker_is_killed_with_the_server_stays_listed(redis_scene: Scene, down_seconds: float) -> None:
    """After 30 s the SDKs have given up, too, and the caller joins again by hand."""
    scene = redis_scene
    scene.start_worker(f"doomed-{down_seconds}")
    room = f"ghosts-{down_seconds}"
    ana = call_with_agent(scene, room, f"doomed-{down_seconds}", by_token=False)
    [ghost] = scene.livekit.agents(room)
    scene.crash(down_seconds=down_seconds, workers_die=True)
    if down_seconds > GIVE_UP_SECONDS:
        again = scene.join("ana", room)
        assert again.room_sid == ana.room_sid
    eventually(lambda: listed(scene, room)["ana"].sid != ana.sid, within=BACK_SECONDS, what="the caller is back")
    assert [agent.sid for agent in scene.livekit.agents(room)] == [ghost.sid]
    assert scene.relay.deliveries("participant_left", room=room, identity=ghost.identity) == []


def test_the_rooms_of_a_lost_node_go_on_at_the_other(cluster_scene: Scene) -> None:
    scene = cluster_scene
    assert scene.cluster is not None
    scene.start_worker("greeter")
    ana = call_with_agent(scene, "moves", "greeter", by_token=False)
    before = listed(scene, "moves")
    lost = scene.cluster.node_of("moves")
    lost.kill()
    back_with_new_sids(scene, "moves", before)
    assert sids_of_both_starts(scene, "moves") == [ana.room_sid] * 2
    assert scene.cluster.node_of("moves") is not lost
    eventually(lambda: len(scene.livekit.agents("moves")) == 1, within=10, what="the agent is active again")
    bob = scene.join("bob", "afterwards")
    eventually(
        lambda: bob.room_sid in room_sids(scene, "afterwards"), within=10, what="the webhook of the new room has come"
    )
