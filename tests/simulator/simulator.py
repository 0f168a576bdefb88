"""The stand-in LiveKit with what tests do to it: faults, restarts, observers, further routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.livekit.vocabulary import ParticipantKind
from app.simulator import Simulator as StandInLiveKit
from app.simulator.api.twirp import PREFIX
from app.simulator.entities import Participant
from app.simulator.rooms import SERVER_LOST
from tests.simulator.webhook_faults import WebhookFaults


class Simulator(StandInLiveKit):
    """The stand-in LiveKit with `webhook_faults`; takes the same arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.webhook_faults = WebhookFaults(self.webhooks, self.schedule, self.timing.webhook_retry_first)
        self._further: ASGIApp | None = None

    def mount(self, application: ASGIApp) -> None:
        """Serve `application` on all paths that are not the server API (the control)."""
        self._further = application

    async def restart(self, *, down_for: float = 0.0, rejoin: bool = True, agents_rejoin: bool = True) -> None:
        """Kill the server and start it again: rooms, dispatches, jobs and queued webhooks are lost.

        Workers register again after `Timing.worker_reconnect` under new ids. Callers and agents come back by themselves
        after `Timing.rejoin`, into rooms of the same names with new SIDs; the agents' jobs are lost.
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
                if agents_rejoin if participant.kind == ParticipantKind.AGENT else rejoin:
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
        """Call `observer` with the method's name when a call arrives, in the simulator's loop.

        What it raises fails the call with 500 and is kept in `objections`.
        """
        self.twirp.observers.append(observer)

    @property
    def objections(self) -> list[str]:
        return self.twirp.objections

    async def wait_until(self, condition: Callable[[], bool], *, within: float = 20.0) -> None:
        """Return as soon as `condition` holds; TimeoutError after `within` seconds of real time."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - any part of the state may make it true
                await asyncio.sleep(0.005)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._further is not None and not scope["path"].startswith(PREFIX):
            await self._further(scope, receive, send)
        else:
            await super().application(scope, receive, send)
