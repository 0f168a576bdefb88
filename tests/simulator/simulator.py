"""The stand-in LiveKit with what tests do to it: faults, restarts, observers, further routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.livekit.vocabulary import ParticipantKind
from app.simulator import Simulator as StandInLiveKit
from app.simulator.api.twirp import PREFIX
from app.simulator.entities import Participant
from app.simulator.rooms import SERVER_LOST
from tests.simulator.webhook_faults import WebhookFaults


@dataclass(frozen=True, slots=True)
class Returning:
    """Who comes back after a crash, and after how many seconds (None: as `Timing` says)."""

    callers: bool
    agents: bool
    callers_after: float | None
    agents_after: float | None


class Simulator(StandInLiveKit):
    """The stand-in LiveKit with `webhook_faults`; takes the same arguments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.webhook_faults = WebhookFaults(self.webhooks, self.schedule, self.timing.webhook_retry_first)
        self._further: ASGIApp | None = None

    def mount(self, application: ASGIApp) -> None:
        """Serve `application` on all paths that are not the server API (the control)."""
        self._further = application

    async def restart(
        self,
        *,
        down_for: float = 0.0,
        redis: bool = False,
        workers_die: bool = False,
        rejoin: bool = True,
        agents_rejoin: bool = True,
        rejoin_after: float | None = None,
        agents_rejoin_after: float | None = None,
    ) -> None:
        """Kill the server and start it again: dispatches, jobs and queued webhooks are lost.

        Without `redis` its rooms are lost, too: callers and agents that come back find rooms with new SIDs. With it
        rooms keep their SIDs, and their participants of before stay listed (`lose_node`). Workers register again after
        `Timing.worker_reconnect` under new ids, unless they die with the server. Callers and agents come back by
        themselves after `Timing.rejoin` (with Redis `Timing.node_rejoin`) or the seconds given; their jobs are lost.
        """
        back = Returning(rejoin, agents_rejoin and not workers_die, rejoin_after, agents_rejoin_after)
        await self._listener.stop()
        await self.webhooks.stop()
        lost = self._lose(list(self.rooms.by_name), redis=redis)
        for worker in list(self.workers.by_id.values()):
            if worker.dead:
                continue
            if workers_die:
                self.kill_worker(worker)
                continue
            self.workers.deregister(worker)
            del self.workers.by_id[worker.id]
            worker.id = self._identifiers.new("AW_")
            worker.jobs.clear()
            self.workers.add(worker, registers_after=down_for + self.timing.worker_reconnect)
        await self.schedule.sleep(down_for)
        await self.start()
        self._let_return(lost, back, self.timing.node_rejoin if redis else self.timing.rejoin)

    def lose_node(
        self,
        *rooms: str,
        rejoin: bool = True,
        agents_rejoin: bool = True,
        rejoin_after: float | None = None,
        agents_rejoin_after: float | None = None,
    ) -> None:
        """Lose the node of these rooms; callers and agents come back by themselves, to another node."""
        lost = self._lose(rooms, redis=True)
        back = Returning(rejoin, agents_rejoin, rejoin_after, agents_rejoin_after)
        self._let_return(lost, back, self.timing.node_rejoin)

    def _lose(self, rooms: Sequence[str], *, redis: bool) -> list[tuple[str, Participant]]:
        lost = [(name, each) for name in rooms for each in self.rooms.by_name[name].connected()]
        for name in rooms:
            if redis:
                self.rooms.lose_node(self.rooms.by_name[name])
            else:
                self.rooms.forget(self.rooms.by_name[name])
        return lost

    def _let_return(self, lost: Sequence[tuple[str, Participant]], back: Returning, usually: float) -> None:
        for room, participant in lost:
            agent = participant.kind == ParticipantKind.AGENT
            if back.agents if agent else back.callers:
                after = back.agents_after if agent else back.callers_after
                self._come_back(room, participant, usually if after is None else after)

    def _come_back(self, room_name: str, participant: Participant, after: float) -> None:
        entry = self.ledger.dispatch_of_agent(participant.sid)
        stay = next((each for each in entry.agents if each.sid == participant.sid), None) if entry else None
        if stay is not None and stay.reason != SERVER_LOST:
            return  # killed before, and only listed still

        def come() -> None:
            room = self.dispatches.room(room_name)

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
                grants=participant.grants,
                kind_details=participant.kind_details,
                arrived=arrived,
            )

        self.schedule.call_later(after, come)

    def on_call(self, observer: Callable[[str], None]) -> None:
        """Call `observer` with the method's name when a call arrives, in the simulator's loop.

        What it raises fails the call with 500 and is kept in `objections`.
        """
        self.twirp.observers.append(observer)

    @property
    def objections(self) -> list[str]:
        return self.twirp.objections

    async def wait_until(self, condition: Callable[[], bool], *, within: float = 60.0) -> None:
        """Return as soon as `condition` holds; TimeoutError after `within` seconds of real time."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - any part of the state may make it true
                await asyncio.sleep(0.005)

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._further is not None and not scope["path"].startswith(PREFIX):
            await self._further(scope, receive, send)
        else:
            await super().application(scope, receive, send)
