"""Compares the participants of some rooms with the database: accepts callers that no webhook reported."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.clock import new_id
from app.db.any_of import any_of
from app.db.tables import LIVE, dispatches, events
from app.db.types import Cause, DispatchStatus, EventSource
from app.errors import UsherError
from app.flows.accept.accept import Acceptance
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.retry import LIVEKIT_TROUBLE
from app.lifecycle.transition import move
from app.livekit.client import LiveKitClient, SeenParticipant, SeenRoom
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.vocabulary import JOINS, MACHINE_KINDS, EventType, ParticipantKind
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import restarted
from app.outbox.dispatch_store import live_by_intent, waiting_callers
from app.outbox.move import Move
from app.strict_json import storable
from app.webhook.event import Event
from app.webhook.parse import build_event, join_key
from app.webhook.redaction import leave_out

_log = get_logger(__name__)

GRACE_S = 3.0
"""The webhook of a participant younger than this may still arrive."""


@dataclass(slots=True)
class Tally:
    """What one sweep of a project found."""

    rooms: int = 0
    swept_in: int = 0
    updated: int = 0
    unreported: int = 0
    unseen_rooms: int = 0
    revived: int = 0
    unanswered: int = 0


@dataclass(slots=True)
class Leftovers:
    """Rooms to sweep `again` (no answer, or a participant too young to judge), and `unclear` ones to check."""

    again: list[SeenRoom] = field(default_factory=list)
    unclear: list[SeenRoom] = field(default_factory=list)

    def add(self, more: Leftovers) -> None:
        self.again += more.again
        self.unclear += more.unclear


class RoomSweeper:
    """Sweeps some rooms at a time, which share queries and transactions; `pace` waits before a request to LiveKit."""

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        receive: Callable[[Event], Awaitable[Acceptance]],
        pace: Callable[[], Awaitable[None]],
    ) -> None:
        self._context = context
        self._transactions = transactions
        self._receive = receive
        self._pace = pace
        self._started_at = context.clock.now()

    async def sweep(self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally) -> Leftovers:
        """Accept the callers in these rooms that no webhook reported; return what is left to do."""
        left = Leftovers()
        callers: list[tuple[SeenRoom, SeenParticipant]] = []
        listed: list[tuple[SeenRoom, Sequence[SeenParticipant]]] = []
        answers = await asyncio.gather(*(self._list(client, room) for room in rooms))
        for room, participants in zip(rooms, answers, strict=True):
            if participants is None:
                left.again.append(room)
                continue
            listed.append((room, participants))
            callers += [(room, one) for one in participants if one.kind not in MACHINE_KINDS]
        tally.unanswered += len(left.again)
        sids = [participant.sid for _, participant in callers]
        known = await self._context.writer.run(
            lambda connection: _known(connection, project, [room.sid for room, _ in listed], sids)
        )
        accepted = await asyncio.gather(*(self._accept_caller(project, *caller, known, tally) for caller in callers))
        left.again += [room for (room, _), is_done in zip(callers, accepted, strict=True) if not is_done]
        tally.revived += await self._revive(known.failed)
        left.unclear += [room for room, people in listed if _needs_a_check(known.live[room.sid], people)]
        return left

    async def _list(self, client: LiveKitClient, room: SeenRoom) -> list[SeenParticipant] | None:
        await self._pace()
        try:
            return [one for one in await client.list_participants(room.name) if one.active]
        except LiveKitUnavailableError as error:
            _log.debug("a room could not be swept", room=room.name, error=str(error))
            return None

    async def _accept_caller(
        self, project: str, room: SeenRoom, participant: SeenParticipant, known: _Known, tally: Tally
    ) -> bool:
        """Accept a caller, or a change of one, unless known; return False when it has to be tried again."""
        last_seen = known.participants.get(participant.sid)
        try:
            if last_seen is None:
                # A participant that joined in the future did so before our clock was set back.
                if abs(self._context.clock.now().timestamp() - participant.joined_at) < GRACE_S:
                    return False
                key = join_key(project, participant.sid)
                await self._accept(project, room, participant, EventType.PARTICIPANT_JOINED, key)
                tally.swept_in += 1
                tally.unreported += self._is_unreported(participant)
            elif last_seen.state != (state := self._state(participant)):
                key = _update_key(project, participant.sid, last_seen.event_id, state)
                await self._accept(project, room, participant, EventType.PARTICIPANT_UPDATED, key)
                tally.updated += 1
        except UsherError as error:
            tally.unanswered += 1
            _log.debug("a caller could not be swept in", room=room.name, error=str(error))
            return False
        except Exception:  # noqa: BLE001 - a defect with one caller must not keep the others from being swept
            _log.exception("a caller could not be swept in", room=room.name)
        return True

    def _is_unreported(self, participant: SeenParticipant) -> bool:
        """Return whether a webhook should have arrived: the participant joined while this process was running."""
        return participant.joined_at > self._started_at.timestamp()

    def _state(self, participant: SeenParticipant) -> str:
        # As it would be stored: what is left out of bodies cannot be compared with them.
        listed = {"metadata": participant.metadata, "attributes": dict(participant.attributes)}
        stored = leave_out({"participant": storable(listed)}, self._context.settings.redact)
        return _state(stored.get("participant") or {})

    async def _accept(
        self, project: str, room: SeenRoom, participant: SeenParticipant, event_type: EventType, key: str
    ) -> None:
        now = self._context.clock.now()
        content = {
            "event": event_type.value,
            "room": room.webhook_json(),
            "participant": participant.webhook_json(),
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
        """Try again what only failed because LiveKit was in trouble, now that it answers."""
        if not failed:
            return 0
        now = self._context.clock.now()

        def write(connection: Connection, after: AfterCommit) -> int:
            taken = live_by_intent(connection, {dispatch.intent_key for dispatch in failed})
            moves = []
            for dispatch in failed:
                if dispatch.intent_key in taken:
                    continue
                taken[dispatch.intent_key] = dispatch
                reason = "LiveKit answers again and the caller is still there"
                moves.append(
                    Move(dispatch, DispatchStatus.PENDING, Cause.LIVEKIT_RECOVERED, reason, "sweep", restarted(now))
                )
            move(connection, after, moves, now)
            return len(moves)

        return await self._transactions.run(write)


@dataclass(frozen=True, slots=True)
class _LastSeen:
    event_id: str
    state: str


@dataclass(frozen=True, slots=True)
class _Served:
    """What the sweep needs of a live dispatch of the room."""

    status: DispatchStatus
    agent_sid: str | None
    is_confirmed: bool
    callers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of the callers in some rooms. `live`: by room session."""

    participants: Mapping[str, _LastSeen]
    failed: Sequence[Dispatch]
    live: Mapping[str, Sequence[_Served]]


