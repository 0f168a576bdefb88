"""Compares all rooms of LiveKit with the database, so that an outage costs delay and not callers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, bindparam, func, select

from app.db.any_of import any_of
from app.db.tables import dispatches, events, status_in
from app.db.types import LIVE
from app.errors import DatabaseUnavailableError, UsherError
from app.flows.accept.accept import Acceptance
from app.flows.arrival.inspect import Inspector
from app.flows.context import Context
from app.flows.sweep.stored_rooms import receives_webhooks
from app.flows.sweep.sweep_room import GRACE_S, Leftovers, Pace, RoomSweeper, Tally
from app.flows.transactions import Transactions
from app.flows.turns import BEAT_EVERY_S, TURN_SHARE, beat, keep_turn, last_detail, take_turn
from app.livekit.client import LiveKitClient, SeenRoom
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.participant.role import UNCOUNTED
from app.livekit.vocabulary import LEAVINGS, EventType, ParticipantKind
from app.logs import get_logger
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event

_log = get_logger(__name__)

ROOMS_PER_SECOND, SLOWEST_PER_SECOND = 200.0, 20.0
"""Usual and slowest pace of requests: 5,000 rooms take 25 s, which does not slow acknowledgements down.

While nothing is missing, the rooms are spread over half the interval. So many that they do not fit into it are swept
as fast as that takes, up to `MOST_PER_SECOND`.
"""
MOST_PER_SECOND = 500.0
"""Half a core, at 1 ms of processor time for each room: 20,000 rooms need an interval of 50 s."""
_SHARE_OF_INTERVAL = 0.8
"""Within which a pass of very many rooms is made: the rest is for checks of unclear ones."""
ROOMS_AT_ONCE = 16
"""Rooms whose callers are read and accepted together."""
CHECKS_AT_ONCE = 4
"""Unclear rooms that are checked at the same time."""
RETRY_S = 5.0
"""Delay before a sweep that failed because LiveKit did not answer is repeated, if the sweep interval is longer."""
_ROOMS_PER_QUERY = 500


class Sweeper:
    """Compares all rooms of all projects with the database; one replica at a time."""

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        inspector: Inspector,
        book: Callable[[], RuleBook],
        receive: Callable[[Event], Awaitable[Acceptance]],
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._rooms = RoomSweeper(context, transactions, book, receive)
        self._paces = {project: Pace(context.clock) for project in context.clients}
        self._swept_at: float | None = None
        self._is_calm = False
        self._stopping = False
        self._beaten_at = 0.0

    def stop(self) -> None:
        """End a sweep that is under way; the next replica, or the next start, sweeps again."""
        self._stopping = True

    async def run_once(self) -> dict[str, int]:
        """Sweep every project if it is this replica's turn; one whose LiveKit is down does not delay the others."""
        if self._has_just_swept() or not await self._context.writer.run(self._take_turn):
            return {"swept_in": 0}
        passes = (self._sweep_project(project, client) for project, client in self._context.clients.items())
        done = await asyncio.gather(*passes, return_exceptions=True)
        tallies = [one for one in done if isinstance(one, Tally)]
        for error in done:
            if isinstance(error, BaseException):
                raise error
        self._is_calm = not any(one.has_failed for one in tallies)
        if self._is_calm:
            self._rooms.forget_absent()
        await self._go_on(busy=False)
        return {"rooms": sum(one.rooms for one in tallies), "swept_in": sum(one.swept_in for one in tallies)}

    async def _sweep_project(self, project: str, client: LiveKitClient) -> Tally:
        tally = Tally()
        try:
            await self._sweep(project, client, tally)
        except LiveKitUnavailableError as error:
            tally.has_failed = True
            self._context.metrics.sweeps.labels(project, "failed").inc()
            _log.warning("LiveKit could not be swept", project=project, error=str(error), advice=error.advice)
            await self._report(project, tally, error=str(error))
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect with one project must not keep the others from being swept
            self._context.metrics.sweeps.labels(project, "failed").inc()
            self._context.defects.note("sweep", error, project=project)
            await self._report(project, tally, error=f"defect: {type(error).__name__}: {error}")
        else:
            self._context.metrics.sweeps.labels(project, "done").inc()
            self._context.metrics.swept_in.labels(project).inc(tally.swept_in)
            await self._report(project, tally)
        return tally

    def _take_turn(self, connection: Connection) -> bool:
        # The first sweep after a start waits for no interval: it finds what was left behind.
        interval = 0.0 if self._swept_at is None else self._context.settings.sweep_interval
        if not self._is_calm:
            interval = min(interval, RETRY_S)
        turn = take_turn(connection, self._context.owner, self._context.clock.now(), interval)
        self._swept_at = self._context.clock.monotonic() if turn else self._swept_at
        return turn

    def _has_just_swept(self) -> bool:
        """Return whether there is no need to ask the database, of which no other replica can sweep: it takes 9 ms."""
        if self._swept_at is None or not self._is_calm or not self._context.writer.is_embedded:
            return False
        since = self._context.clock.monotonic() - self._swept_at
        return since < self._context.settings.sweep_interval * TURN_SHARE

    async def _sweep(self, project: str, client: LiveKitClient, tally: Tally) -> None:
        """Accept unreported callers, then those too young or unanswered before, then check what is unclear."""
        rooms = await client.list_rooms()
        tally.rooms = len(rooms)
        unlisted = await self._context.read(
            lambda connection: _unlisted(connection, project, {room.sid for room in rooms})
        )
        waiting, others = await self._split(project, rooms)
        pace = self._paces[project]
        pace.pause_s = fastest_pause(len(rooms), self._context.settings.sweep_interval)
        left = await self._sweep_twice(project, client, waiting, tally)
        if self._is_calm and not waiting:
            spread = self._context.settings.sweep_interval / 2 / max(1, len(others))
            pace.pause_s = min(max(pace.pause_s, spread), 1 / SLOWEST_PER_SECOND)
        left.add(await self._sweep_twice(project, client, others, tally))
        names = dict.fromkeys((*(room.name for room in left.unclear.values()), *unlisted))
        await self._check(project, client, names, tally)

    async def _sweep_twice(
        self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally
    ) -> Leftovers:
        """Sweep rooms, and a little later again those with a participant too young to judge or without an answer."""
        left = await self._sweep_rooms(project, client, rooms, tally)
        again, left.again = list(left.again.values()), {}
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
            left.add(await self._sweep_batch(project, client, rooms[first : first + ROOMS_AT_ONCE], tally))
            await self._go_on(busy=True)
        return left

    async def _sweep_batch(
        self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally
    ) -> Leftovers:
        """Sweep rooms together; after a defect one by one, so that it costs the room that it is about."""
        try:
            return await self._rooms.sweep(project, client, rooms, tally, self._paces[project])
        except UsherError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect with one room must not keep the others from being swept
            if len(rooms) == 1:
                self._context.defects.note("sweep", error, room=rooms[0].name)
                return Leftovers()
        left = Leftovers()
        for room in rooms:
            left.add(await self._sweep_batch(project, client, [room], tally))
        return left

    async def _split(self, project: str, rooms: Sequence[SeenRoom]) -> tuple[list[SeenRoom], list[SeenRoom]]:
        """Return the rooms with more participants than events reported, and the others."""
        known: dict[str, int] = {}
        for first in range(0, len(rooms), _ROOMS_PER_QUERY):
            sids = [room.sid for room in rooms[first : first + _ROOMS_PER_QUERY]]
            known |= await self._context.read(partial(_present_callers, project=project, sids=sids))
        waiting = [room for room in rooms if room.num_participants > known.get(room.sid, 0)]
        return waiting, [room for room in rooms if room.num_participants <= known.get(room.sid, 0)]

    async def _check(self, project: str, client: LiveKitClient, names: Iterable[str], tally: Tally) -> None:
        """Check rooms, few at once; one that fails does not delay the others."""
        waiting = deque(names)

        async def check_next() -> None:
            while waiting and not self._stopping:
                _require_answers(client)
                room_name = waiting.popleft()
                await self._paces[project].wait()
                try:
                    inspection = await self._inspector.inspect(project, room_name)
                    self._rooms.note_settled(project, inspection.settled)
                except UsherError as error:
                    tally.unanswered += 1
                    _log.debug("a room could not be checked", room=room_name, error=str(error))
                except Exception as error:  # noqa: BLE001 - a defect with one room must not keep the others from being swept
                    self._context.defects.note("check", error, room=room_name)
                await self._go_on(busy=True)

        await asyncio.gather(*(check_next() for _ in range(CHECKS_AT_ONCE)))

    async def _go_on(self, *, busy: bool) -> None:
        """Renew this replica's turn when that is due."""
        tick = self._context.clock.monotonic()
        if busy and tick - self._beaten_at < BEAT_EVERY_S:
            return
        self._beaten_at = tick
        now, owner = self._context.clock.now(), self._context.owner
        await self._context.writer.run(lambda connection: keep_turn(connection, owner, now, busy=busy))

    async def _report(self, project: str, tally: Tally, error: str | None = None) -> None:
        """Store what was found, and whether LiveKit sends no webhooks; until one arrives again."""
        now = self._context.clock.now()
        component = f"sweep:{project}"

        def write(connection: Connection) -> int:
            silent = int(last_detail(connection, component, "").get("untold") or 0)
            if silent and not tally.unreported and receives_webhooks(connection, project):
                silent = 0
            untold = silent + tally.unreported
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
        if tally.unreported:
            _log.error(
                "LiveKit has participants that no webhook reported: is this Usher set as its webhook URL?",
                project=project,
                joins=untold,
            )


