"""Flow 4: what LiveKit has is held against what we know, so that an outage costs delay and not callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from app.db.tables import LIVE, dispatches, events
from app.db.types import EventSource
from app.dispatch.client import LiveKitClient, SeenRoom
from app.dispatch.outcome import LiveKitUnavailableError
from app.errors import UsherError
from app.logs import get_logger
from app.pipeline.accept import Acceptance
from app.pipeline.context import Context
from app.pipeline.heartbeat import beat, go_on_sweeping, last_detail, take_turn
from app.pipeline.inspect import Inspector
from app.pipeline.sweep_room import GRACE_S, RoomSweeper, Tally
from app.webhook.event import Event

_log = get_logger(__name__)

ROOMS_PER_SECOND = 200.0
ROOMS_AT_ONCE = 4
"""How gently LiveKit is asked: 5,000 rooms take 25 s, and acknowledgements keep their pace meanwhile."""
UNANSWERED_LIMIT = 20
"""So many rooms in a row that LiveKit does not answer for end a sweep: it is down, and each would cost a time-out."""
_BEAT_EVERY_S = 5.0


class Sweeper:
    """Compares all rooms of all projects with the database; one replica at a time."""

    def __init__(
        self, context: Context, inspector: Inspector, receive: Callable[[Event], Awaitable[Acceptance]]
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._rooms = RoomSweeper(context, inspector, receive)
        self._has_swept = False
        self._unanswered = 0
        self._beaten_at = 0.0

    async def run_once(self) -> dict[str, int]:
        """Sweep every project if it is this replica's turn; one that is down does not keep the others waiting."""
        if not await self._context.writer.run(self._take_turn):
            return {"swept_in": 0}
        totals = {"rooms": 0, "swept_in": 0}
        for project, client in self._context.clients.items():
            tally = Tally()
            try:
                await self._sweep(project, client, tally)
            except LiveKitUnavailableError as error:
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
        await self._go_on(busy=False)
        return totals

    def _take_turn(self, connection: Connection) -> bool:
        # The first sweep after a start waits for nobody's turn: it takes up what was left behind.
        interval = self._context.settings.sweep_interval if self._has_swept else 0.0
        turn = take_turn(connection, self._context.owner, self._context.clock.now(), interval)
        self._has_swept = self._has_swept or turn
        return turn

    async def _sweep(self, project: str, client: LiveKitClient, tally: Tally) -> None:
        self._unanswered = 0
        rooms = await client.list_rooms()
        tally.rooms = len(rooms)
        unlisted = await self._context.writer.run(
            lambda connection: _unlisted(connection, project, {room.sid for room in rooms})
        )
        tally.unseen_rooms = len(unlisted)
        await self._gently(tally, (partial(self._inspector.inspect, project, name) for name in unlisted))
        again: list[SeenRoom] = []

        async def one(room: SeenRoom) -> None:
            try:
                if await self._rooms.sweep(project, client, room, tally):
                    again.append(room)
            except UsherError:
                again.append(room)
                raise

        await self._gently(tally, (partial(one, room) for room in rooms))
        if again:
            await asyncio.sleep(GRACE_S)
            tally.unanswered = 0
            await self._gently(tally, (partial(one, room) for room in tuple(again)))

    async def _gently(self, tally: Tally, works: Iterable[Callable[[], Awaitable[Any]]]) -> None:
        """Do all `works`, few at once and not faster than the limit; one that fails does not keep the others.

        Raises `LiveKitUnavailableError` when LiveKit has stopped to answer altogether.
        """
        waiting = list(reversed(list(works)))

        async def work_off() -> None:
            while waiting and self._unanswered < UNANSWERED_LIMIT:
                work = waiting.pop()
                try:
                    await work()
                except UsherError as error:
                    self._unanswered += 1
                    tally.unanswered += 1
                    _log.debug("a room could not be swept", error=str(error))
                except Exception:  # noqa: BLE001 - a defect over one room must not cost the others their sweep
                    _log.exception("a room could not be swept")
                else:
                    self._unanswered = 0
                await self._go_on(busy=True)
                await asyncio.sleep(ROOMS_AT_ONCE / ROOMS_PER_SECOND)

        await asyncio.gather(*(work_off() for _ in range(min(ROOMS_AT_ONCE, len(waiting)))))
        if self._unanswered >= UNANSWERED_LIMIT:
            raise LiveKitUnavailableError(f"no answer for {self._unanswered} rooms in a row")

    async def _go_on(self, *, busy: bool) -> None:
        """Tell the other replicas now and then that this one is at it."""
        tick = self._context.clock.monotonic()
        if busy and tick - self._beaten_at < _BEAT_EVERY_S:
            return
        self._beaten_at = tick
        now, owner = self._context.clock.now(), self._context.owner
        await self._context.writer.run(lambda connection: go_on_sweeping(connection, owner, now, busy=busy))

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


def _unlisted(connection: Connection, project: str, present: Collection[str]) -> set[str]:
    """Return the names of the rooms of live dispatches that LiveKit did not list."""
    query = select(dispatches.c.room_name, dispatches.c.room_sid).where(
        dispatches.c.project == project, dispatches.c.status.in_(LIVE)
    )
    return {name for name, sid in connection.execute(query) if sid not in present}


def _was_told(connection: Connection, project: str) -> bool:
    """Return whether the latest event came by webhook: LiveKit tells again."""
    query = select(events.c.source).where(events.c.project == project).order_by(events.c.id.desc()).limit(1)
    return connection.execute(query).scalar() == EventSource.WEBHOOK
