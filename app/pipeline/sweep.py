"""Flow 4: what LiveKit has is held against what we know, so that an outage costs delay and not callers."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from app.clock import new_id
from app.db.tables import LIVE, dispatches, events, heartbeats
from app.db.types import DispatchStatus, EventSource
from app.dispatch.client import LiveKitClient, SeenParticipant, SeenRoom
from app.dispatch.outcome import LiveKitUnavailableError
from app.dispatch.retry import TROUBLE_REASON
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.store import Move, insert_or_ignore, live_by_intent, waiting_callers
from app.pipeline.accept import Acceptance
from app.pipeline.context import Context
from app.pipeline.departure import fresh
from app.pipeline.inspect import Inspector
from app.pipeline.serve import JOINS
from app.pipeline.transition import count, move
from app.webhook.event import Event
from app.webhook.parse import build_event, join_key, leave_out

_log = get_logger(__name__)

GRACE_S = 3.0
"""A participant this young may still be told of by its webhook."""

ROOMS_PER_SECOND = 200.0
ROOMS_AT_ONCE = 4
"""How gently LiveKit is asked: 5,000 rooms take 25 s, and acknowledgements keep their pace meanwhile."""

_SERVICE_KINDS = frozenset({"AGENT", "EGRESS", "INGRESS"})
_SWEEP_LOCK = 0x75736865  # "ushe": one sweeper at a time on PostgreSQL


@dataclass(slots=True)
class _Tally:
    rooms: int = 0
    swept_in: int = 0
    updated: int = 0
    untold: int = 0
    unseen_rooms: int = 0
    revived: int = 0


class Sweeper:
    """Compares all rooms of all projects with the database; one replica at a time."""

    def __init__(
        self, context: Context, inspector: Inspector, receive: Callable[[Event], Awaitable[Acceptance]]
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._receive = receive
        self._has_swept = False

    async def run_once(self) -> dict[str, int]:
        """Sweep every project; one that cannot be reached does not keep the others waiting."""
        now = self._context.clock.now()
        turn = await self._context.writer.run(lambda connection: self._take_turn(connection, now))
        if not turn:
            return {"swept_in": 0}
        totals = {"rooms": 0, "swept_in": 0}
        for project, client in self._context.clients.items():
            tally = _Tally()
            try:
                await self._sweep(project, client, tally)
            except LiveKitUnavailableError as error:
                self._context.metrics.sweeps.labels(project, "failed").inc()
                _log.warning(
                    "LiveKit could not be swept; compare LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET with it",
                    project=project,
                    error=str(error),
                )
                await self._beat(project, tally, error=str(error))
                continue
            self._context.metrics.sweeps.labels(project, "done").inc()
            self._context.metrics.swept_in.labels(project).inc(tally.swept_in)
            self._context.metrics.webhooks_silent.labels(project).set(1 if tally.untold else 0)
            if tally.untold:
                _log.error(
                    "LiveKit has joins it never told of: is this Usher set as its webhook URL?",
                    project=project,
                    joins=tally.untold,
                )
            await self._beat(project, tally)
            totals["rooms"] += tally.rooms
            totals["swept_in"] += tally.swept_in
        return totals

    def _take_turn(self, connection: Connection, now: datetime) -> bool:
        """Return whether it is this replica's turn: nobody else has begun a sweep within the interval."""
        if connection.dialect.name == "postgresql":
            locked = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _SWEEP_LOCK}).scalar()
            if not locked:
                return False
        query = select(heartbeats.c.replica, heartbeats.c.beat_at).where(heartbeats.c.component == "sweeper")
        interval = timedelta(seconds=self._context.settings.sweep_interval * 0.9)
        for replica, beat_at in connection.execute(query):
            if replica != self._context.owner and now - beat_at < interval and self._has_swept:
                return False
        self._has_swept = True  # the first sweep after a start waits for nobody's turn
        write_heartbeat(connection, "sweeper", self._context.owner, now, {})
        connection.execute(delete(heartbeats).where(heartbeats.c.beat_at < now - timedelta(days=1)))
        return True

    async def _sweep(self, project: str, client: LiveKitClient, tally: _Tally) -> None:
        rooms = await client.list_rooms()
        tally.rooms = len(rooms)
        await self._settle_vanished(project, {room.sid for room in rooms}, tally)
        gate = asyncio.Semaphore(ROOMS_AT_ONCE)
        young: list[SeenRoom] = []

        async def one(room: SeenRoom) -> None:
            async with gate:
                if await self._sweep_room(project, client, room, tally):
                    young.append(room)
                await asyncio.sleep(ROOMS_AT_ONCE / ROOMS_PER_SECOND)

        await asyncio.gather(*(one(room) for room in rooms))
        if young:
            await asyncio.sleep(GRACE_S)
            await asyncio.gather(*(one(room) for room in tuple(young)))

    async def _sweep_room(self, project: str, client: LiveKitClient, room: SeenRoom, tally: _Tally) -> bool:
        """Sweep one room; return whether somebody in it is too young to be judged."""
        participants = [one for one in await client.list_participants(room.name) if one.active]
        callers = [one for one in participants if one.kind not in _SERVICE_KINDS]
        known = await self._context.writer.run(lambda connection: _known(connection, project, room, callers))
        young = False
        now = self._context.clock.now()
        for participant in callers:
            age = now.timestamp() - _joined_at(participant)
            last_seen = known.participants.get(participant.sid)
            if last_seen is None:
                if age < GRACE_S:
                    young = True
                    continue
                await self._accept(project, room, participant, "participant_joined", join_key(project, participant.sid))
                tally.swept_in += 1
                # LiveKit retries a webhook for 15 s and drops it after 30.
                tally.untold += age > GRACE_S * 2
            elif last_seen.state != self._state(participant):
                key = _update_key(project, participant.sid, last_seen.event_id, self._state(participant))
                await self._accept(project, room, participant, "participant_updated", key)
                tally.updated += 1
        tally.revived += await self._revive(known.failed)
        if known.has_live or any(one.kind == "AGENT" for one in participants):
            await self._inspector.inspect(project, room.name)
        return young

    def _state(self, participant: SeenParticipant) -> str:
        # As it would be stored: what is left out of bodies cannot be compared with them.
        content = {"participant": participant.document}
        stored = leave_out(content, self._context.settings.redact)
        return _state(stored["participant"])

    async def _accept(
        self, project: str, room: SeenRoom, participant: SeenParticipant, event_type: str, key: str
    ) -> None:
        now = self._context.clock.now()
        event = build_event(
            {
                "event": event_type,
                "room": room.document,
                "participant": participant.document,
                "createdAt": str(int(now.timestamp())),
            },
            project=project,
            source=EventSource.SWEEP,
            received_at=now,
            event_id=new_id(),
            redact=self._context.settings.redact,
            dedupe_key=key,
        )
        _log.info("found by the sweep", event_id=event.id, event_type=event_type, room=room.name)
        await self._receive(event)

    async def _settle_vanished(self, project: str, present: Collection[str], tally: _Tally) -> None:
        """Look at the rooms of live dispatches that LiveKit did not list."""

        def unlisted(connection: Connection) -> set[str]:
            query = select(dispatches.c.room_name, dispatches.c.room_sid).where(
                dispatches.c.project == project, dispatches.c.status.in_(LIVE)
            )
            return {name for name, sid in connection.execute(query) if sid not in present}

        for room_name in await self._context.writer.run(unlisted):
            tally.unseen_rooms += 1
            await self._inspector.inspect(project, room_name)

    async def _revive(self, failed: Sequence[Dispatch]) -> int:
        """Take up again what only failed because LiveKit was in trouble, now that it answers."""
        if not failed:
            return 0
        now = self._context.clock.now()

        def write(connection: Connection) -> list[Move]:
            taken = live_by_intent(connection, {dispatch.intent_key for dispatch in failed})
            moves = []
            for dispatch in failed:
                if dispatch.intent_key in taken:
                    continue
                taken[dispatch.intent_key] = dispatch
                again = fresh(now)
                fields = {name: again[name] for name in ("counted_attempts", "asked_agent_name", "ended_at")}
                fields |= {"next_attempt_at": now, "must_look": True}
                reason = "LiveKit answers again and the caller is still there"
                moves.append(Move(dispatch, DispatchStatus.PENDING, reason, "sweep", fields))
            move(connection, moves, now)
            return moves

        moves = await self._context.writer.run(write)
        count(self._context.metrics, moves)
        return len(moves)

    async def _beat(self, project: str, tally: _Tally, error: str | None = None) -> None:
        now = self._context.clock.now()
        detail = {
            "rooms": tally.rooms,
            "swept_in": tally.swept_in,
            "updated": tally.updated,
            "untold": tally.untold,
            "revived": tally.revived,
            "error": error,
        }
        await self._context.writer.run(
            lambda connection: write_heartbeat(connection, f"sweep:{project}", "", now, detail)
        )


