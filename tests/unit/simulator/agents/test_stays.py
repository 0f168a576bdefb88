"""How an agent's stay ends, what it says last, and agents that stay without speaking."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import DisconnectReason, JobStatus
from app.simulator import Behaviour
from tests.simulator import judge
from tests.unit.simulator.world import World


@pytest.fixture
async def world(world: World) -> World:
    """A world in which Ana waits in the lobby."""
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    return world


@pytest.mark.parametrize(
    ("reason", "after"),
    [
        (DisconnectReason.CLIENT_INITIATED, 2),
        (DisconnectReason.AGENT_ERROR, 2),
        (DisconnectReason.PARTICIPANT_REMOVED, 2),
        (DisconnectReason.CONNECTION_TIMEOUT, 22),
    ],
)
async def test_an_agent_leaves_with_a_reason_and_its_last_attributes(
    world: World, reason: DisconnectReason, after: float
) -> None:
    behaviour = Behaviour(leaves_after=2, leaves_with=reason, says_on_leaving={"usher.done": "1"})
    world.simulator.add_worker("greeter", behaviour)
    dispatch = world.dispatch("lobby")
    await world.wait(after)
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(1)
    assert world.simulator.agents("lobby") == []
    left = world.receiver.received[-1].webhook["participant"]
    assert (left["disconnectReason"], left["attributes"]["usher.done"]) == (reason, "1")
    assert dispatch.jobs[0].status is JobStatus.RUNNING


async def test_an_agent_may_delete_its_room(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(leaves_after=2, leaves_with=DisconnectReason.ROOM_DELETED))
    world.dispatch("lobby")
    await world.wait(3)
    assert world.simulator.room("lobby") is None
    assert world.receiver.received[-1].webhook["roomEndReason"] == "ROOM_END_API_DELETE"


async def test_an_agent_whose_session_ended_with_its_caller_does_not_answer_one_who_rejoins(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(session_ends_with_caller=True, publishes_after=0.06))
    world.dispatch("lobby")
    await world.wait(1)
    assert "track_published" in world.receiver.summaries()[-1]
    world.simulator.leave("lobby", "ana")
    await world.wait(3)
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    assert len(world.simulator.agents("lobby")) == 1
    assert judge(world.simulator.ledger).alone == ("lobby",)


async def test_a_session_goes_on_when_its_caller_is_replaced_or_another_participant_leaves(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(session_ends_with_caller=True))
    world.dispatch("lobby")
    world.simulator.join("lobby", "bob")
    await world.wait(1)
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    world.simulator.leave("lobby", "bob")
    assert judge(world.simulator.ledger).alone == ()
