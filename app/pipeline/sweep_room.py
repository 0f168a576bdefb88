"""Flow 4, one room: who is in it is held against what we know, and what is missing is made good."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.clock import new_id
from app.db.tables import LIVE, dispatches, events
from app.db.types import DispatchStatus, EventSource
from app.dispatch.client import LiveKitClient, SeenParticipant, SeenRoom
from app.dispatch.retry import TROUBLE_REASON
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.store import Move, live_by_intent, waiting_callers
from app.pipeline.accept import Acceptance
from app.pipeline.context import Context
from app.pipeline.departure import fresh
from app.pipeline.inspect import Inspector
from app.pipeline.serve import JOINS
from app.pipeline.transition import count, move
from app.webhook.event import Event
from app.webhook.json_text import storable
from app.webhook.parse import build_event, join_key, leave_out

_log = get_logger(__name__)

GRACE_S = 3.0
"""A participant this young may still be told of by its webhook."""

_SERVICE_KINDS = frozenset({"AGENT", "EGRESS", "INGRESS"})


@dataclass(slots=True)
class Tally:
    """What one sweep of a project found."""

    rooms: int = 0
    swept_in: int = 0
    updated: int = 0
    untold: int = 0
    unseen_rooms: int = 0
    revived: int = 0
    unanswered: int = 0


class RoomSweeper:
    """Sweeps single rooms."""

    def __init__(
        self, context: Context, inspector: Inspector, receive: Callable[[Event], Awaitable[Acceptance]]
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._receive = receive
        self._started_at = context.clock.now()

    async def sweep(self, project: str, client: LiveKitClient, room: SeenRoom, tally: Tally) -> bool:
        """Sweep one room; return whether somebody in it is too young to be judged.

        Raises `LiveKitUnavailableError` when it cannot be seen.
        """
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
                tally.untold += self._should_have_been_told(participant)
            elif last_seen.state != self._state(participant):
                key = _update_key(project, participant.sid, last_seen.event_id, self._state(participant))
                await self._accept(project, room, participant, "participant_updated", key)
                tally.updated += 1
        tally.revived += await self._revive(known.failed)
        if _needs_a_look(known.live, participants):
            await self._inspector.inspect(project, room.name)
        return young

    def _should_have_been_told(self, participant: SeenParticipant) -> bool:
        """Return whether a webhook should have come: not for who joined while this Usher did not listen."""
        return _joined_at(participant) > self._started_at.timestamp()

    def _state(self, participant: SeenParticipant) -> str:
        # As it would be stored: what is left out of bodies cannot be compared with them.
        stored = leave_out({"participant": storable(dict(participant.document))}, self._context.settings.redact)
        return _state(stored["participant"])

    async def _accept(
        self, project: str, room: SeenRoom, participant: SeenParticipant, event_type: str, key: str
    ) -> None:
        now = self._context.clock.now()
        content = {
            "event": event_type,
            "room": room.document,
            "participant": participant.document,
            "createdAt": str(int(now.timestamp())),
        }
        event = build_event(
            storable(content),
            project=project,
            source=EventSource.SWEEP,
            received_at=now,
            event_id=new_id(),
            redact=self._context.settings.redact,
            dedupe_key=key,
        )
        _log.info("found by the sweep", event_id=event.id, event_type=event_type, room=room.name)
        await self._receive(event)

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


@dataclass(frozen=True, slots=True)
class _LastSeen:
    event_id: str
    state: str


@dataclass(frozen=True, slots=True)
class _Served:
    """A live dispatch of the room, as far as the sweep wants to know it."""

    status: DispatchStatus
    agent_sid: str | None
    is_confirmed: bool
    callers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of the callers in one room."""

    participants: Mapping[str, _LastSeen]
    failed: Sequence[Dispatch]
    live: Sequence[_Served]


_TOLD = (
    select(events.c.id, events.c.participant_sid, events.c.body)
    .where(
        events.c.participant_sid.in_(bindparam("sids", expanding=True)),
        events.c.type.in_(JOINS),
        events.c.project == bindparam("project"),
    )
    .order_by(events.c.id)
)
_IN_SESSION = (
    select(dispatches)
    .where(
        dispatches.c.room_sid == bindparam("room_sid"),
        dispatches.c.project == bindparam("project"),
        dispatches.c.status.in_([*LIVE, DispatchStatus.FAILED]),
    )
    .order_by(dispatches.c.id)
)


def _known(connection: Connection, project: str, room: SeenRoom, callers: Sequence[SeenParticipant]) -> _Known:
    sids = [participant.sid for participant in callers]
    participants: dict[str, _LastSeen] = {}
    for event_id, sid, body in connection.execute(_TOLD, {"sids": sids, "project": project}):
        participants[sid] = _LastSeen(event_id, _state(body.get("participant") or {}))
    asked = {"room_sid": room.sid, "project": project}
    found = [Dispatch.from_row(row) for row in connection.execute(_IN_SESSION, asked).mappings()]
    waiting = waiting_callers(connection, [dispatch.id for dispatch in found])
    failed = [
        one
        for one in found
        if one.status is DispatchStatus.FAILED
        and one.reason.startswith(TROUBLE_REASON)
        and (one.id not in waiting or waiting[one.id].intersection(sids))
    ]
    live = []
    for one in found:
        if one.status is not DispatchStatus.FAILED:
            served = frozenset(waiting[one.id]) if one.id in waiting else None
            live.append(_Served(one.status, one.agent_sid, one.worker_id is not None, served))
    return _Known(participants, failed, live)


def _needs_a_look(live: Sequence[_Served], participants: Sequence[SeenParticipant]) -> bool:
    """Return whether anything is not as it should be: LiveKit's lists are not asked for each of 5,000 quiet calls."""
    present = {participant.sid for participant in participants}
    accounted = {one.agent_sid for one in live}
    if any(one.kind == "AGENT" and one.sid not in accounted for one in participants):
        return True
    return not all(
        one.status is DispatchStatus.JOINED
        and one.is_confirmed
        and one.agent_sid in present
        and (one.callers is None or one.callers & present)
        for one in live
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
