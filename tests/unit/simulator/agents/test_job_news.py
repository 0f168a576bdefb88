"""What LiveKit Cloud says of jobs, as protobuf reads it; a self-hosted server says nothing."""

from __future__ import annotations

from google.protobuf.json_format import Parse
from livekit.protocol.agent import JobStateReason, JobStatus
from livekit.protocol.webhook import WebhookEvent

from app.simulator import Behaviour
from app.simulator.api.messages import dispatch_message
from tests.unit.simulator.world import World


def news(world: World) -> list[WebhookEvent]:
    bodies = [each.body for each in world.receiver.received if each.event.startswith("agent_job_")]
    return [Parse(body, WebhookEvent()) for body in bodies]


async def told_world() -> World:
    world = World(tells_of_jobs=True)
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    return world


async def test_a_job_posts_webhooks_when_it_starts_and_ends() -> None:
    world = await told_world()
    world.simulator.add_worker("greeter", Behaviour(leaves_after=2))
    dispatch = world.dispatch("lobby", attributes={"mark": "17"})
    await world.wait(3)
    started, ended = news(world)
    assert (started.event, ended.event) == ("agent_job_started", "agent_job_ended")
    [job] = dispatch.jobs
    for each in (started, ended):
        assert (each.job.id, each.job.dispatch_id, each.job.agent_name) == (job.id, dispatch.id, "greeter")
        assert (each.job.room.name, dict(each.job.attributes)) == ("lobby", {"mark": "17"})
    assert started.job.state.participant_identity == job.identity
    await world.simulator.webhooks.stop()


async def test_a_job_without_capacity_is_pending_and_cancelled_with_its_dispatch() -> None:
    world = await told_world()
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    [pending] = news(world)
    assert pending.event == "agent_job_pending"
    assert pending.job.state.reason == JobStateReason.JSR_NO_CAPACITY
    [listed] = dispatch_message(dispatch, world.schedule.monotonic()).state.jobs
    assert (listed.state.status, listed.state.reason) == (JobStatus.JS_PENDING, JobStateReason.JSR_NO_CAPACITY)
    world.simulator.dispatches.delete(world.simulator.rooms.by_name["lobby"], dispatch.id)
    [listed] = dispatch_message(dispatch, world.schedule.monotonic()).state.jobs
    assert (listed.state.status, listed.state.reason) == (JobStatus.JS_CANCELLED, JobStateReason.JSR_DISPATCH_DELETED)
    await world.simulator.webhooks.stop()


async def test_a_self_hosted_server_says_nothing_of_jobs(world: World) -> None:
    world.simulator.join("lobby", "ana")
    dispatch = world.dispatch("lobby")
    world.simulator.add_worker("greeter", Behaviour(leaves_after=1))
    world.dispatch("lobby")
    await world.wait(3)
    assert news(world) == []
    assert dispatch.jobs == []
