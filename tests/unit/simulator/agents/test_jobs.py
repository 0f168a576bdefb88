"""Dispatches become agents, or nothing, as they do at LiveKit: offered once, listed late, never repeated."""

from __future__ import annotations

import pytest

from app.livekit.vocabulary import DisconnectReason, JobStatus
from app.simulator import Behaviour, DispatchOrder, Fate, Refusal
from app.simulator.entities import Dispatch
from tests.unit.simulator.world import World


@pytest.fixture
async def world(world: World) -> World:
    """A world in which Ana waits in the lobby."""
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    return world


def fate(world: World, dispatch: Dispatch) -> Fate:
    entry = world.simulator.ledger.dispatch(dispatch.id)
    assert entry is not None
    return entry.fate


async def test_an_agent_arrives_in_a_third_of_a_second(world: World) -> None:
    worker = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby", metadata="m", attributes={"mine": "17"})
    await world.wait(0.25)
    assert world.receiver.summaries()[-1] == "participant_joined ana"
    await world.wait(0.1)
    [agent] = world.simulator.agents("lobby")
    [job] = dispatch.jobs
    assert agent.identity == f"agent-{job.id}"
    assert agent.attributes == {"lk.agent_name": "greeter", "lk.agent.name": "greeter"}
    assert (job.worker_id, job.status) == (worker.id, JobStatus.RUNNING)
    webhook = world.receiver.received[-1].webhook["participant"]
    assert (webhook["kind"], webhook["sid"]) == ("AGENT", agent.sid)
    [entry] = world.simulator.ledger.dispatches
    assert entry.fate is Fate.ASSIGNED
    assert [stay.sid for stay in entry.agents] == [agent.sid]


async def test_every_dispatch_adds_an_agent(world: World) -> None:
    world.simulator.add_worker("greeter")
    for _ in range(3):
        world.dispatch("lobby")
    await world.wait(1)
    assert len(world.simulator.agents("lobby")) == 3


async def test_without_a_worker_a_dispatch_is_lost_and_stays_lost(world: World) -> None:
    world.simulator.add_worker("greeter", registers_after=0.5)
    world.simulator.add_worker("other")
    early = world.dispatch("lobby")
    await world.wait(10)
    assert fate(world, early) is Fate.LOST_NO_WORKER
    assert world.simulator.agents("lobby") == []
    late = world.dispatch("lobby")
    await world.wait(1)
    assert fate(world, late) is Fate.ASSIGNED
    assert len(world.simulator.agents("lobby")) == 1
    assert early.jobs == []


async def test_a_worker_of_another_deployment_is_not_asked(world: World) -> None:
    world.simulator.add_worker("greeter", deployment="blue")
    green, blue = world.dispatch("lobby", deployment="green"), world.dispatch("lobby", deployment="blue")
    await world.wait(1)
    assert (fate(world, green), fate(world, blue)) == (Fate.LOST_NO_WORKER, Fate.ASSIGNED)


async def test_a_full_worker_is_not_asked_and_takes_again_when_a_job_is_over(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(capacity=1, leaves_after=5))
    first, second = world.dispatch("lobby"), world.dispatch("lobby")
    await world.wait(6)
    assert (fate(world, first), fate(world, second)) == (Fate.ASSIGNED, Fate.LOST_NO_CAPACITY)
    third = world.dispatch("lobby")
    await world.wait(1)
    assert fate(world, third) is Fate.ASSIGNED


async def test_the_second_of_a_burst_is_lost_although_the_worker_is_idle(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(busy_after_assignment=2))
    first, second = world.dispatch("lobby"), world.dispatch("lobby")
    await world.wait(3)
    third = world.dispatch("lobby")
    await world.wait(1)
    fates = [fate(world, each) for each in (first, second, third)]
    assert fates == [Fate.ASSIGNED, Fate.LOST_NO_CAPACITY, Fate.ASSIGNED]


async def test_a_worker_that_declines_is_passed_over(world: World) -> None:
    unwilling = world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.DECLINE))
    willing = world.simulator.add_worker("greeter")
    dispatches = [world.dispatch("lobby") for _ in range(8)]
    await world.wait(2)
    assert {job.worker_id for each in dispatches for job in each.jobs} == {willing.id}
    asked = {worker for entry in world.simulator.ledger.dispatches for worker in entry.workers_asked}
    assert asked == {unwilling.id, willing.id}


async def test_when_all_workers_decline_there_is_no_job(world: World) -> None:
    for _ in range(2):
        world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.DECLINE))
    dispatch = world.dispatch("lobby")
    await world.wait(10)
    assert fate(world, dispatch) is Fate.LOST_REFUSED
    assert dispatch.jobs == []


async def test_a_rejected_job_reads_success_and_no_agent_comes(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.TERMINATE))
    world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.TERMINATE))
    dispatch = world.dispatch("lobby")
    await world.wait(10)
    assert [job.status for job in dispatch.jobs] == [JobStatus.SUCCESS]
    assert fate(world, dispatch) is Fate.LOST_REFUSED
    assert world.simulator.agents("lobby") == []


