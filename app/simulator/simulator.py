"""The simulated LiveKit as one object: the server, its participants and its workers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from app.livekit.vocabulary import DisconnectReason, ParticipantKind
from app.simulator.agents.job_news import JobNews
from app.simulator.agents.jobs import Jobs
from app.simulator.agents.stays import AgentStays
from app.simulator.agents.workers import Behaviour, Worker, WorkerPool
from app.simulator.api.connection import Listener, ServerListener
from app.simulator.api.faults import Faults
from app.simulator.api.poster import HttpPoster
from app.simulator.api.service import Service
from app.simulator.api.twirp import TwirpApplication
from app.simulator.dispatches import Dispatches
from app.simulator.entities import DispatchOrder, Grants, Identifiers, Participant, Room, Track
from app.simulator.ledger import Ledger
from app.simulator.phones import Phones
from app.simulator.rooms import Rooms
from app.simulator.schedule import LoopSchedule, Schedule
from app.simulator.timing import Limits, Timing
from app.simulator.webhooks import Post, Webhooks

SIMULATOR_KEY = "simulated"
SIMULATOR_SECRET = "opens-nothing-but-a-simulated-livekit"  # noqa: S105 - as it says


class Simulator:
    """A stateful stand-in LiveKit.

    `async with Simulator(webhook_urls=[...]) as simulator:` serves Twirp at `simulator.url`. Everything it does takes
    as long as `timing` says; `ledger` is the list to judge by. Without `light` every call is kept in the ledger and
    checked for its token; with it neither, for benchmarks. `tells_of_jobs` makes it send `agent_job_*` webhooks as
    LiveKit Cloud does. `seed` repeats identifiers and choices of workers: only
    where one database sees one run, because SIDs repeat too.
    """

    def __init__(
        self,
        *,
        webhook_urls: Sequence[str] = (),
        key: str = SIMULATOR_KEY,
        secret: str = SIMULATOR_SECRET,
        keys: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        timing: Timing | None = None,
        limits: Limits | None = None,
        schedule: Schedule | None = None,
        seed: int | None = None,
        keeps_attributes: bool = True,
        tells_of_jobs: bool = False,
        light: bool = False,
        post: Post | None = None,
        listener: Callable[[ASGIApp], ServerListener] | None = None,
    ) -> None:
        self.key, self.secret = key, secret
        self.timing = timing or Timing()
        self.schedule: Schedule = schedule or LoopSchedule()
        self.ledger = Ledger(keep_calls=not light)
        self.faults = Faults()
        self._poster = HttpPoster()
        self._identifiers = Identifiers(seed)
        self.webhooks = Webhooks(
            urls=webhook_urls,
            key=key,
            secret=secret,
            post=post or self._poster,
            schedule=self.schedule,
            timing=self.timing,
            identifiers=self._identifiers,
            keep=1000 if light else 100_000,
        )
        self.rooms = Rooms(self.schedule, self.timing, self._identifiers, self.webhooks, self.ledger)
        self.workers = WorkerPool(self.schedule, random.Random(seed), self.timing)
        self.jobs = Jobs(
            self.schedule,
            self.timing,
            self._identifiers,
            self.rooms,
            self.workers,
            self.ledger,
            AgentStays(self.schedule, self.timing, self.rooms, self.ledger),
            JobNews(self.schedule, self._identifiers, self.webhooks, tells_of_jobs),
        )
        self.dispatches = Dispatches(self.schedule, self._identifiers, self.rooms, self.jobs, self.ledger)
        self.phones = Phones(self.schedule, self.timing, self._identifiers, self.rooms, self.dispatches)
        self.service = Service(
            self.schedule, self.timing, self.rooms, self.dispatches, self.phones, limits or Limits(), keeps_attributes
        )
        self.twirp = TwirpApplication(
            self.service,
            self.faults,
            self.ledger,
            self.schedule,
            {key: secret, **(keys or {})},
            authenticate=not light,
        )
        self._listener: ServerListener = (
            Listener(self.application, host=host, port=port) if listener is None else listener(self.application)
        )

    # The server

    @property
    def url(self) -> str:
        """Where it listens, for `LIVEKIT_URL`."""
        return f"http://{self._listener.host}:{self._listener.port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._listener.start()
        self.webhooks.start()

    async def stop(self) -> None:
        """Stop listening, forget the webhooks that wait."""
        await self._listener.stop()
        await self.webhooks.stop()
        await self._poster.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Participants

    def join(
        self,
        room: str,
        identity: str,
        *,
        kind: str = ParticipantKind.STANDARD,
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        grants: Grants | None = None,
        kind_details: Sequence[str] = (),
        dispatches: Sequence[DispatchOrder] = (),
        connects: bool = True,
        late_left: float = 0.0,
    ) -> Participant:
        """Let a participant join, opening the room if need be. See `Rooms.join` for the rest.

        `kind` may be a number that is no `ParticipantKind`, as of a LiveKit newer than the installed protocol.

        `kind_details` are names of `ParticipantInfo.KindDetail`, as FORWARDED, SIMULATION, CONNECTOR_TWILIO.
        `dispatches` are those of the access token: used if this join opens the room (LiveKit #4390), also each time
        that the same token opens it again after it had closed.
        """
        return self.rooms.join(
            self.dispatches.room(room, tuple(dispatches)),
            identity,
            kind=kind if kind.isdecimal() else ParticipantKind(kind),
            name=name,
            metadata=metadata,
            attributes=attributes,
            grants=grants,
            kind_details=kind_details,
            connects=connects,
            late_left=late_left,
        )

    def join_avatar(self, room: str, agent: Participant) -> Participant:
        """Let the worker of an avatar join that speaks for `agent`: kind AGENT, without an agent name."""
        return self.join(
            room,
            "avatar-agent",
            kind=ParticipantKind.AGENT,
            name="Avatar",
            attributes={"lk.publish_on_behalf": agent.identity},
        )

    def leave(
        self,
        room: str,
        identity: str,
        reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED,
        *,
        webhook_after: float = 0.0,
    ) -> None:
        """Let a participant leave; raises KeyError if that identity is not in the room."""
        there = self.rooms.by_name[room]
        self.rooms.leave(there, there.participants[identity], reason, webhook_after=webhook_after)

    def update(
        self, room: str, identity: str, *, metadata: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        """Change a participant's metadata or attributes, its own doing or the API's; LiveKit sends no webhook."""
        self.rooms.update(self.participant(room, identity), metadata=metadata, attributes=attributes)

    def publish_track(self, room: str, identity: str) -> Track:
        """Let a participant publish audio."""
        return self.rooms.publish_track(self.rooms.by_name[room], self.participant(room, identity))

    def finish_room(self, room: str, reason: DisconnectReason = DisconnectReason.ROOM_DELETED) -> None:
        """Close a room; everybody leaves for `reason`."""
        self.rooms.finish(self.rooms.by_name[room], reason)

    def room(self, name: str) -> Room | None:
        return self.rooms.find(name)

    def participant(self, room: str, identity: str) -> Participant:
        return self.rooms.by_name[room].participants[identity]

    def agents(self, room: str) -> list[Participant]:
        """Return the agents listed in a room now, dead ones too until their connections time out."""
        there = self.rooms.find(room)
        return [each for each in there.participants.values() if each.kind == ParticipantKind.AGENT] if there else []

    # What a server with Redis goes through

    def lose_node(self, *rooms: str) -> None:
        """Lose the node that serves these rooms; another answers all calls.

        Redis lists rooms and participants as they were. Whoever joins next, or CreateDispatch, makes the room again:
        the same SID, a second `room_started`, the dispatches of its token launched again, the others forgotten.
        """
        for name in rooms:
            self.rooms.lose_node(self.rooms.by_name[name])

    def lose_redis(self) -> None:
        """Let Redis lose its data: calls go on, and rooms and participants are not listed until they change.

        Dispatches are listed as before, for the room's node answers that.
        """
        self.rooms.lose_listing()
        self.service.nodes_unknown_until = self.schedule.monotonic() + self.timing.node_report

    # Workers

    def add_worker(
        self,
        agent_name: str,
        behaviour: Behaviour | None = None,
        *,
        registers_after: float = 0.0,
        deployment: str = "",
    ) -> Worker:
        """Start a worker; the server knows it after `registers_after` seconds."""
        worker = Worker(self._identifiers.new("AW_"), agent_name, behaviour or Behaviour(), deployment)
        return self.workers.add(worker, registers_after=registers_after)

    def kill_worker(self, worker: Worker | str) -> None:
        """SIGKILL a worker (or the one of that id): its agents are dead but listed until their connections time out."""
        self.jobs.kill(self._worker(worker))

    def stop_worker(self, worker: Worker | str) -> None:
        """Stop a worker gracefully: its agents leave now."""
        self.jobs.stop(self._worker(worker))

    def _worker(self, worker: Worker | str) -> Worker:
        return self.workers.by_id[worker] if isinstance(worker, str) else worker

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        await self.twirp(scope, receive, send)
