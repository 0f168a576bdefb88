"""Applies the webhooks of a batch to live dispatches, in the transaction that stores them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.types import LIVE, Cause, DispatchStatus
from app.flows.accept.crowded_rooms import CrowdedRooms
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import arrived
from app.lifecycle.departure import departure_of, losing_agents
from app.lifecycle.doubt import room_restarted
from app.lifecycle.leaving import after_callers_gone, room_over
from app.lifecycle.next_agent import agent_left
from app.lifecycle.transition import move, replace
from app.livekit.attributes import agent_name_of
from app.livekit.participant.role import PROGRAMS, Role
from app.livekit.vocabulary import DEFAULT_IDENTITY, JOB_EVENTS, LEAVINGS, MOVED, EventType, ParticipantKind
from app.observe.ghosts import restarts
from app.outbox.dispatch import Dispatch, Session
from app.outbox.dispatch_store import live_in_rooms, live_of_participants, mark_left, present_callers
from app.outbox.move import Move
from app.outbox.people import People, people_around
from app.outbox.room_session import agents_given_up, cancelled_agents, cancelled_under_name
from app.outbox.states import WAITING
from app.translation import recorded
from app.webhook.event import Event
from app.webhook.event_store import leavings_of

_WATCHED = LEAVINGS | JOB_EVENTS | {EventType.PARTICIPANT_JOINED, EventType.ROOM_STARTED, EventType.ROOM_FINISHED}


def observe_events(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    batch: Sequence[Event],
    now: datetime,
    *,
    crowded: CrowdedRooms,
) -> None:
    """Write what newly stored events mean for live dispatches.

    An agent that joins is taken for the one dispatch that waits for its name; where several wait, none does, or an
    agent of that name may come by a call that was taken back, the room is checked.
    """
    watched = [event for event in batch if _is_watched(event)]
    if not watched:
        return
    left: dict[str, set[str]] = {}
    for event in watched:
        if event.type in LEAVINGS:
            left.setdefault(event.project, set()).add(event.participant_sid)
    for project, sids in left.items():
        mark_left(connection, project, sids, now)
    live, partly = _read_live(connection, watched, crowded)
    known_rooms = {one.session for one in live.values()} | partly
    _check_unexpected(connection, after, [e for e in watched if (e.project, e.room_sid) not in known_rooms], now)
    if not live and not partly:
        return
    leavings = leavings_of(connection, [event for event in watched if event.type == EventType.PARTICIPANT_JOINED])
    known = _read_known(connection, live, watched, leavings.values(), partly)
    observer = _Observer(connection, context, after, live, known, now=now)
    for event in watched:
        if event.type == EventType.ROOM_FINISHED:
            observer.room_finished(event)
        elif event.type == EventType.ROOM_STARTED:
            observer.room_started(event)
        elif event.type in JOB_EVENTS:
            observer.job_changed(event)
        elif event.type in LEAVINGS:
            observer.participant_left(event)
        else:
            observer.agent_joined(event)
            leaving = leavings.get((event.project, event.participant_sid))
            if leaving is not None:  # its webhook came first
                observer.participant_left(leaving)
    move(connection, after, observer.moves, now)
    replace(connection, after, observer.replacements, now)


def _check_unexpected(connection: Connection, after: AfterCommit, events: Sequence[Event], now: datetime) -> None:
    """Have rooms without live dispatches checked in which an agent joins whose dispatch was cancelled a moment ago."""
    for event in events:
        room, name = (event.project, event.room_name), agent_name_of(_attributes(event))
        if event.type == EventType.PARTICIPANT_JOINED and name in cancelled_under_name(connection, *room, now):
            after.rooms_to_check.add(room)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the events themselves do not say.

    `ambiguous`: by dispatch, agent names that do not prove which dispatch an agent belongs to.
    `callers`: by dispatch, how many have not left. `people`: around the dispatches whose agent leaves. `restarts`: by
    room session, when LiveKit made it again. `partly`: sessions of which not all dispatches were read.
    """

    callers: Mapping[str, int]
    ambiguous: Mapping[str, set[str]]
    people: People
    restarts: Mapping[Session, datetime]
    partly: Collection[Session]