_REPORTED = (
    select(events.c.id, events.c.participant_sid, events.c.body)
    .with_hint(events, "INDEXED BY ix_events_participant_sid", "sqlite")
    .where(
        any_of(events.c.participant_sid, "sids"),
        events.c.type.in_(JOINS),
        events.c.project == bindparam("project"),
    )
    .order_by(events.c.id)
)
# The states are compared in Python: in the condition, SQLite might search all dispatches that ever failed.
_IN_SESSION = (
    select(dispatches)
    .where(
        any_of(dispatches.c.room_sid, "room_sids"),
        dispatches.c.project == bindparam("project"),
    )
    .order_by(dispatches.c.id)
)
_OF_CONCERN = {*LIVE, DispatchStatus.FAILED}


def _known(connection: Connection, project: str, room_sids: Sequence[str], sids: Collection[str]) -> _Known:
    participants: dict[str, _LastSeen] = {}
    for event_id, sid, body in connection.execute(_REPORTED, {"sids": sids, "project": project}):
        participants[sid] = _LastSeen(event_id, _state(body.get("participant") or {}))
    asked = {"room_sids": room_sids, "project": project}
    every = [Dispatch.from_row(row) for row in connection.execute(_IN_SESSION, asked).mappings()]
    found = [one for one in every if one.status in _OF_CONCERN]
    waiting = waiting_callers(connection, [dispatch.id for dispatch in found])
    failed = [
        one
        for one in found
        if one.status is DispatchStatus.FAILED
        and one.cause in LIVEKIT_TROUBLE
        and (one.id not in waiting or waiting[one.id].intersection(sids))
    ]
    live: dict[str, list[_Served]] = defaultdict(list)
    for one in found:
        if one.status is not DispatchStatus.FAILED:
            served = frozenset(waiting[one.id]) if one.id in waiting else None
            live[one.room_sid].append(_Served(one.status, one.agent_sid, one.worker_id is not None, served))
    return _Known(participants, failed, live)


def _needs_a_check(live: Sequence[_Served], participants: Sequence[SeenParticipant]) -> bool:
    """Return whether a room needs a check; saves 5,000 quiet rooms the requests for LiveKit's other lists."""
    present = {participant.sid for participant in participants}
    accounted = {one.agent_sid for one in live}
    if any(one.kind == ParticipantKind.AGENT and one.sid not in accounted for one in participants):
        return True
    return not all(
        one.status is DispatchStatus.JOINED
        and one.is_confirmed
        and one.agent_sid in present
        and (one.callers is None or one.callers & present)
        for one in live
    )


def _state(participant: Mapping[str, Any]) -> str:
    """Return, as a text, what may change while a participant is there and rules match: metadata and attributes."""
    return json.dumps([participant.get("metadata") or "", participant.get("attributes") or {}], sort_keys=True)


def _update_key(project: str, participant_sid: str, last_event_id: str, state: str) -> str:
    digest = hashlib.sha256(state.encode()).hexdigest()[:16]
    return f"{project}/update/{participant_sid}/{last_event_id}/{digest}"