@dataclass(frozen=True, slots=True)
class _LastSeen:
    event_id: str
    state: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of the callers in one room."""

    participants: Mapping[str, _LastSeen]
    failed: Sequence[Dispatch]
    has_live: bool


def _known(connection: Connection, project: str, room: SeenRoom, callers: Sequence[SeenParticipant]) -> _Known:
    sids = [participant.sid for participant in callers]
    participants: dict[str, _LastSeen] = {}
    query = (
        select(events.c.id, events.c.participant_sid, events.c.body)
        .where(events.c.participant_sid.in_(sids), events.c.type.in_(JOINS), events.c.project == project)
        .order_by(events.c.id)
    )
    for event_id, sid, body in connection.execute(query):
        participants[sid] = _LastSeen(event_id, _state(body.get("participant") or {}))
    in_room = select(dispatches).where(dispatches.c.room_sid == room.sid, dispatches.c.project == project)
    live = connection.execute(in_room.where(dispatches.c.status.in_(LIVE)).limit(1)).first()
    trouble = dispatches.c.reason.startswith(TROUBLE_REASON, autoescape=True)
    rows = connection.execute(
        in_room.where(dispatches.c.status == DispatchStatus.FAILED, trouble).order_by(dispatches.c.id)
    ).mappings()
    failed = [Dispatch.from_row(row) for row in rows]
    waiting = waiting_callers(connection, [dispatch.id for dispatch in failed])
    present = set(sids)
    failed = [one for one in failed if one.id not in waiting or waiting[one.id] & present]
    return _Known(participants, failed, live is not None)


def write_heartbeat(
    connection: Connection, component: str, replica: str, now: datetime, detail: Mapping[str, Any]
) -> None:
    """Note that a background loop has done its round, and what it found."""
    row = {"component": component, "replica": replica, "beat_at": now, "detail": dict(detail)}
    connection.execute(insert_or_ignore(connection, heartbeats), [row])
    connection.execute(
        update(heartbeats)
        .where(heartbeats.c.component == component, heartbeats.c.replica == replica)
        .values(beat_at=now, detail=dict(detail))
    )


def _state(participant: Mapping[str, Any]) -> str:
    """Return what may change while a participant is there and rules look at: metadata and attributes."""
    return json.dumps([participant.get("metadata") or "", participant.get("attributes") or {}], sort_keys=True)


def _update_key(project: str, participant_sid: str, last_event_id: str, state: str) -> str:
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    return f"{project}/update/{participant_sid}/{last_event_id}/{digest}"


def _joined_at(participant: SeenParticipant) -> float:
    for name, unit in (("joinedAtMs", 1000), ("joinedAt", 1)):
        try:
            return int(str(participant.document[name])) / unit
        except (KeyError, ValueError):
            continue
    return 0.0
