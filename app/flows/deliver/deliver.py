"""Claims what is due, calls LiveKit with no transaction open, and settles."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from app.clock import jitter
from app.db.types import Cause, DispatchStatus, replaces_agents
from app.errors import DatabaseUnavailableError, WriteRefusedError
from app.flows.context import Context
from app.flows.deliver.call_queue import CallQueue
from app.flows.deliver.call_slots import CallSlots
from app.flows.deliver.claim import Claimed, claim
from app.flows.deliver.precheck import still_to_send
from app.flows.deliver.recovery import Recovery
from app.flows.deliver.room_checks import RoomChecks
from app.flows.deliver.settle import settle
from app.flows.deliver.start_limiter import StartLimiter
from app.flows.elapsed_time import ElapsedTime
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.presence import FRESH_S
from app.lifecycle.retry import delay_of_check
from app.lifecycle.settling import Settlement, is_held
from app.lifecycle.transition import move
from app.livekit.client import DispatchRequest, LiveKitClient
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.vocabulary import RestartPolicy
from app.logs import get_logger
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE, Dispatch
from app.outbox.dispatch_factory import given_back
from app.outbox.dispatch_store import read_locked, release
from app.outbox.move import Move
from app.translation import recorded

_log = get_logger(__name__)

STORE_AGAIN_S = 0.5
"""Delay before the outcome of a call is stored again while the database does not answer."""
QUEUED_PER_CALL = 64
"""Dispatches that may be queued in memory per call slot; one that is claimed instead costs two requests to LiveKit and
two transactions more."""
QUEUED_S = 10.0
"""Longest stay in that queue: a caller who leaves meanwhile is reported by a webhook. After that LiveKit is asked."""


class Deliverer:
    """Sends dispatches to LiveKit: new ones of this process at once, all others when they are due."""

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        limiter: StartLimiter,
        elapsed_time: ElapsedTime,
    ) -> None:
        self._context = context
        self._transactions = transactions
        self._limiter = limiter
        self._elapsed_time = elapsed_time
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._queue = CallQueue(context.settings.calls_in_flight)
        self._busy = Counter[str]()
        self._again = Counter[str]()
        self._calls = defaultdict[str, CallSlots](partial(CallSlots, context.settings.calls_in_flight))
        self._room_checks = RoomChecks(context)
        self._turn = 0
        self._recovery = Recovery(context, limiter)
        self._stopping = False
        self.has_queue = False
        """Whether callers waited for a place with an agent at the last claim."""
        self._settle = transactions.batched(
            partial(_settle_batch, context), background=True, project_of=lambda one: one.dispatch.project
        )

    def free_slots(self, project: str) -> int:
        """Return how many more new dispatches of a project this process may take; read from the writer thread too.

        Each project has its own slots: one whose LiveKit hangs must not delay the others. While it is down there are
        none: what comes is claimed in the order of joining, by few at once.
        """
        client = self._context.clients.get(project)  # None: an event of a project that is not configured any more
        if self._stopping or self._limiter.paced or (client is not None and client.is_down):
            return 0
        return max(0, self._context.settings.calls_in_flight * QUEUED_PER_CALL - self._busy[project])

    def in_hand(self) -> Collection[str]:
        """Return the ids of the dispatches that are being delivered; called from the writer thread, too."""
        return tuple(self._in_hand)

    def slots_in_use(self, project: str) -> tuple[int, int]:
        """Return how many dispatches of a project are being delivered, and how many of them not for the first time."""
        return self._busy[project], self._again[project]

    def submit(self, dispatches: Iterable[Dispatch]) -> None:
        """Send new dispatches without asking LiveKit first: their webhooks prove that the callers are there."""
        now = self._context.clock.monotonic()
        for dispatch in dispatches:
            if self._is_fresh(dispatch):
                self._queue.enter(dispatch, now)
            self._begin(dispatch, again=False)

    async def back_pressure(self, project: str, room: str) -> None:
        """Return when the project's queue of first calls has place for more of the room, or after a moment."""
        await self._queue.back_pressure(project, room)

    def recheck_presence(self, dispatches: Iterable[Dispatch]) -> None:
        """Check LiveKit before sending these: a later transaction cancelled them while they were queued."""
        for dispatch in dispatches:
            self._queue.leave(dispatch)

    async def run_once(self) -> dict[str, int]:
        """Claim what is due while slots are free, and start to deliver it."""
        total = 0
        while not self._stopping and self._limiter.available(self._context.clock.monotonic()):
            await self._recovery.hasten()
            # First calls do not count: there may be many, and retries must not wait for all of them.
            slots, down = self._recovery.slots(self._in_turn(), self._again)
            if not slots:
                break
            claimed = await self._claim(slots, down)
            self._recovery.note_probes(one for one in claimed.dispatches if one.project in down)
            self.has_queue = claimed.has_queue
            for dispatch in claimed.dispatches:
                self._begin(dispatch, again=True)
            total += len(claimed.dispatches)
            if not claimed.more:
                break
            if len(claimed.dispatches) >= max(slots.values()):
                tasks = [self._in_hand[one.id] for one in claimed.dispatches]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            else:
                await self._limiter.wait_for_some()
        # While one of these is not 0 the next round follows soon: a limit that plain SQL raises moves the queue.
        return {"claimed": total, "queues": int(self.has_queue), "recovering": self._recovery.unsettled}

    def _in_turn(self) -> list[str]:
        """Return the projects, another first each time: what calls per second leave over goes to the first."""
        projects = list(self._context.clients)
        self._turn = (self._turn + 1) % max(1, len(projects))
        return projects[self._turn :] + projects[: self._turn]

    async def _claim(self, slots: Mapping[str, int], down: Collection[str]) -> Claimed:
        def write(connection: Connection, after: AfterCommit) -> Claimed:
            # Read here, for a hang may have ended the leases of what was begun while this waited for the writer.
            return claim(
                connection,
                after,
                self._context,
                self._limiter,
                self._elapsed_time,
                slots=slots,
                down=down,
                in_hand=self.in_hand(),
            )

        return await self._transactions.run(write)

    def stop(self) -> None:
        """Start no more calls."""
        self._stopping = True

    async def drain(self, timeout_s: float) -> None:
        """Start no more calls, wait for those under way, then end the leases of this process."""
        self.stop()
        if self._in_hand:
            await asyncio.wait(self._in_hand.values(), timeout=timeout_s)
        now = self._context.clock.now()
        try:
            await self._context.writer.run(lambda connection: release(connection, self._context.owner, now))
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            _log.warning("leases could not be handed back; they end by themselves", error=str(error))

    def _begin(self, dispatch: Dispatch, *, again: bool) -> None:
        task = asyncio.create_task(self._deliver(dispatch, again=again))
        self._in_hand[dispatch.id] = task
        self._busy[dispatch.project] += 1
        self._again[dispatch.project] += again
        task.add_done_callback(partial(self._end, dispatch, again=again))

    def _end(self, dispatch: Dispatch, task: asyncio.Task[None], *, again: bool) -> None:
        self._busy[dispatch.project] -= 1
        self._again[dispatch.project] -= again
        if self._in_hand.get(dispatch.id) is task:
            del self._in_hand[dispatch.id]
            self._queue.leave(dispatch)

    async def _deliver(self, dispatch: Dispatch, *, again: bool) -> None:
        log = _log.bind(dispatch_id=dispatch.id, event_id=dispatch.event_id, agent=dispatch.agent_to_ask)
        try:
            client = self._context.clients.get(dispatch.project)
            if client is None:
                log.error("the dispatch's LiveKit project is not configured any more", project=dispatch.project)
                return
            settlement: Settlement | None = None
            async with self._calls[dispatch.project].slot(dispatch.room_name, again=again):
                held: Dispatch | None = dispatch
                if not again and client.is_down and client.trouble is not None:
                    # It was queued when LiveKit went down, and would be served before those that joined earlier.
                    await self._postpone(dispatch, client.trouble.text, is_down=True)
                    held = None
                elif not self._is_known_present(dispatch):
                    held = await self._still_wanted(dispatch, client)
                if held is not None:
                    await self._limiter.wait_for_call()
                    settlement = await self._call(held, client)
            if settlement is not None:
                await self._store(settlement)
        except (DatabaseUnavailableError, WriteRefusedError) as error:
            # The lease runs out, and the next claim checks LiveKit first: nothing is lost, nothing is repeated.
            log.warning("a delivery could not be stored yet", error=str(error))
        except Exception as error:  # noqa: BLE001 - a defect with one dispatch must not keep the others from being sent
            self._context.defects.note("deliver", error, dispatch_id=dispatch.id, agent=dispatch.agent_to_ask)

    def _is_known_present(self, dispatch: Dispatch) -> bool:
        """Return whether the webhook that created `dispatch` still proves that its caller is there."""
        queued_at = self._queue.leave(dispatch)
        return queued_at is not None and self._context.clock.monotonic() - queued_at < QUEUED_S

    def _is_fresh(self, dispatch: Dispatch) -> bool:
        # After a commit that had to wait for the database, the caller's leaving may be queued behind it.
        return (self._context.clock.now() - dispatch.created_at).total_seconds() < FRESH_S

    async def _still_wanted(self, dispatch: Dispatch, client: LiveKitClient) -> Dispatch | None:
        """Return the dispatch with a new lease if it is to be sent: session and caller are there, the agent is not."""
        try:
            comparison = await self._room_checks.check(dispatch, client)
        except LiveKitUnavailableError as error:
            await self._postpone(dispatch, str(error), is_down=client.is_down)
            return None
        return await self._transactions.run(
            lambda connection, after: still_to_send(connection, after, self._context, dispatch, comparison),
            project=dispatch.project,
        )

    async def _postpone(self, dispatch: Dispatch, why: str, *, is_down: bool) -> None:
        now = self._context.clock.now()
        waited = max(0.0, (now - dispatch.created_at).total_seconds())
        due = now + timedelta(seconds=delay_of_check(waited, jitter(), is_down=is_down))

        def write(connection: Connection, after: AfterCommit) -> None:
            current = read_locked(connection, [dispatch.id]).get(dispatch.id)
            if current is None or not is_held(current, dispatch):
                return
            change = Move(
                current,
                DispatchStatus.PENDING,
                Cause.LIVEKIT_UNREACHABLE,
                f"{recorded('LiveKit cannot be asked')}: {why}",
                fields=given_back(current, due),
            )
            move(connection, after, [change], now)

        await self._transactions.run(write, project=dispatch.project)

    async def _call(self, dispatch: Dispatch, client: LiveKitClient) -> Settlement | None:
        attributes = {**dispatch.attributes, DISPATCH_ID_ATTRIBUTE: dispatch.id}
        request = DispatchRequest(
            room_name=dispatch.room_name,
            agent_name=dispatch.agent_to_ask,
            metadata=dispatch.metadata,
            attributes=attributes,
            deployment=dispatch.deployment,
            restart_policy=RestartPolicy.of(is_replaced_by_us=replaces_agents(dispatch.recover, dispatch.min_stay_s)),
        )
        started_at = self._context.clock.now()
        latest = started_at + timedelta(seconds=self._context.settings.request_timeout)
        if dispatch.lease_until is None or latest > dispatch.lease_until:
            return None  # so late that another replica may claim it during the call: it will, and checks first
        if dispatch.attempts == 1:
            waited = (started_at - dispatch.created_at).total_seconds()
            self._context.metrics.seconds_to_call.observe(max(0.0, waited))
        outcome = await client.create_dispatch(request)
        return Settlement(dispatch, outcome, started_at, self._context.clock.now())

    async def _store(self, settlement: Settlement) -> None:
        """Store how a call turned out; retried while the database does not answer and the lease is ours."""
        while True:
            try:
                return await self._settle(settlement)
            except DatabaseUnavailableError:
                until = settlement.dispatch.lease_until
                if self._stopping or until is None or self._context.clock.now() >= until:
                    raise
                await asyncio.sleep(STORE_AGAIN_S)


def _settle_batch(
    context: Context, connection: Connection, after: AfterCommit, settlements: Sequence[Settlement]
) -> list[None]:
    settle(connection, after, context, settlements)
    return [None] * len(settlements)
