"""Agent workers: which are registered for a name, and how each behaves."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from app.livekit.vocabulary import DisconnectReason, JobStatus
from app.simulator.schedule import Schedule, Timer
from app.simulator.timing import Timing


class Refusal(Enum):
    """How a worker says no."""

    NEVER = "never"
    DECLINE = "decline"
    """Not available: the server asks the next worker."""
    TERMINATE = "terminate"
    """`reject()` of the Python SDK: the job ends with SUCCESS, and no other worker is asked."""
    SILENCE = "silence"
    """No answer at all: the server gives up after `Timing.assignment_timeout`."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a worker does with a job. Seconds; the defaults are a healthy livekit-agents worker's (0.3 s to arrival)."""

    answer_after: float = 0.02
    join_after: float = 0.2
    """From the assignment to the agent's joining; ACTIVE comes `Timing.activation` later."""
    refusal: Refusal = Refusal.NEVER
    refuse_first: int | None = None
    """Only so many jobs are refused, then the worker is willing. None: all."""
    never_joins: bool = False
    """Takes the job and never comes."""
    capacity: int | None = None
    """Jobs at the same time."""
    busy_after_assignment: float = 0.0
    """So long after taking a job the worker counts as full: the second of two dispatches in a burst is lost."""
    leaves_after: float | None = None
    """The agent leaves by itself so long after its arrival; short, it is a crash loop."""
    leaves_with: DisconnectReason = DisconnectReason.CLIENT_INITIATED
    """How that reads: CLIENT_INITIATED for a graceful end, an exception in the entrypoint and a drain that timed out;
    PARTICIPANT_REMOVED for one that removes itself; CONNECTION_TIMEOUT for a killed process, which is listed for
    `Timing.connection_timeout` more; ROOM_DELETED for one that deletes its room."""
    says_on_leaving: Mapping[str, str] | None = None
    """Attributes that it sets just before; they stand in `participant_left`."""
    leaving_reads: JobStatus | None = None
    """How a job reads whose agent has left by itself. None: it reads RUNNING for ever, as on a self-hosted server."""
    publishes_after: float | None = None
    """It publishes audio so long after its arrival (an `AgentSession` after 0.06 s); None: it never does."""
    session_ends_with_caller: bool = False
    """As a default `AgentSession`: closed when its caller leaves, while the agent stays in the room, mute."""
    dies_after: float | None = None
    """The worker is killed so long after the arrival of its agent."""
    identity: str | None = None
    """The agent's own choice of identity, with `{job}`, `{agent}` and `{room}` to fill in; None: `agent-<job id>`."""
    ignores_termination: bool = False
    """Does not leave when its dispatch is deleted; the server removes it after `Timing.termination_wait`."""
    stays_after_delete: bool = False
    """Its worker has reconnected meanwhile, so the server cannot end the job: the agent stays."""

    def scaled(self, factor: float) -> Behaviour:
        """Return the same behaviour in another tempo."""
        return replace(
            self,
            answer_after=self.answer_after * factor,
            join_after=self.join_after * factor,
            busy_after_assignment=self.busy_after_assignment * factor,
            leaves_after=None if self.leaves_after is None else self.leaves_after * factor,
            publishes_after=None if self.publishes_after is None else self.publishes_after * factor,
            dies_after=None if self.dies_after is None else self.dies_after * factor,
        )


@dataclass(slots=True)
class Worker:
    """One registered worker process."""

    id: str
    agent_name: str
    behaviour: Behaviour
    deployment: str = ""
    registered: bool = False
    dead: bool = False
    jobs: set[str] = field(default_factory=set)
    """Running jobs; a job that is being offered counts, as it does in the load a worker reports."""
    full_until: float = float("-inf")
    refused: int = 0
    registration: Timer | None = None

    def has_room(self, now: float) -> bool:
        capacity = self.behaviour.capacity
        return now >= self.full_until and (capacity is None or len(self.jobs) < capacity)

    def refuses(self) -> Refusal:
        """Return how the next job is refused (NEVER: it is taken) and count it."""
        limit = self.behaviour.refuse_first
        if self.behaviour.refusal is Refusal.NEVER or (limit is not None and self.refused >= limit):
            return Refusal.NEVER
        self.refused += 1
        return self.behaviour.refusal


@dataclass(slots=True)
class WorkerPool:
    """All workers, also dead ones; the choice among the free ones is random, as LiveKit's is."""

    schedule: Schedule
    choice: random.Random
    timing: Timing = field(default_factory=Timing)
    by_id: dict[str, Worker] = field(default_factory=dict)
    _names_hold_until: float = float("-inf")
    _names_known: float = float("-inf")

    def names_known(self) -> float:
        """Return when the names of all workers are known to a dispatch made now, collecting them anew if need be."""
        now = self.schedule.monotonic()
        if now >= self._names_hold_until:
            self._names_known = now + self.timing.name_collection
            self._names_hold_until = now + self.timing.name_cache
        return self._names_known

    def add(self, worker: Worker, *, registers_after: float = 0.0) -> Worker:
        """Take a worker in; until `registers_after` seconds have passed the server does not know it."""
        self.by_id[worker.id] = worker
        self.register(worker, after=registers_after)
        return worker

    def register(self, worker: Worker, *, after: float = 0.0) -> None:
        def arrive() -> None:
            worker.registered = not worker.dead
            self._names_hold_until = float("-inf")
            worker.registration = None

        if after:
            worker.registration = self.schedule.call_later(after, arrive)
        else:
            arrive()

    def deregister(self, worker: Worker) -> None:
        worker.registered = False
        if worker.registration is not None:
            worker.registration.cancel()
            worker.registration = None

    def known(self, agent_name: str, deployment: str = "") -> Iterator[Worker]:
        """Yield the workers registered for this name now."""
        return (
            worker
            for worker in self.by_id.values()
            if worker.registered and worker.agent_name == agent_name and worker.deployment == deployment
        )

    def choose(self, agent_name: str, deployment: str, asked: set[str]) -> Worker | None:
        """Return a worker with room for one more job that was not asked yet; None when there is none."""
        now = self.schedule.monotonic()
        free = [w for w in self.known(agent_name, deployment) if w.id not in asked and w.has_room(now)]
        return self.choice.choice(free) if free else None
