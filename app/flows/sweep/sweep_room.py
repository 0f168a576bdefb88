"""Compares the participants of some rooms with the database: accepts callers that no webhook reported."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.clock import Clock, new_id
from app.db.types import Cause, DispatchStatus, EventSource
from app.errors import UsherError
from app.flows.accept.accept import Acceptance
from app.flows.accept.revive import revive
from app.flows.context import Context
from app.flows.sweep.stored_rooms import (
    StoredRooms,
    needs_a_check,
    read_stored_rooms,
    state_of,
    unwatched_attributes,
    update_key,
)
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.transition import move
from app.livekit.client import LiveKitClient, SeenParticipant, SeenRoom
from app.livekit.outcome import LiveKitUnavailableError
from app.livekit.participant.role import PROGRAMS, Role
from app.livekit.vocabulary import EventType
from app.logs import get_logger
from app.observe.ghosts import living, restarts
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import restarted
from app.outbox.dispatch_store import live_by_intent
from app.outbox.move import Move
from app.rules.book.evaluate import evaluate
from app.rules.book.rule_book import RuleBook
from app.strict_json import storable
from app.translation import recorded
from app.webhook.dedupe_keys import join_key
from app.webhook.event import Event
from app.webhook.parse import build_event
from app.webhook.redaction import leave_out

_log = get_logger(__name__)

GRACE_S = 3.0
"""The webhook of a participant younger than this may still arrive."""
ACCEPTED_AT_ONCE = 32
"""Callers whom the sweep offers to the writer at once: thousands in one room must not queue up before webhooks."""


@dataclass(slots=True)
class Tally:
    """What one sweep of a project found."""

    rooms: int = 0
    swept_in: int = 0
    updated: int = 0
    unreported: int = 0
    revived: int = 0
    unanswered: int = 0
    has_failed: bool = False


@dataclass(slots=True)
class Leftovers:
    """Rooms to sweep `again` (no answer, or a participant too young to judge), and `unclear` ones to check; by SID."""

    again: dict[str, SeenRoom] = field(default_factory=dict)
    unclear: dict[str, SeenRoom] = field(default_factory=dict)

    def add(self, more: Leftovers) -> None:
        self.again |= more.again
        self.unclear |= more.unclear


class Pace:
    """The pause between two requests to one LiveKit."""

    def __init__(self, clock: Clock) -> None:
        self.pause_s = 0.0
        self._clock = clock
        self._next_at = 0.0

    async def wait(self) -> None:
        """Wait until the next request may begin."""
        tick = self._clock.monotonic()
        due = max(tick, self._next_at)
        self._next_at = due + self.pause_s
        await asyncio.sleep(due - tick)


class RoomSweeper:
    """Sweeps some rooms at a time, which share queries and transactions."""

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        book: Callable[[], RuleBook],
        receive: Callable[[Event], Awaitable[Acceptance]],
    ) -> None:
        self._context = context
        self._transactions = transactions
        self._book = book
        self._receive = receive
        self._started_at = context.clock.now()
        self._settled: dict[str, set[str]] = defaultdict(set)
        self._present: dict[str, set[str]] = defaultdict(set)
        self._unwatched_by: tuple[RuleBook, Collection[str]] | None = None

    async def sweep(
        self, project: str, client: LiveKitClient, rooms: Sequence[SeenRoom], tally: Tally, pace: Pace
    ) -> Leftovers:
        """Accept the callers in these rooms that no webhook reported; return what is left to do."""
        left = Leftovers()
        listed: list[tuple[SeenRoom, Sequence[SeenParticipant]]] = []
        answers = await asyncio.gather(*(self._list(client, room, pace) for room in rooms))
        for room, participants in zip(rooms, answers, strict=True):
            if participants is None:
                left.again[room.sid] = room
                continue
            listed.append((room, participants))
        sessions = {(project, room.sid) for room, _ in listed}
        restarted_at = await self._context.read(lambda connection: restarts(connection, sessions))
        listed = [(room, living(people, restarted_at.get((project, room.sid)))) for room, people in listed]
        callers = [(room, one) for room, people in listed for one in people if self._may_match(one)]
        tally.unanswered += len(left.again)
        sids = [participant.sid for _, participant in callers]
        unwatched = self._unwatched()
        known = await self._context.read(
            lambda connection: read_stored_rooms(
                connection, project, [room.sid for room, _ in listed], sids, unwatched=unwatched
            )
        )
        if known.lost:
            tally.revived += await self._transactions.run(
                lambda connection, after: revive(connection, after, known.lost, sessions, self._context.clock.now())
            )
        for first in range(0, len(callers), ACCEPTED_AT_ONCE):
            some = callers[first : first + ACCEPTED_AT_ONCE]
            accepted = await asyncio.gather(*(self._accept_caller(project, *caller, known, tally) for caller in some))
            left.again |= {room.sid: room for (room, _), is_done in zip(some, accepted, strict=True) if not is_done}
        tally.revived += await self._revive(known.failed)
        self._present[project].update(one.sid for _, people in listed for one in people if one.is_agent)
        settled = self._settled[project]
        left.unclear |= {
            room.sid: room for room, people in listed if needs_a_check(known.live[room.sid], people, settled)
        }
        return left

    def note_settled(self, project: str, agent_sids: Collection[str]) -> None:
        """Remember agents about whom a check has found out all that LiveKit says: they need no other."""
        self._settled[project].update(agent_sids)

    def forget_absent(self) -> None:
        """Forget the settled agents that this pass did not list."""
        for project, agent_sids in self._settled.items():
            agent_sids.intersection_update(self._present[project])
        self._present.clear()

    async def _list(self, client: LiveKitClient, room: SeenRoom, pace: Pace) -> list[SeenParticipant] | None:
        await pace.wait()
        try:
            return [one for one in await client.list_participants(room.name) if one.active]
        except LiveKitUnavailableError as error:
            _log.debug("a room could not be swept", room=room.name, error=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a defect with one room must not keep the others from being swept
            self._context.defects.note("sweep", error, room=room.name)
            return None

    async def _accept_caller(
        self, project: str, room: SeenRoom, participant: SeenParticipant, known: StoredRooms, tally: Tally
    ) -> bool:
        """Accept a caller, or a change of one, unless known; return False when it has to be tried again."""
        last_seen = known.participants.get(participant.sid)
        try:
            if last_seen is None:
                # A participant that joined in the future did so before our clock was set back.
                if abs(self._context.clock.now().timestamp() - participant.joined_at) < GRACE_S:
                    return False
                key = join_key(project, participant.sid)
                if await self._accept(project, room, participant, EventType.PARTICIPANT_JOINED, key):
                    tally.swept_in += 1
                    tally.unreported += self._is_unreported(participant)
            elif last_seen.state and last_seen.state != (state := self._state(project, participant)):
                key = update_key(project, participant.sid, last_seen.event_id, state)
                if await self._accept(project, room, participant, EventType.PARTICIPANT_UPDATED, key):
                    tally.updated += 1
        except UsherError as error:
            tally.unanswered += 1
            _log.debug("a caller could not be swept in", room=room.name, error=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect with one caller must not keep the others from being swept
            self._context.defects.note("sweep", error, room=room.name)
        return True

    def _may_match(self, participant: SeenParticipant) -> bool:
        """Return whether a rule may be for the participant: a caller, or somebody else where a rule names a role."""
        if participant.role is Role.CALLER:
            return True
        return participant.role not in PROGRAMS and self._book().index.names_roles

    def _may_be_served(self, event: Event) -> bool:
        book = self._book()
        return bool(book.lookups.lookups_for(event)) or bool(evaluate(book, event).matched)

    def _is_unreported(self, participant: SeenParticipant) -> bool:
        """Return whether a webhook should have arrived: the participant joined while this process was running."""
        return participant.joined_at > self._started_at.timestamp()

    def _state(self, project: str, participant: SeenParticipant) -> str:
        # As it would be stored: what is left out of bodies cannot be compared with them.
        listed = {"metadata": participant.metadata, "attributes": dict(participant.attributes)}
        stored = leave_out({"participant": storable(listed)}, self._context.settings.redact_of(project))
        return state_of(stored.get("participant") or {}, self._unwatched())

    def _unwatched(self) -> Collection[str]:
        book = self._book()
        if self._unwatched_by is None or self._unwatched_by[0] is not book:
            self._unwatched_by = (book, unwatched_attributes(book))
        return self._unwatched_by[1]

    async def _accept(
        self, project: str, room: SeenRoom, participant: SeenParticipant, event_type: EventType, key: str
    ) -> bool:
        """Accept what LiveKit lists as an event; return False if it is not of a caller, and no rule matches it."""
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
            redact=self._context.settings.redact_of(project),
            dedupe_key=key,
            has_exact_room=storable(room.name) == room.name,
        )
        event = self._context.delivery_delays.dated_by_sweep(event, self._context.settings.sweep_interval)
        if participant.role is not Role.CALLER and not self._may_be_served(event):
            return False
        _log.info("found by the sweep", event_id=event.id, event_type=event_type, room=room.name)
        await self._receive(event)
        return True

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
                reason = recorded("LiveKit answers again and the caller is still there")
                moves.append(
                    Move(dispatch, DispatchStatus.PENDING, Cause.LIVEKIT_RECOVERED, reason, "sweep", restarted(now))
                )
            move(connection, after, moves, now)
            return len(moves)

        return await self._transactions.run(write)