async def test_a_worker_may_refuse_at_first_and_then_be_willing(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.TERMINATE, refuse_first=2))
    dispatches = [world.dispatch("lobby") for _ in range(3)]
    await world.wait(1)
    assert [fate(world, each) for each in dispatches] == [Fate.LOST_REFUSED, Fate.LOST_REFUSED, Fate.ASSIGNED]


async def test_a_silent_worker_costs_the_dispatch(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(refusal=Refusal.SILENCE))
    dispatch = world.dispatch("lobby")
    await world.wait(9)
    assert fate(world, dispatch) is Fate.OPEN
    await world.wait(2)
    assert fate(world, dispatch) is Fate.LOST_REFUSED


async def test_a_job_may_be_taken_and_no_agent_joins(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(never_joins=True))
    dispatch = world.dispatch("lobby")
    await world.wait(60)
    assert [job.status for job in dispatch.jobs] == [JobStatus.RUNNING]
    assert world.simulator.agents("lobby") == []
    assert fate(world, dispatch) is Fate.ASSIGNED


async def test_a_killed_workers_agent_is_listed_for_twenty_seconds_and_its_job_reads_running(world: World) -> None:
    worker = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    killed = world.schedule.monotonic()
    world.simulator.kill_worker(worker)
    assert fate(world, world.dispatch("lobby")) is Fate.LOST_NO_WORKER
    await world.wait(19)
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(2)
    assert world.simulator.agents("lobby") == []
    left = world.receiver.received[-1]
    assert left.event == "participant_left"
    assert left.webhook["participant"]["disconnectReason"] == "CONNECTION_TIMEOUT"
    assert dispatch.jobs[0].status is JobStatus.RUNNING
    [stay] = world.simulator.ledger.dispatches[0].agents
    assert (stay.gone, stay.reason) == (killed, "KILLED")


async def test_deleting_the_dispatch_of_a_killed_worker_does_not_take_its_agent_out(world: World) -> None:
    worker = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    await world.wait(6)
    world.simulator.kill_worker(worker)
    world.simulator.dispatches.delete(world.simulator.rooms.by_name["lobby"], dispatch.id)
    await world.wait(5)
    assert len(world.simulator.agents("lobby")) == 1


async def test_a_worker_killed_before_its_agent_joined_brings_none(world: World) -> None:
    worker = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    await world.wait(0.1)
    world.simulator.kill_worker(worker)
    await world.wait(30)
    assert world.simulator.ledger.agents_of("lobby") == []
    assert dispatch.jobs[0].status is JobStatus.RUNNING


async def test_a_worker_killed_while_it_is_asked_is_passed_over(world: World) -> None:
    doomed = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    heir = world.simulator.add_worker("greeter")
    world.simulator.kill_worker(doomed)
    await world.wait(1)
    assert [job.worker_id for job in dispatch.jobs] == [heir.id]


async def test_a_worker_stopped_gracefully_takes_its_agents_along(world: World) -> None:
    worker = world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    world.simulator.stop_worker(worker)
    await world.settle()
    assert world.simulator.agents("lobby") == []
    assert dispatch.jobs[0].status is JobStatus.RUNNING
    assert world.receiver.received[-1].webhook["participant"]["disconnectReason"] == "CLIENT_INITIATED"


async def test_a_worker_may_die_in_mid_call(world: World) -> None:
    worker = world.simulator.add_worker("greeter", Behaviour(dies_after=3))
    world.dispatch("lobby")
    await world.wait(4)
    assert worker.dead
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(20)
    assert world.simulator.agents("lobby") == []


@pytest.mark.parametrize(
    ("reads", "status", "error"),
    [(None, JobStatus.RUNNING, ""), (JobStatus.FAILED, JobStatus.FAILED, "agent worker left the room")],
)
async def test_a_job_whose_agent_left_by_itself_reads_running_for_ever_or_as_ordered(
    world: World, reads: JobStatus | None, status: JobStatus, error: str
) -> None:
    world.simulator.add_worker("greeter", Behaviour(leaves_after=2, leaving_reads=reads))
    dispatch = world.dispatch("lobby")
    await world.wait(60)
    assert world.simulator.agents("lobby") == []
    assert (dispatch.jobs[0].status, dispatch.jobs[0].error) == (status, error)


async def test_an_agent_that_was_removed_leaves_its_job_running_and_its_worker_free(world: World) -> None:

    world.simulator.add_worker("greeter", Behaviour(capacity=1))
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    [agent] = world.simulator.agents("lobby")
    world.simulator.leave("lobby", agent.identity, DisconnectReason.PARTICIPANT_REMOVED)
    assert dispatch.jobs[0].status is JobStatus.RUNNING
    again = world.dispatch("lobby")
    await world.wait(1)
    assert fate(world, again) is Fate.ASSIGNED


