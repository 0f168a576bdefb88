"""What LiveKit does when workers, clients and the server itself die, shown on the real server, without Usher.

Should one of these fail after an upgrade of LiveKit, the code that names the fact must be looked at.
"""

from __future__ import annotations

import time

import pytest

from tests.e2e.harness.participants import Participants
from tests.e2e.harness.polling import eventually, never
from tests.e2e.harness.scene import Scene


@pytest.fixture
def scene(livekit_alone: Scene) -> Scene:
    livekit_alone.clear()
    return livekit_alone


def test_who_vanishes_stays_listed_for_twenty_seconds(scene: Scene) -> None:
    """So long nobody is told: of a killed worker's agents, and of a crashed client.

    DeleteDispatch does not take such an agent out; RemoveParticipant does.
    """
    doomed = scene.start_worker("doomed")
    dispatches = {}
    for room in ("timed-out", "taken-out"):
        scene.join("ana", room)
        dispatches[room] = scene.livekit.create_dispatch(room, "doomed", {}).id
    agents = {
        room: eventually(lambda at=room: scene.livekit.agents(at), within=10, what=f"the agent is in {room}")[0]  # type: ignore[misc]
        for room in dispatches
    }
    crashing = Participants(scene.programs.worker_python, directory=scene.directory, name="crashing")
    crashing.start()
    crashing.join(scene.server.url, scene.livekit.token("bob", "timed-out"))

    crashing.kill()
    doomed.kill()
    killed_at = time.time()

    scene.livekit.delete_dispatch("taken-out", dispatches["taken-out"])
    never(lambda: not scene.livekit.agents("taken-out"), during=2, what="DeleteDispatch takes a dead agent out")
    scene.livekit.remove_participant("taken-out", agents["taken-out"].identity)
    eventually(lambda: not scene.livekit.agents("taken-out"), within=2, what="RemoveParticipant takes it out")

    assert scene.livekit.agents("timed-out")
    for identity in (agents["timed-out"].identity, "bob"):
        left = scene.relay.wait_for("participant_left", room="timed-out", identity=identity, within=40)
        assert left.webhook["participant"]["disconnectReason"] == "CONNECTION_TIMEOUT"
        assert 10 < left.at - killed_at < 35
        print(f"{identity} was listed for {left.at - killed_at:.1f} s after the kill")


def test_a_restarted_server_finds_caller_and_agent_in_a_new_room_without_a_dispatch(scene: Scene) -> None:
    """Both clients come back by themselves under their old identities, in a new room and with new SIDs.

    So the agent of a lost dispatch must not be replaced before a look, and belongs to nothing that ListDispatch knows.
    """
    worker = scene.start_worker("survivor")
    ana = scene.join("ana", "restarted", metadata="kept")
    scene.livekit.create_dispatch("restarted", "survivor", {})
    [agent] = eventually(lambda: scene.livekit.agents("restarted"), within=10, what="the agent is in the room")
    registered = worker.log_size()
    scene.server.restart()

    def back() -> dict[str, str]:
        found = {each.identity: each.sid for each in scene.livekit.participants("restarted")}
        return found if set(found) == {"ana", agent.identity} else {}

    sids = eventually(back, within=20, what="caller and agent are back")
    assert sids["ana"] != ana.sid
    assert sids[agent.identity] != agent.sid
    assert scene.livekit.dispatches("restarted") == []
    rejoined = eventually(
        lambda: scene.relay.deliveries("participant_joined", room="restarted", identity="ana")[1:],
        within=5,
        what="LiveKit tells of a second join",
    )[0].webhook
    assert rejoined["participant"]["sid"] == sids["ana"]
    assert rejoined["room"]["sid"] != ana.room_sid
    assert scene.relay.deliveries("participant_left", room="restarted") == []
    worker.wait_for_registration(since=registered)
    assert [each.identity for each in scene.livekit.agents("restarted")] == [agent.identity]


def test_a_burst_on_one_worker_loses_dispatches(scene: Scene) -> None:
    """A worker refuses jobs while others start; LiveKit then drops them without a word, and never offers them again."""
    scene.start_worker("busy", load="starting")
    rooms = [f"burst-{number}" for number in range(20)]
    scene.participants.join_all(scene.server.url, [scene.livekit.token("ana", room) for room in rooms])
    for room in rooms:
        scene.livekit.create_dispatch(room, "busy", {})

    def served() -> list[str]:
        return [room for room in rooms if scene.livekit.agents(room)]

    eventually(served, within=10, what="somebody is served")
    never(lambda: served() == rooms, during=6, what="everybody is served by one dispatch each")
    print(f"{len(served())} of {len(rooms)} callers were served by one dispatch each")
