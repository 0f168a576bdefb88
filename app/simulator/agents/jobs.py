"""Jobs: which worker gets a dispatch, when its agent joins, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.livekit.vocabulary import DisconnectReason, JobStatus, ParticipantKind
from app.simulator.agents.job_news import JobNews
from app.simulator.agents.stays import AgentStays
from app.simulator.agents.workers import Refusal, Worker, WorkerPool
from app.simulator.entities import Dispatch, Identifiers, Job, Participant, Room
from app.simulator.ledger import AgentStay, Fate, Ledger
from app.simulator.rooms import Rooms
from app.simulator.schedule import Schedule
from app.simulator.timing import Timing


@dataclass(frozen=True, slots=True)
class Offer:
    """A job that a worker is offered, and the ids of all workers that were offered it."""

    room: Room
    dispatch: Dispatch
    worker: Worker
    job_id: str
    refusal: Refusal
    asked: set[str]


@dataclass(frozen=True, slots=True)
class Engagement:
    """A running job, its room, its dispatch and its worker."""

    room: Room
    dispatch: Dispatch
    job: Job
    worker: Worker


@dataclass(slots=True)
class Jobs:
    """Launches and ends jobs as the server's agent service does; there is no queue and no second try."""

    schedule: Schedule
    timing: Timing
    identifiers: Identifiers
    rooms: Rooms
    workers: WorkerPool
    ledger: Ledger
    stays: AgentStays
    news: JobNews
    running: dict[str, Engagement] = field(default_factory=dict)
    """By job id, from the assignment until the job has ended or its worker is dead."""
    by_sid: dict[str, Engagement] = field(default_factory=dict)
    """By participant SID of agents that are in a room."""

    def __post_init__(self) -> None:
        self.rooms.left.append(self._agent_left)
        self.rooms.closed.append(self._room_closed)

    def launch(self, room: Room, dispatch: Dispatch, asked: set[str] | None = None) -> None:
        """Offer the dispatch to a worker; without a free one it is lost, which no answer or webhook reports."""
        if self.rooms.find(room.name) is not room:
            return self._settle(dispatch, Fate.LOST_ROOM_CLOSED)
        if asked is None:
            asked = set()
            dispatch.names_known = self.workers.names_known()
        worker = self.workers.choose(dispatch.agent_name, dispatch.deployment, asked)
        if worker is None:
            fate = self._why_lost(dispatch, asked)
            if fate is not Fate.LOST_REFUSED:
                self.news.pending(room, dispatch)
            return self._settle(dispatch, fate)
        asked.add(worker.id)
        entry = self.ledger.dispatch(dispatch.id)
        if entry is not None:
            entry.workers_asked.append(worker.id)
        job_id = self.identifiers.new("AJ_")
        worker.jobs.add(job_id)
        if worker.behaviour.busy_after_assignment:
            worker.full_until = self.schedule.monotonic() + worker.behaviour.busy_after_assignment
        refusal = worker.refuses()
        wait = self.timing.assignment_timeout if refusal is Refusal.SILENCE else worker.behaviour.answer_after

        def answer() -> None:
            self._answered(Offer(room, dispatch, worker, job_id, refusal, asked))

        if wait:
            self.schedule.call_later(wait, answer)
        else:
            answer()
        return None

    def end(self, dispatch: Dispatch) -> None:
        """End the jobs of a deleted dispatch, each once the server lists it (so up to 5 s later)."""
        dispatch.deleted = True
        self.news.cancel(dispatch, "JSR_DISPATCH_DELETED")
        for job in dispatch.jobs:
            if job.id in self.running:
                self._end_when_listed(self.running[job.id])

    def kill(self, worker: Worker) -> None:
        """SIGKILL: the worker is deregistered at once, its agents stay listed until their connections time out."""
        worker.dead = True
        self.workers.deregister(worker)
        for engagement in self._of(worker):
            agent = self._agent(engagement)
            self._release(engagement)
            if agent is not None:
                # Dead from now on, whatever the list of participants says; the job goes on reading RUNNING.
                self.ledger.agent_gone(agent.sid, self.schedule.monotonic(), "KILLED")
                self.stays.time_out(engagement.room, agent)

    def stop(self, worker: Worker) -> None:
        """Graceful shutdown: deregistered, and its agents leave at once."""
        self.workers.deregister(worker)
        for engagement in self._of(worker):
            agent = self._agent(engagement)
            if agent is not None:
                self.rooms.leave(engagement.room, agent, DisconnectReason.CLIENT_INITIATED)
            else:
                self._end(engagement)
        worker.dead = True

    def _of(self, worker: Worker) -> list[Engagement]:
        return [each for each in self.running.values() if each.worker is worker]

    def _agent(self, engagement: Engagement) -> Participant | None:
        agent = engagement.room.participants.get(engagement.job.identity)
        return agent if agent is not None and agent.sid == engagement.job.sid else None

    def _why_lost(self, dispatch: Dispatch, asked: set[str]) -> Fate:
        if asked:
            return Fate.LOST_REFUSED
        if any(True for _ in self.workers.known(dispatch.agent_name, dispatch.deployment)):
            return Fate.LOST_NO_CAPACITY
        return Fate.LOST_NO_WORKER

    def _settle(self, dispatch: Dispatch, fate: Fate) -> None:
        entry = self.ledger.dispatch(dispatch.id)
        if entry is not None:
            entry.fate = fate

    def _answered(self, offer: Offer) -> None:
        room, dispatch, worker, job_id = offer.room, offer.dispatch, offer.worker, offer.job_id
        if worker.dead or not worker.registered or offer.refusal is Refusal.DECLINE:
            worker.jobs.discard(job_id)
            return self.launch(room, dispatch, offer.asked)
        if offer.refusal is Refusal.SILENCE:
            worker.jobs.discard(job_id)
            return self._settle(dispatch, Fate.LOST_REFUSED)
        if self.rooms.find(room.name) is not room:
            worker.jobs.discard(job_id)
            return self._settle(dispatch, Fate.LOST_ROOM_CLOSED)
        now = self.schedule.now()
        chosen = worker.behaviour.identity
        job = Job(
            id=job_id,
            dispatch_id=dispatch.id,
            worker_id=worker.id,
            identity=chosen.format(job=job_id, agent=dispatch.agent_name, room=room.name)
            if chosen
            else f"agent-{job_id}",
            status=JobStatus.RUNNING,
            assigned_at=now,
            updated_at=now,
            listed_from=max(self.schedule.monotonic(), dispatch.names_known),
        )
        dispatch.jobs.append(job)
        engagement = Engagement(room, dispatch, job, worker)
        self.running[job.id] = engagement
        self.news.started(room, dispatch, job)
        if offer.refusal is Refusal.TERMINATE:
            job.identity = ""
            self._finish(engagement, JobStatus.SUCCESS)
            return self._settle(dispatch, Fate.LOST_REFUSED)
        self._settle(dispatch, Fate.ASSIGNED)
        if not worker.behaviour.never_joins:
            job.coming = self.schedule.call_later(
                worker.behaviour.join_after, lambda: self._join(engagement, dispatch.agent_name)
            )
        if dispatch.deleted:
            self._end_when_listed(engagement)
        return None

    def _join(self, engagement: Engagement, agent_name: str) -> None:
        room, job, worker = engagement.room, engagement.job, engagement.worker
        job.coming = None
        if self.rooms.find(room.name) is not room:
            return self._finish(engagement, JobStatus.SUCCESS)

        def arrived(agent: Participant) -> None:
            stay = AgentStay(room.sid, agent.identity, agent.sid, job.id, worker.id, self.schedule.monotonic())
            self.ledger.enter_agent(job.dispatch_id, stay)
            self.stays.begin(room, agent, worker.behaviour)
            if worker.behaviour.dies_after is not None:
                self.schedule.call_later(worker.behaviour.dies_after, lambda: self.kill(worker))

        # The server's name for the attribute, and the Python SDK's.
        attributes = {"lk.agent.name": agent_name, "lk.agent_name": agent_name}
        agent = self.rooms.join(room, job.identity, kind=ParticipantKind.AGENT, attributes=attributes, arrived=arrived)
        job.sid = agent.sid
        self.by_sid[agent.sid] = engagement
        return None

    def _end_when_listed(self, engagement: Engagement) -> None:
        wait = engagement.job.listed_from - self.schedule.monotonic()
        if wait > 0:
            self.schedule.call_later(wait, lambda: self._terminate(engagement))
        else:
            self._terminate(engagement)

    def _terminate(self, engagement: Engagement) -> None:
        room, job, worker = engagement.room, engagement.job, engagement.worker
        if job.id not in self.running or worker.behaviour.stays_after_delete:
            return
        self._finish(engagement, JobStatus.SUCCESS)
        agent = self._agent(engagement)
        if agent is None:
            return
        if worker.behaviour.ignores_termination:
            self.schedule.call_later(
                self.timing.termination_wait,
                lambda: self.rooms.leave(room, agent, DisconnectReason.PARTICIPANT_REMOVED),
            )
        else:
            self.rooms.leave(room, agent, DisconnectReason.CLIENT_INITIATED)

    def _agent_left(self, room: Room, participant: Participant) -> None:  # noqa: ARG002 - Rooms.left passes it
        engagement = self.by_sid.pop(participant.sid, None)
        if engagement is None or engagement.job.id not in self.running:
            return None
        if participant.leave_reason is DisconnectReason.PARTICIPANT_REMOVED:
            self.news.ended(engagement.room, engagement.dispatch, engagement.job)
            return self._release(engagement)  # seen: its dispatch stays, and its job goes on reading RUNNING
        return self._end(engagement)

    def _end(self, engagement: Engagement) -> None:
        status = engagement.worker.behaviour.leaving_reads
        if status is None:
            self.news.ended(engagement.room, engagement.dispatch, engagement.job)
            return self._release(engagement)
        return self._finish(engagement, status, "agent worker left the room" if status is JobStatus.FAILED else "")

    def _room_closed(self, room: Room) -> None:
        for participant in room.participants.values():
            self.by_sid.pop(participant.sid, None)
        for dispatch in room.dispatches.values():
            self.news.cancel(dispatch, "JSR_ROOM_CLOSED")
            for job in dispatch.jobs:
                if job.id in self.running:
                    self._finish(self.running[job.id], JobStatus.SUCCESS)

    def _finish(self, engagement: Engagement, status: JobStatus, error: str = "") -> None:
        engagement.job.status = status
        engagement.job.error = error
        engagement.job.updated_at = engagement.job.ended_at = self.schedule.now()
        self.news.ended(engagement.room, engagement.dispatch, engagement.job)
        self._release(engagement)

    def _release(self, engagement: Engagement) -> None:
        job = engagement.job
        self.running.pop(job.id, None)
        engagement.worker.jobs.discard(job.id)
        if job.coming is not None:
            job.coming.cancel()
            job.coming = None