async def test_a_job_is_listed_five_seconds_late_and_only_then_ended(world: World) -> None:
    world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    room = world.simulator.rooms.by_name["lobby"]
    assert dispatch.jobs[0].listed_from == 6
    world.simulator.dispatches.delete(room, dispatch.id)
    assert dispatch.id not in room.dispatches
    await world.wait(3)
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(1)
    assert world.simulator.agents("lobby") == []
    assert dispatch.jobs[0].status is JobStatus.SUCCESS
    assert world.simulator.ledger.dispatches[0].deleted == 2


async def test_jobs_are_listed_late_only_while_the_names_of_workers_are_collected(world: World) -> None:
    async def listed_after() -> float:
        """Return how late a job of a dispatch made now is listed; 0.02 s is the worker's answer."""
        begun, dispatch = world.schedule.monotonic(), world.dispatch("lobby")
        await world.wait(0.5)
        return round(dispatch.jobs[0].listed_from - begun, 2)

    world.simulator.add_worker("greeter")
    assert [await listed_after(), await listed_after()] == [5, 4.5]
    await world.wait(5)
    assert await listed_after() == 0.02
    world.simulator.add_worker("other")
    assert await listed_after() == 5
    await world.wait(50)
    assert await listed_after() == 0.02
    await world.wait(10)
    assert await listed_after() == 5


async def test_a_dispatch_deleted_before_its_agent_joined_still_brings_it_and_ends_it(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(answer_after=2))
    dispatch = world.dispatch("lobby")
    world.simulator.dispatches.delete(world.simulator.rooms.by_name["lobby"], dispatch.id)
    await world.wait(3)
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(2)
    assert world.simulator.agents("lobby") == []


async def test_an_agent_that_ignores_its_end_is_removed_after_three_seconds(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(ignores_termination=True))
    dispatch = world.dispatch("lobby")
    await world.wait(6)
    world.simulator.dispatches.delete(world.simulator.rooms.by_name["lobby"], dispatch.id)
    await world.wait(2)
    assert len(world.simulator.agents("lobby")) == 1
    await world.wait(2)
    assert world.simulator.agents("lobby") == []
    assert world.receiver.received[-1].webhook["participant"]["disconnectReason"] == "PARTICIPANT_REMOVED"


async def test_an_agent_whose_worker_reconnected_stays_after_its_dispatch_is_deleted(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(stays_after_delete=True))
    dispatch = world.dispatch("lobby")
    await world.wait(6)
    world.simulator.dispatches.delete(world.simulator.rooms.by_name["lobby"], dispatch.id)
    await world.wait(30)
    assert len(world.simulator.agents("lobby")) == 1


async def test_an_agent_may_choose_its_identity_and_two_of_them_replace_each_other(world: World) -> None:
    world.simulator.add_worker("greeter", Behaviour(identity="receptionist-{room}"))
    first = world.dispatch("lobby")
    await world.wait(1)
    second = world.dispatch("lobby")
    await world.wait(1)
    assert [each.identity for each in world.simulator.agents("lobby")] == ["receptionist-lobby"]
    assert {job.identity for job in (*first.jobs, *second.jobs)} == {"receptionist-lobby"}
    assert first.jobs[0].status is JobStatus.RUNNING
    assert second.jobs[0].status is JobStatus.RUNNING


async def test_a_room_that_closes_takes_its_jobs_and_frees_the_workers(world: World) -> None:
    worker = world.simulator.add_worker("greeter", Behaviour(capacity=1, never_joins=True))
    dispatch = world.dispatch("lobby")
    await world.wait(1)
    world.simulator.finish_room("lobby")
    assert dispatch.jobs[0].status is JobStatus.SUCCESS
    assert worker.jobs == set()


async def test_a_room_that_closes_while_a_worker_is_asked_gets_no_agent(world: World) -> None:
    world.simulator.add_worker("greeter")
    dispatch = world.dispatch("lobby")
    world.simulator.finish_room("lobby")
    await world.wait(2)
    assert fate(world, dispatch) is Fate.LOST_ROOM_CLOSED
    assert world.simulator.room("lobby") is None


async def test_a_dispatch_in_the_token_works_only_for_the_join_that_opens_the_room(world: World) -> None:
    world.simulator.add_worker("greeter")
    wish = [DispatchOrder("greeter")]
    world.simulator.join("new", "ana", dispatches=wish)
    world.simulator.join("lobby", "bob", dispatches=wish)
    await world.wait(1)
    assert len(world.simulator.agents("new")) == 1
    assert world.simulator.agents("lobby") == []
    assert world.simulator.ledger.dispatches == []


async def test_a_nameless_worker_is_sent_to_every_room_by_itself(world: World) -> None:
    world.simulator.add_worker("")
    world.simulator.join("new", "ana")
    await world.wait(1)
    assert len(world.simulator.agents("new")) == 1
    assert [each.agent_name for each in world.simulator.rooms.by_name["new"].dispatches.values()] == [""]
    assert world.simulator.agents("lobby") == []