def fastest_pause(rooms: int, interval_s: float) -> float:
    """Return the shortest pause between two requests of a pass over so many rooms."""
    fitting = _SHARE_OF_INTERVAL * interval_s / max(1, rooms)
    return max(1 / MOST_PER_SECOND, min(1 / ROOMS_PER_SECOND, fitting))


def _require_answers(client: LiveKitClient) -> None:
    """Raise `LiveKitUnavailableError` if LiveKit has stopped answering: each further room would cost a timeout."""
    if client.is_down and client.trouble is not None:
        raise LiveKitUnavailableError(f"all of the latest calls have failed: {client.trouble.text}")


def _unlisted(connection: Connection, project: str, present: Collection[str]) -> set[str]:
    """Return the names of the rooms of live dispatches that LiveKit did not list."""
    query = select(dispatches.c.room_name, dispatches.c.room_sid).where(
        dispatches.c.project == project, status_in(*LIVE)
    )
    return {name for name, sid in connection.execute(query) if sid not in present}


_REPORTED = (
    select(events.c.room_sid, events.c.type, func.count(events.c.participant_sid.distinct()))
    .with_hint(events, "INDEXED BY ix_events_room_sid", "sqlite")
    .where(
        any_of(events.c.room_sid, "sids"),
        events.c.project == bindparam("project"),
        events.c.type.in_([EventType.PARTICIPANT_JOINED, *LEAVINGS]),
        events.c.participant_role.not_in(UNCOUNTED),
        # Events of before roles were stored have a kind only.
        events.c.participant_kind.not_in([ParticipantKind.AGENT, ParticipantKind.EGRESS]),
    )
    .group_by(events.c.room_sid, events.c.type)
)


def _present_callers(connection: Connection, project: str, sids: Sequence[str]) -> dict[str, int]:
    """Return, by room session, how many callers are in it according to the stored events."""
    known: dict[str, int] = {}
    for sid, event_type, callers in connection.execute(_REPORTED, {"sids": sids, "project": project}):
        known[sid] = known.get(sid, 0) + (-callers if event_type in LEAVINGS else callers)
    return known