def _read_live(
    connection: Connection, watched: Sequence[Event], crowded: CrowdedRooms
) -> tuple[dict[str, Dispatch], set[Session]]:
    """Return the live dispatches that the events may concern, and the sessions of which these are not all."""
    sessions = {(event.project, event.room_sid) for event in watched if event.room_sid}
    again = {(event.project, event.room_sid) for event in watched if event.type == EventType.ROOM_STARTED}
    whole = {session for session in sessions if session not in crowded or session in again}
    live = live_in_rooms(connection, whole)
    crowded.note(whole, live)
    if partly := sessions - whole:
        sids = {event.participant_sid for event in watched if (event.project, event.room_sid) in partly}
        live += [one for one in live_of_participants(connection, sids - {""}) if one.session in partly]
    return {one.id: one for one in live}, partly


def _read_known(
    connection: Connection,
    live: Mapping[str, Dispatch],
    watched: Sequence[Event],
    left: Iterable[Event],
    partly: Collection[Session],
) -> _Known:
    callers = present_callers(connection, live.keys())
    ambiguous: dict[str, set[str]] = {}
    if any(event.type == EventType.PARTICIPANT_JOINED for event in watched):
        ambiguous = agents_given_up(connection, [one.id for one in live.values() if _gave_up(one)])
        # Whose agent joins in a room that was not read whole, a check of it finds out.
        back = cancelled_agents(connection, {dispatch.session for dispatch in live.values()}.difference(partly))
        for dispatch in live.values():
            ambiguous.setdefault(dispatch.id, set()).update(back.get(dispatch.session, ()))
    losing, with_others = losing_agents(live.values(), watched, left)
    started = {(event.project, event.room_sid) for event in watched if event.type == EventType.ROOM_STARTED}
    again = restarts(connection, started.intersection(one.session for one in live.values()))
    return _Known(callers, ambiguous, people_around(connection, losing, with_others), again, partly)


def _gave_up(dispatch: Dispatch) -> bool:
    """Return whether an attempt of `dispatch` may have been given up; saves most dispatches a query."""
    return dispatch.attempts > 1 or dispatch.counted_attempts > 0


def _is_watched(event: Event) -> bool:
    if event.type == EventType.PARTICIPANT_JOINED:
        return event.participant_kind == ParticipantKind.AGENT and event.participant_role == Role.AGENT
    return event.type in _WATCHED


