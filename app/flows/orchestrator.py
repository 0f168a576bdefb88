"""Joins the flows of one process: takes events in, carries out what follows a commit, runs the background loops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from app.errors import UsherError
from app.flows.accept.accept import Acceptance, Acceptor
from app.flows.actions.deliver_actions import ActionDeliverer
from app.flows.agenda import CLOCK, IDLE_S, READ_EVERY_S, UNPROMPTED_S, Agenda
from app.flows.announce.announcer import Announcer
from app.flows.arrival.close_rooms import RoomCloser
from app.flows.arrival.doubts import DoubtChecker
from app.flows.arrival.inspect import Inspector
from app.flows.arrival.left_alone import LeftAlone
from app.flows.arrival.withdraw import Withdrawer
from app.flows.clock_steps import CORRECT_EVERY_S, CORRECT_IDLE_S, ClockCorrector
from app.flows.context import Context
from app.flows.deliver.deliver import Deliverer
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.deliver.take_over import take_over
from app.flows.elapsed_time import ElapsedTime
from app.flows.erase.hash_names import RUN_EVERY_S, NameHasher
from app.flows.incidents.evaluator import EVALUATE_EVERY_S, IncidentEvaluator
from app.flows.incidents.replica_states import own_state, to_heartbeat
from app.flows.lookup.ask import LookupAsker
from app.flows.lookup.lookups import Lookups
from app.flows.lookup.pending_events import take_over_lookups
from app.flows.loop import Loop
from app.flows.messages.message_recorder import MessageRecorder
from app.flows.messages.message_sender import SEND_EVERY_S, MessageSender
from app.flows.messages.senders import Senders
from app.flows.operations.operations import Operations
from app.flows.probes.canary import Canary
from app.flows.replicas.serving import BEAT_EVERY_S, ServingHeartbeat
from app.flows.retention.prune import Pruner
from app.flows.sweep.sweep import Sweeper
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit, count
from app.logs import get_logger
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event

_log = get_logger(__name__)

_DELIVER_EVERY_S = 0.25
_ACT_EVERY_S = 0.5
_INSPECT_EVERY_S = 0.1
_END_DOUBTS_EVERY_S = 0.5
_ANNOUNCE_EVERY_S = 0.5
_TAKE_UP_EVERY_S = 1.0
_PRUNE_EVERY_S = 60.0
_CHECKS_AFTER_S = (0.2, 0.8, 2.0, 3.0, 3.0)
"""Pauses between checks of a room while it is unclear whose an agent is: the job list can be 5 s late."""
_PAUSE_PER_CHECK = 4.0
"""The pause is at least so many times what the last check took: one of a room of thousands takes a second."""


class Orchestrator:
    """All flows of one process."""

    def __init__(self, context: Context, book: RuleBook, lookup_asker: LookupAsker, senders: Senders) -> None:
        self.context = context
        self.book = book
        """The rule book in use: that of the latest committed transaction that read a newer one."""
        self.message_recorder = recorder = MessageRecorder(context)
        self.messages = MessageSender(context, recorder, senders)
        self._transactions = transactions = Transactions(context.writer, self.follow, recorder.record_calls)
        self.withdrawer = Withdrawer(context)
        self.left_alone = LeftAlone(context, transactions)
        self.room_closer = RoomCloser(context, transactions)
        elapsed_time = ElapsedTime(context.clock)
        limiter = StartLimiter(context.settings.calls_per_second, context.clock)
        self.deliverer = Deliverer(context, transactions, limiter, elapsed_time)
        self.inspector = Inspector(context, transactions, elapsed_time)
        self.acceptor = Acceptor(context, transactions, lambda: self.book, self.deliverer.free_slots)
        self.lookups = Lookups(context, lookup_asker, lambda: self.book, self.acceptor.evaluate)
        self.operations = Operations(context, transactions, lambda: self.book, self.receive)
        self.sweeper = Sweeper(context, transactions, self.inspector, lambda: self.book, self.receive)
        self.pruner = Pruner(context)
        self.incidents = IncidentEvaluator(context, lambda: self.book, recorder)
        self.action_deliverer = ActionDeliverer(context, transactions)
        self._checks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._requests: dict[tuple[str, str], int] = {}
        self._took: dict[tuple[str, str], float] = {}
        self.announcer = Announcer(context)
        corrector = ClockCorrector(context, transactions, elapsed_time, self.deliverer.in_hand)
        due = partial(Loop, defects=context.defects, idle_s=UNPROMPTED_S)
        self._deliver = due("deliver", self.deliverer.run_once, _DELIVER_EVERY_S)
        self._act = due("caller actions", self.action_deliverer.run_once, _ACT_EVERY_S)
        self._send = due("messages", self.messages.run_once, SEND_EVERY_S)
        prompted = [
            self._deliver,
            self._act,
            self._send,
            due("doubts", DoubtChecker(context, self.inspector).run_once, _END_DOUBTS_EVERY_S),
            due("inspect", self.inspector.run_once, _INSPECT_EVERY_S),
            due("lookups", self.lookups.run_once, _TAKE_UP_EVERY_S),
            due("announce", self.announcer.run_once, _ANNOUNCE_EVERY_S),
            Loop(CLOCK, corrector.run_once, CORRECT_EVERY_S, context.defects, idle_s=CORRECT_IDLE_S),
        ]
        agenda = Agenda(context, {loop.name: loop for loop in prompted}, corrector)
        self._agenda = Loop("agenda", agenda.run_once, READ_EVERY_S, context.defects, idle_s=IDLE_S)
        self._loops = [
            *prompted,
            self._agenda,
            Loop("prune", self.pruner.run_once, _PRUNE_EVERY_S, context.defects),
            Loop("incidents", self.incidents.run_once, EVALUATE_EVERY_S, context.defects),
        ]
        if context.settings.sweep_interval > 0:
            self._loops.append(
                Loop("sweep", self.sweeper.run_once, _turns(context.settings.sweep_interval), context.defects)
            )
        self._heartbeat = None if context.writer.is_embedded else _heartbeat(context)
        if self._heartbeat is not None:
            self._loops.append(Loop("heartbeat", self._heartbeat.run_once, BEAT_EVERY_S, context.defects))
        if context.settings.hash_names_key.get_secret_value():
            self._loops.append(Loop("hash names", NameHasher(context).run_once, RUN_EVERY_S, context.defects))
        self.canary = Canary(context)
        if context.settings.canary_interval > 0:
            self._loops.append(
                Loop("canary", self.canary.run_once, _turns(context.settings.canary_interval), context.defects)
            )

    async def receive(self, event: Event) -> Acceptance:
        """Return once `event` is on the disk; its dispatches are sent as soon as it is committed.

        Should the power fail between the two, LiveKit, which got no answer, repeats the webhook, or the sweep finds the
        caller; and because either comes late, LiveKit is asked before another agent is sent.
        """
        acceptance = await self.acceptor.accept(event)
        if acceptance.brings_calls:
            await self.deliverer.back_pressure(event.project, event.room_name)
        return acceptance

    def follow(self, after: AfterCommit) -> None:
        """Carry out what a committed transaction left to be done, in the background."""
        if after.book is not None:
            self.book = after.book
        count(self.context.metrics, after)
        if self.message_recorder.pop_recorded():
            self._send.wake()
        for joined in after.joined:
            self.inspector.retry_spread.note_joined(joined.project, joined.agent_to_ask, self.context.clock.monotonic())
        self.deliverer.submit(after.to_send)
        self.deliverer.recheck_presence([*after.cancelled, *after.left_alone])
        self.left_alone.submit(after.left_alone)
        self.withdrawer.submit(after.withdrawals)
        self.check_rooms(after.rooms_to_check)
        self.room_closer.submit(after.crowds_to_end)
        self.lookups.submit(after.to_look_up)
        if after.moves or after.created or after.actions:
            self._agenda.wake_soon()
        if after.is_due or (self.deliverer.has_queue and after.frees_places):
            self._deliver.wake()
        if after.has_due_actions:
            self._act.wake()

    def check_rooms(self, rooms: Iterable[tuple[str, str]]) -> None:
        """Check rooms until it is clear whose the agents in them are; one requested meanwhile starts over."""
        for room in rooms:
            self._requests[room] = self._requests.get(room, 0) + 1
            if room not in self._checks:
                self._checks[room] = asyncio.create_task(self._check(room))

    async def prepare(self, *, is_alone: bool) -> None:
        """Read who wants messages and, where no other process can be alive, take over what a dead one held.

        To be called before `start`, and before a webhook is taken.
        """
        await self.context.read(self.message_recorder.refresh)
        if not is_alone:
            return
        await self._transactions.run(lambda connection, after: take_over(connection, after, self.context))
        await self.context.writer.run(lambda connection: take_over_lookups(connection, self.context.clock.now()))

    def start(self) -> None:
        """Start the background loops."""
        for loop in self._loops:
            loop.start()

    async def stop(self, timeout_s: float = 10.0) -> None:
        """Finish what was accepted, hand back what is leased, end the loops."""
        self.sweeper.stop()
        for task in tuple(self._checks.values()):
            task.cancel()
        self.canary.stop()
        self.left_alone.stop()
        self.deliverer.stop()
        self.action_deliverer.stop()
        for loop in self._loops:
            await loop.stop()
        await self.announcer.stop()
        await self.lookups.drain(timeout_s)
        await self.inspector.drain(timeout_s)
        await self.room_closer.drain(timeout_s)
        await self.deliverer.drain(timeout_s)
        await self.action_deliverer.drain(timeout_s)
        await self.withdrawer.drain(timeout_s)
        await self.messages.drain(timeout_s)
        if self._heartbeat is not None:
            await self._heartbeat.stop()

    async def _check(self, room: tuple[str, str]) -> None:
        done = 0
        try:
            while done != (requested := self._requests[room]):
                done = requested
                await self._check_until_clear(room, requested)
        finally:
            del self._checks[room], self._requests[room]
            self._took.pop(room, None)

    async def _check_until_clear(self, room: tuple[str, str], requested: int) -> None:
        for pause in _CHECKS_AFTER_S:
            await asyncio.sleep(max(pause, _PAUSE_PER_CHECK * self._took.get(room, 0.0)))
            began = self.context.clock.monotonic()
            try:
                inspection = await self.inspector.inspect(*room)
            except UsherError as error:
                _log.warning("a room could not be checked", room=room[1], error=str(error))
                continue
            self._took[room] = self.context.clock.monotonic() - began
            if inspection.is_clear or self._requests[room] != requested:
                return


def _turns(interval_s: float) -> float:
    """Return how often to ask whose turn it is: more often than it is taken, to follow soon a replica that dies."""
    return min(interval_s, max(1.0, interval_s / 6))


def _heartbeat(context: Context) -> ServingHeartbeat:
    return ServingHeartbeat(context, lambda: to_heartbeat(own_state(context)))
