"""The simulated LiveKit as one object: start it, let callers come and go, hire and kill workers, break things."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from app.simulator.connection import Listener
from app.simulator.dispatches import Dispatches, DispatchOrder
from app.simulator.entities import Identifiers, Kind, LeaveReason, Participant, Room, Track
from app.simulator.faults import Faults
from app.simulator.jobs import Jobs
from app.simulator.ledger import Ledger
from app.simulator.poster import HttpPoster
from app.simulator.rooms import SERVER_LOST, Rooms
from app.simulator.schedule import LoopSchedule, Schedule
from app.simulator.service import Service
from app.simulator.timing import Limits, Timing
from app.simulator.twirp import PREFIX, TwirpApplication
from app.simulator.webhooks import Post, Webhooks
from app.simulator.workers import Behaviour, Worker, WorkerPool

SIMULATOR_KEY = "simulated"
SIMULATOR_SECRET = "opens-nothing-but-a-simulated-livekit"  # noqa: S105 - as it says


class Simulator:
    """A stateful stand-in LiveKit.

    `async with Simulator(webhook_urls=[...]) as simulator:` serves Twirp at `simulator.url`. Everything it does takes
    as long as `timing` says; `ledger` is the list to judge by. Without `light` every call is kept in the ledger and
    checked for its token; with it neither, for benchmarks. `seed` repeats identifiers and choices of workers: only
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
        light: bool = False,
        post: Post | None = None,
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
        self.jobs = Jobs(self.schedule, self.timing, self._identifiers, self.rooms, self.workers, self.ledger)
        self.dispatches = Dispatches(self.schedule, self._identifiers, self.rooms, self.jobs, self.ledger)
        self.service = Service(
            self.schedule, self.timing, self.rooms, self.dispatches, limits or Limits(), keeps_attributes
        )
        self.twirp = TwirpApplication(
            self.service,
            self.faults,
            self.ledger,
            self.schedule,
            {key: secret, **(keys or {})},
            authenticate=not light,
        )
        self._fallback: ASGIApp | None = None
        self._listener = Listener(self._application, host=host, port=port)

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

    def mount(self, application: ASGIApp) -> None:
        """Serve `application` on all paths that are not the server API (the control doors)."""
        self._fallback = application

    async def restart(self, *, down_for: float = 0.0, rejoin: bool = True, agents_rejoin: bool = True) -> None:
        """Kill the server and start it again: rooms, dispatches, jobs and waiting webhooks are gone without a word.

        Workers register again after `Timing.worker_reconnect` under new ids. Callers and agents come back by themselves
        after `Timing.rejoin`, into rooms of the same names with new SIDs; the agents' jobs nobody knows any more.
        """
        await self._listener.stop()
        await self.webhooks.stop()
        lost = [(room.name, list(room.participants.values())) for room in self.rooms.by_name.values()]
        for room in list(self.rooms.by_name.values()):
            self.rooms.forget(room)
        for worker in list(self.workers.by_id.values()):
            if worker.dead:
                continue
            self.workers.deregister(worker)
            del self.workers.by_id[worker.id]
            worker.id = self._identifiers.new("AW_")
            worker.jobs.clear()
            self.workers.add(worker, registers_after=down_for + self.timing.worker_reconnect)
        await self.schedule.sleep(down_for)
        await self.start()
        for name, participants in lost:
            for participant in participants:
                if agents_rejoin if participant.kind is Kind.AGENT else rejoin:
                    self._come_back(name, participant)

    def _come_back(self, room_name: str, participant: Participant) -> None:
        entry = self.ledger.dispatch_of_agent(participant.sid)
        stay = next((each for each in entry.agents if each.sid == participant.sid), None) if entry else None
        if stay is not None and stay.reason != SERVER_LOST:
            return  # killed before, and only listed still

        def come() -> None:
            room = self._open(room_name)

            def arrived(back: Participant) -> None:
                if entry is not None and stay is not None:
                    again = replace(stay, room_sid=room.sid, sid=back.sid, gone=None, reason="")
                    again.joined = self.schedule.monotonic()
                    self.ledger.enter_agent(entry.id, again)

            self.rooms.join(
                room,
                participant.identity,
                kind=participant.kind,
                name=participant.name,
                metadata=participant.metadata,
                attributes=participant.attributes,
                arrived=arrived,
            )

        self.schedule.call_later(self.timing.rejoin, come)

    def on_call(self, observer: Callable[[str], None]) -> None:
        """Let `observer` hear of each call by its method's name when it arrives, in the simulator's loop.

        What it raises fails the call with 500 and is kept in `objections`.
        """
        self.twirp.observers.append(observer)

    @property
    def objections(self) -> list[str]:
        return self.twirp.objections

    # People

    def join(
        self,
        room: str,
        identity: str,
        *,
        kind: Kind | str = Kind.STANDARD,
        name: str = "",
        metadata: str = "",
        attributes: Mapping[str, str] | None = None,
        dispatches: Sequence[DispatchOrder] = (),
        connects: bool = True,
        late_left: float = 0.0,
    ) -> Participant:
        """Let somebody join, opening the room if need be. See `Rooms.join` for the rest.

        `dispatches` are those of the access token: used only if this join opens the room (LiveKit #4390).
        """
        return self.rooms.join(
            self._open(room, tuple(dispatches)),
            identity,
            kind=Kind[kind] if isinstance(kind, str) else kind,
            name=name,
            metadata=metadata,
            attributes=attributes,
            connects=connects,
            late_left=late_left,
        )

    def _open(self, name: str, dispatches: tuple[DispatchOrder, ...] = ()) -> Room:
        room = self.rooms.find(name)
        if room is None:
            room = self.rooms.open(name)
            self.dispatches.automatic(room, dispatches)
        return room

    def leave(
        self, room: str, identity: str, reason: LeaveReason = LeaveReason.CLIENT_INITIATED, *, told_after: float = 0.0
    ) -> None:
        """Let somebody leave; raises KeyError when nobody of that identity is there."""
        there = self.rooms.by_name[room]
        self.rooms.leave(there, there.participants[identity], reason, told_after=told_after)

    def update(
        self, room: str, identity: str, *, metadata: str = "", attributes: Mapping[str, str] | None = None
    ) -> None:
        """Change somebody's metadata or attributes; LiveKit tells nobody."""
        self.rooms.update(self.participant(room, identity), metadata=metadata, attributes=attributes)

    def publish_track(self, room: str, identity: str) -> Track:
        """Let somebody publish audio."""
        return self.rooms.publish_track(self.rooms.by_name[room], self.participant(room, identity))

    def finish_room(self, room: str, reason: LeaveReason = LeaveReason.ROOM_DELETED) -> None:
        """Close a room; everybody leaves for `reason`."""
        self.rooms.finish(self.rooms.by_name[room], reason)

    def room(self, name: str) -> Room | None:
        return self.rooms.find(name)

    def participant(self, room: str, identity: str) -> Participant:
        return self.rooms.by_name[room].participants[identity]

    def agents(self, room: str) -> list[Participant]:
        """Return the agents listed in a room now, dead ones too until their connections time out."""
        there = self.rooms.find(room)
        return [each for each in there.participants.values() if each.kind is Kind.AGENT] if there else []

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

    # Waiting

    async def wait_until(self, condition: Callable[[], bool], *, within: float = 20.0) -> None:
        """Return as soon as `condition` holds; TimeoutError after `within` seconds of real time."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - any part of the state may make it true
                await asyncio.sleep(0.005)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._fallback is not None and not scope["path"].startswith(PREFIX):
            await self._fallback(scope, receive, send)
        else:
            await self.twirp(scope, receive, send)