class _Observer:
    """Follows a batch of events through the live dispatches of their rooms; moves are written when all is known."""

    def __init__(
        self,
        connection: Connection,
        context: Context,
        after: AfterCommit,
        live: dict[str, Dispatch],
        known: _Known,
        *,
        now: datetime,
    ) -> None:
        self.moves: list[Move] = []
        self.replacements: list[Dispatch] = []
        self._connection = connection
        self._context = context
        self._after = after
        self._live = live
        self._known = known
        self._callers = known.callers
        self._now = now

    def room_finished(self, event: Event) -> None:
        if (event.project, event.room_sid) in self._known.partly:
            self._after.crowds_to_end.add((event.project, event.room_sid))
        for dispatch in self._in_room(event):
            self._add(room_over(dispatch, Cause.ROOM_CLOSED, recorded("the room was closed"), self._now))

    def room_started(self, event: Event) -> None:
        """Doubt everybody in a room that LiveKit has made again under its SID: they have to join anew."""
        if self._known.restarts.get((event.project, event.room_sid)) != event.occurred_at:
            return
        for dispatch in self._in_room(event):
            self._add(room_restarted(dispatch, self._now))

    def participant_left(self, event: Event) -> None:
        sid = event.participant_sid
        for dispatch in self._in_room(event):
            if dispatch.agent_sid == sid:
                self._agent_left(dispatch, event)
            elif self._callers.get(dispatch.id) == 0 and self._served(dispatch, sid, event):
                is_queued = dispatch.queued_at is not None  # one who only reconnects keeps the place in the queue
                if dispatch.status in WAITING and (dispatch.may_be_at_livekit or is_queued):
                    self._after.left_alone.append(dispatch)
                    continue
                change, withdrawal = after_callers_gone(dispatch, self._now, self._now)
                if change is not None:
                    self._add(change)
                self._after.withdraw(withdrawal)

    def job_changed(self, event: Event) -> None:
        """Check LiveKit soon for a dispatch whose job is over, or waits for a worker, while its agent is awaited."""
        if event.type == EventType.AGENT_JOB_STARTED:
            return
        job = event.document.get("job")
        made_by = job.get("dispatchId") if isinstance(job, dict) else None
        if not isinstance(made_by, str):
            return
        here = self._in_room(event)
        if any(one.status is DispatchStatus.SENDING and one.livekit_dispatch_id is None for one in here):
            self._context.early_job_events.note(made_by)  # perhaps of a call that is not answered yet
        for dispatch in here:
            if dispatch.status is DispatchStatus.DISPATCHED and dispatch.livekit_dispatch_id == made_by:
                reason = f"LiveKit reports {event.type}; checking it"
                fields = {"answer_deadline": self._now}
                self._add(Move(dispatch, dispatch.status, Cause.AGENT_OVERDUE, reason, fields=fields))

    def agent_joined(self, event: Event) -> None:
        name = agent_name_of(_attributes(event))
        here = self._in_room(event)
        if any(dispatch.agent_sid == event.participant_sid for dispatch in here):
            return
        same = [one for one in here if name in {"", one.agent_to_ask, one.agent_name}]
        waiting = [one for one in same if one.status in WAITING and one.may_be_at_livekit and one.agent_to_ask == name]
        back = [one for one in here if one.agent_identity and one.agent_identity == event.participant_identity]
        # Agents of one identity put each other out: this one came by the dispatch that waits for its name.
        if back and not (waiting and back[0].agent_to_ask != name):
            reason, again = recorded("the agent has reconnected"), {"agent_sid": event.participant_sid}
            self._add(Move(back[0], back[0].status, Cause.AGENT_RECONNECTED, reason, fields=again))
            if back[0].doubtful_until is not None:  # another may have come by a token's dispatch meanwhile
                self._after.rooms_to_check.add((event.project, event.room_name))
            return
        if (event.project, event.room_sid) in self._known.partly:
            self._after.rooms_to_check.add((event.project, event.room_name))
            return
        ambiguous = any(name in self._known.ambiguous.get(dispatch.id, ()) for dispatch in same)
        if len(waiting) == 1 and not ambiguous:
            identity, sid = event.participant_identity, event.participant_sid
            self._add(arrived(waiting[0], identity, sid, _job_id(identity), event.received_at))
        elif same:
            self._after.rooms_to_check.add((event.project, event.room_name))

    def _served(self, dispatch: Dispatch, sid: str, event: Event) -> bool:
        # Callers that have left are not counted; this event is the last one's leaving.
        return dispatch.id in self._callers and event.participant_role not in PROGRAMS and bool(sid)

    def _agent_left(self, dispatch: Dispatch, event: Event) -> None:
        if dispatch.status is not DispatchStatus.JOINED:
            return
        departure = departure_of(dispatch, event)
        if departure.disconnect_reason in MOVED:  # it goes on under another SID
            self._after.rooms_to_check.add((event.project, event.room_name))
            return
        change, replacement = agent_left(
            self._connection,
            self._after,
            self._context.settings,
            dispatch,
            departure,
            people=self._known.people,
            now=self._now,
        )
        self._add(change)
        self.replacements += [replacement] if replacement is not None else []

    def _in_room(self, event: Event) -> list[Dispatch]:
        return [
            dispatch
            for dispatch in self._live.values()
            if dispatch.room_sid == event.room_sid and dispatch.project == event.project
        ]

    def _add(self, change: Move) -> None:
        self.moves.append(change)
        dispatch = change.dispatch
        if change.status not in LIVE:
            del self._live[dispatch.id]
        else:
            self._live[dispatch.id] = change.result


def _attributes(event: Event) -> Mapping[str, Any]:
    participant = event.document.get("participant")
    attributes = participant.get("attributes") if isinstance(participant, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _job_id(identity: str) -> str | None:
    """Return the job in an agent's default identity `agent-<job id>`."""
    return identity.removeprefix("agent-") if identity.startswith(DEFAULT_IDENTITY) else None
