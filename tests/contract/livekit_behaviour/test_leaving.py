"""How an agent's end shows: its reason, its last attributes, its job; and an agent that stays without a session."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol.agent import JobStatus

from tests.contract.livekit import Calls, WorkerKind


async def leaving(calls: Calls, kind: WorkerKind) -> tuple[dict[str, Any], str]:
    """Return the participant in `participant_left` of such an agent, and its dispatch id."""
    room = f"leaving-{kind}"
    await calls.livekit.start_worker(kind, kind)
    await calls.livekit.join("ana", room)
    dispatch = await calls.dispatch(room, kind)
    [agent] = await calls.eventually(lambda: calls.agents(room), within=10, what="the agent is in the room")
    [left] = await calls.webhooks("participant_left", room, agent.identity)
    said = left["participant"]
    assert isinstance(said, dict)
    return said, dispatch.id


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("finish", "CLIENT_INITIATED"),
        ("raise", "CLIENT_INITIATED"),
        ("remove_itself", "PARTICIPANT_REMOVED"),
        ("delete_room", "ROOM_DELETED"),
    ],
)
async def test_only_the_last_attributes_distinguish_a_graceful_end_from_an_exception(
    calls: Calls, kind: WorkerKind, reason: str
) -> None:
    left, dispatch_id = await leaving(calls, kind)
    assert (left["kind"], left["disconnectReason"]) == ("AGENT", reason)
    assert left["attributes"].get("usher.done") == ("1" if kind == "finish" else None)
    if kind == "delete_room":
        await calls.webhooks("room_finished", f"leaving-{kind}")
        return
    [job] = await calls.eventually(
        lambda: calls.jobs(f"leaving-{kind}", dispatch_id), within=8, what="the job is listed"
    )
    assert job.state.status == JobStatus.JS_RUNNING


async def test_an_agents_session_ends_with_its_caller_and_the_agent_stays(calls: Calls) -> None:
    """Nothing says so: who rejoins meets the same agent, which is mute."""
    await calls.livekit.start_worker("session", "session")
    ana = await calls.livekit.join("ana", "session")
    await calls.dispatch("session", "session")
    [agent] = await calls.eventually(lambda: calls.agents("session"), within=10, what="the agent is in the room")
    await calls.webhooks("track_published", "session", agent.identity)
    await calls.livekit.leave(ana)
    await calls.webhooks("participant_left", "session", "ana")
    await calls.never(
        lambda: calls_of_left(calls, "session", agent.identity), during=3, what="the agent leaves with its caller"
    )
    await calls.livekit.join("ana", "session")
    assert [each.sid for each in await calls.agents("session")] == [agent.sid]


async def calls_of_left(calls: Calls, room: str, identity: str) -> bool:
    return bool(calls.livekit.relay.deliveries("participant_left", room=room, identity=identity))
