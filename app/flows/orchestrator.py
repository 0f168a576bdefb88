"""All flows of one process, joined: what a door hands in, and what runs by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from app.errors import UsherError
from app.flows.accept.accept import Acceptance, Acceptor
from app.flows.arrival.inspect import Inspector
from app.flows.arrival.withdraw import Withdrawer
from app.flows.clock_steps import Stopwatch, Timekeeper
from app.flows.context import Context
from app.flows.deliver.deliver import Deliverer
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.loop import Loop
from app.flows.probes.canary import Canary
from app.flows.prune import Pruner
from app.flows.sweep.sweep import Sweeper
from app.logs import get_logger
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event

_log = get_logger(__name__)

_DELIVER_EVERY_S = 0.25
_INSPECT_EVERY_S = 0.15
_KEEP_TIME_EVERY_S = 2.0
_PRUNE_EVERY_S = 60.0
_LOOKS_AFTER_S = (0.2, 0.8, 2.0, 3.0, 3.0)
"""When a room is looked at again while it is unclear whose an agent is: the job list can be 5 s late."""


class Orchestrator:
    """All flows of one process: hands events in, carries out what follows, and runs the background loops."""

    def __init__(self, context: Context, book: RuleBook) -> None:
        self.context = context
        self.withdrawer = Withdrawer(context)
        stopwatch = Stopwatch(context.clock)
        limiter = StartLimiter(context.settings.calls_per_second)
        self.deliverer = Deliverer(context, limiter, stopwatch, self.withdrawer.submit, self.look_at)
        self.inspector = Inspector(context, self.withdrawer, stopwatch)
        self.acceptor = Acceptor(context, book, self.deliverer.free_slots)
        self.sweeper = Sweeper(context, self.inspector, self.receive)
        self._looks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._questions: dict[tuple[str, str], int] = {}
        self._deliver = Loop("deliver", self.deliverer.run_once, _DELIVER_EVERY_S)
        self._inspect = Loop("inspect", self._inspect_and_deliver, _INSPECT_EVERY_S)
        timekeeper = Timekeeper(context, self.deliverer.in_hand)
        self._loops = [
            self._deliver,
            self._inspect,
            Loop("timekeeping", timekeeper.run_once, _KEEP_TIME_EVERY_S),
            Loop("prune", Pruner(context).run_once, _PRUNE_EVERY_S),
        ]
        if context.settings.sweep_interval > 0:
            self._loops.append(Loop("sweep", self._sweep_and_deliver, _turns(context.settings.sweep_interval)))
        self.canary = Canary(context)
        if context.settings.canary_interval > 0:
            self._loops.append(Loop("canary", self.canary.run_once, _turns(context.settings.canary_interval)))

    @property
    def book(self) -> RuleBook:
        """The rule book in use."""
        return self.acceptor.book

    async def receive(self, event: Event) -> Acceptance:
        """Return once `event` is on the disk; its dispatches go on their way as soon as it is committed.

        Should the power fail just between, LiveKit, which got no answer, tells it again, or the sweep finds who waits;
        and of what is told late, LiveKit is asked before another agent is sent.
        """
        acceptance = await self.acceptor.accept(event, self._send)
        self.deliverer.distrust(acceptance.moves)
        self.withdrawer.submit(acceptance.withdrawals)
        self.look_at(acceptance.rooms_to_look_at)
        if acceptance.is_due:
            self._deliver.wake()
        if acceptance.to_send:
            await self.deliverer.make_room()
        return acceptance

    def _send(self, acceptance: Acceptance) -> None:
        self.deliverer.submit(acceptance.to_send)

    def wake(self) -> None:
        """Deliver what is due now: something has been put back by hand."""
        self._deliver.wake()

    def look_at(self, rooms: Iterable[tuple[str, str]]) -> None:
        """Look at rooms until it is clear whose the agents in them are; a question asked meanwhile begins anew."""
        for room in rooms:
            self._questions[room] = self._questions.get(room, 0) + 1
            if room not in self._looks:
                self._looks[room] = asyncio.create_task(self._look(room))

    def start(self) -> None:
        """Begin everything that runs by itself."""
        for loop in self._loops:
            loop.start()

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Finish what was accepted, hand back what is leased, end the loops."""
        self.sweeper.stop()
        for task in tuple(self._looks.values()):
            task.cancel()
        self.canary.stop()
        self.deliverer.stop()
        for loop in self._loops:
            await loop.stop()
        await self.deliverer.drain(timeout_s)
        await self.withdrawer.drain(timeout_s)

    async def _look(self, room: tuple[str, str]) -> None:
        answered = 0
        try:
            while answered != (asked := self._questions[room]):
                answered = asked
                await self._look_until_clear(room, asked)
        finally:
            del self._looks[room], self._questions[room]

    async def _look_until_clear(self, room: tuple[str, str], asked: int) -> None:
        for pause in _LOOKS_AFTER_S:
            await asyncio.sleep(pause)
            try:
                inspection = await self.inspector.inspect(*room)
            except UsherError as error:
                _log.warning("a room could not be looked at", room=room[1], error=str(error))
                continue
            if inspection.consequences.rows:
                self._deliver.wake()
            if inspection.is_clear or self._questions[room] != asked:
                return

    async def _inspect_and_deliver(self) -> dict[str, int]:
        counts = await self.inspector.run_once()
        if counts["overdue"]:
            self._deliver.wake()
        return counts

    async def _sweep_and_deliver(self) -> dict[str, int]:
        counts = await self.sweeper.run_once()
        self._deliver.wake()
        return counts


def _turns(interval_s: float) -> float:
    """Return how often to ask whose turn it is: more often than it is taken, to follow soon a replica that dies."""
    return min(interval_s, max(1.0, interval_s / 6))
