"""Flow 4: what LiveKit has is held against what we know, so that an outage costs delay and not callers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, bindparam, func, select

from app.db.any_of import any_of
from app.db.tables import LIVE, dispatches, events
from app.db.types import EventSource
from app.errors import UsherError
from app.flows.accept.accept import Acceptance
from app.flows.arrival.inspect import Inspector
from app.flows.context import Context
from app.flows.sweep.sweep_room import GRACE_S, Leftovers, RoomSweeper, Tally
from app.flows.transactions import Transactions
from app.flows.turns import BEAT_EVERY_S, beat, keep_turn, last_detail, take_turn
from app.livekit.client import LiveKitClient, SeenRoom
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.vocabulary import LEAVINGS, MACHINE_KINDS, EventType
from app.logs import get_logger
from app.webhook.event import Event

_log = get_logger(__name__)

ROOMS_PER_SECOND, SLOWEST_PER_SECOND = 200.0, 20.0
"""How gently LiveKit is asked at most: 5,000 rooms take 25 s, and acknowledgements keep their pace meanwhile.

While all is well, the rooms are spread over half the interval.
"""
ROOMS_AT_ONCE = 16
"""Rooms whose callers are read and accepted together."""
LOOKS_AT_ONCE = 4
AGAIN_S = 5.0
"""A sweep that LiveKit ended by giving no answers is begun anew so soon, where the interval is longer."""
_ROOMS_PER_QUESTION = 500


class Sweeper:
    """Compares all rooms of all projects with the database; one replica at a time."""

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        inspector: Inspector,
        receive: Callable[[Event], Awaitable[Acceptance]],
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._rooms = RoomSweeper(context, transactions, receive, self._pace)
        self._has_swept = False
        self._is_calm = False
        self._stopping = False
        self._pause_s = 0.0
        self._next_at = 0.0
        self._beaten_at = 0.0

    def stop(self) -> None:
        """End a sweep that is under way: the next replica, or the next start, takes it up."""
        self._stopping = True

    async def run_once(self) -> dict[str, int]:
        """Sweep every project if it is this replica's turn; one that is down does not keep the others waiting."""
        if not await self._context.writer.run(self._take_turn):
            return {"swept_in": 0}
        totals = {"rooms": 0, "swept_in": 0}
        has_failed = False
        for project, client in self._context.clients.items():
            tally = Tally()
            try:
                await self._sweep(project, client, tally)
            except LiveKitUnavailableError as error:
                has_failed = True
                self._context.metrics.sweeps.labels(project, "failed").inc()
                _log.warning(
                    "LiveKit could not be swept; compare LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET with it",
                    project=project,
                    error=str(error),
                )
                await self._report(project, tally, error=str(error))
                continue
            self._context.metrics.sweeps.labels(project, "done").inc()
            self._context.metrics.swept_in.labels(project).inc(tally.swept_in)
            await self._report(project, tally)
            totals["rooms"] += tally.rooms
            totals["swept_in"] += tally.swept_in
        self._is_calm = not has_failed
        await self._go_on(busy=False)
        return totals

    def _take_turn(self, connection: Connection) -> bool:
        # The first sweep after a start waits for nobody's turn: it takes up what was left behind.
        interval = self._context.settings.sweep_interval if self._has_swept else 0.0
        if not self._is_calm:
            interval = min(interval, AGAIN_S)
        turn = take_turn(connection, self._context.owner, self._context.clock.now(), interval)
        self._has_swept = self._has_swept or turn
        return turn

    async def _sweep(self, project: str, client: LiveKitClient, tally: Tally) -> None:
        """Take in who waits unseen, then whoever was too young or gave no answer, then look into what is unclear."""
        rooms = await client.list_rooms()
        tally.rooms = len(rooms)
        unlisted = await self._context.writer.run(
            lambda connection: _unlisted(connection, project, {room.sid for room in rooms})
        )
        tally.unseen_rooms = len(unlisted)
        waiting, others = await self._split(project, rooms)
        self._pause_s = 1 / ROOMS_PER_SECOND
        left = await self._sweep_twice(project, client, waiting, tally)
        if self._is_calm and not waiting:
            spread = self._context.settings.sweep_interval / 2 / max(1, len(others))
            self._pause_s = min(max(self._pause_s, spread), 1 / SLOWEST_PER_SECOND)
        left.add(await self._sweep_twice(project, client, others, tally))
        names = dict.fromkeys((*(room.name for room in left.unclear), *unlisted))
        await self._look_into(project, client, names, tally)

    async def _sweep_twice(
        self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally
    ) -> Leftovers:
        """Sweep rooms, and a little later once more those with somebody too young or without an answer."""
        left = await self._sweep_rooms(project, client, rooms, tally)
        again, left.again = left.again, []
        if again and not self._stopping:
            await asyncio.sleep(GRACE_S)
            tally.unanswered = 0
            left.add(await self._sweep_rooms(project, client, again, tally))
        return left

    async def _sweep_rooms(
        self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally
    ) -> Leftovers:
        left = Leftovers()
        for first in range(0, len(rooms), ROOMS_AT_ONCE):
            if self._stopping:
                break
            _require_answers(client)
            left.add(await self._rooms.sweep(project, client, rooms[first : first + ROOMS_AT_ONCE], tally))
            await self._go_on(busy=True)
        return left

    async def _split(self, project: str, rooms: Sequence[SeenRoom]) -> tuple[list[SeenRoom], list[SeenRoom]]:
        """Return the rooms in which there are more people than we were told of, and the others."""
        told: dict[str, int] = {}
        for first in range(0, len(rooms), _ROOMS_PER_QUESTION):
            sids = [room.sid for room in rooms[first : first + _ROOMS_PER_QUESTION]]
            told |= await self._context.writer.run(partial(_told_of, project=project, sids=sids))
        waiting = [room for room in rooms if room.num_participants > told.get(room.sid, 0)]
        return waiting, [room for room in rooms if room.num_participants <= told.get(room.sid, 0)]

    async def _look_into(self, project: str, client: LiveKitClient, names: Iterable[str], tally: Tally) -> None:
        """Inspect rooms, few at once; one that fails does not keep the others."""
        waiting = deque(names)

        async def work_off() -> None:
            while waiting and not self._stopping:
                _require_answers(client)
                room_name = waiting.popleft()
                await self._pace()
                try:
                    await self._inspector.inspect(project, room_name)
                except UsherError as error:
                    tally.unanswered += 1
                    _log.debug("a room could not be looked at", room=room_name, error=str(error))
                except Exception:  # noqa: BLE001 - a defect over one room must not cost the others their sweep
                    _log.exception("a room could not be looked at", room=room_name)
                await self._go_on(busy=True)

        await asyncio.gather(*(work_off() for _ in range(LOOKS_AT_ONCE)))

    async def _pace(self) -> None:
        """Wait for the turn of the next question to LiveKit."""
        tick = self._context.clock.monotonic()
        due = max(tick, self._next_at)
        self._next_at = due + self._pause_s
        await asyncio.sleep(due - tick)

    async def _go_on(self, *, busy: bool) -> None:
        """Tell the other replicas now and then that this one is at it."""
        tick = self._context.clock.monotonic()
        if busy and tick - self._beaten_at < BEAT_EVERY_S:
            return
        self._beaten_at = tick
        now, owner = self._context.clock.now(), self._context.owner
        await self._context.writer.run(lambda connection: keep_turn(connection, owner, now, busy=busy))

    async def _report(self, project: str, tally: Tally, error: str | None = None) -> None:
        """Write down what was found, and whether the webhooks are silent: until one comes again."""
        now = self._context.clock.now()
        component = f"sweep:{project}"

        def write(connection: Connection) -> int:
            silent = int(last_detail(connection, component, "").get("untold") or 0)
            if silent and not tally.untold and _was_told(connection, project):
                silent = 0
            untold = silent + tally.untold
            detail = {
                "rooms": tally.rooms,
                "swept_in": tally.swept_in,
                "updated": tally.updated,
                "untold": untold,
                "revived": tally.revived,
                "unanswered": tally.unanswered,
                "error": error,
            }
            beat(connection, component, "", now, detail)
            return untold

        untold = await self._context.writer.run(write)
        self._context.metrics.webhooks_silent.labels(project).set(1 if untold else 0)
        if tally.untold:
            _log.error(
                "LiveKit has joins it never told of: is this Usher set as its webhook URL?",
                project=project,
                joins=untold,
            )


def _require_answers(client: LiveKitClient) -> None:
    """Raise `LiveKitUnavailableError` if LiveKit has stopped to answer: each room more would cost a time-out."""
    if client.is_down:
        raise LiveKitUnavailableError("no answer to any of the latest calls")


def _unlisted(connection: Connection, project: str, present: Collection[str]) -> set[str]:
    """Return the names of the rooms of live dispatches that LiveKit did not list."""
    query = select(dispatches.c.room_name, dispatches.c.room_sid).where(
        dispatches.c.project == project, dispatches.c.status.in_(LIVE)
    )
    return {name for name, sid in connection.execute(query) if sid not in present}


_HEARD = (
    select(events.c.room_sid, events.c.type, func.count(events.c.participant_sid.distinct()))
    .with_hint(events, "INDEXED BY ix_events_room_sid_type", "sqlite")
    .where(
        any_of(events.c.room_sid, "sids"),
        events.c.project == bindparam("project"),
        events.c.type.in_([EventType.PARTICIPANT_JOINED, *LEAVINGS]),
        events.c.participant_kind.not_in(MACHINE_KINDS),
    )
    .group_by(events.c.room_sid, events.c.type)
)


def _told_of(connection: Connection, project: str, sids: Sequence[str]) -> dict[str, int]:
    """Return, by room session, how many people are in it as far as we were told."""
    told: dict[str, int] = {}
    for sid, event_type, people in connection.execute(_HEARD, {"sids": sids, "project": project}):
        told[sid] = told.get(sid, 0) + (-people if event_type in LEAVINGS else people)
    return told


def _was_told(connection: Connection, project: str) -> bool:
    """Return whether the latest event came by webhook: LiveKit tells again."""
    query = select(events.c.source).where(events.c.project == project).order_by(events.c.id.desc()).limit(1)
    return connection.execute(query).scalar() == EventSource.WEBHOOK
