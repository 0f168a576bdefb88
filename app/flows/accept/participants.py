"""Accept, after the plan: what the webhooks of a batch mean for live dispatches, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import arrived
from app.lifecycle.leaving import (
    AGENT_LEAVES_WITHIN_S,
    RemainingCallers,
    after_agent_gone,
    after_callers_gone,
    agent_gone,
    room_over,
)
from app.lifecycle.transition import move, replace
from app.livekit.attributes import agent_name_of
from app.livekit.participant.role import PROGRAMS, Role
from app.livekit.vocabulary import LEAVINGS, DisconnectReason, EventType, ParticipantKind
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import replacement_of
from app.outbox.dispatch_store import live_in_rooms, mark_left, waiting_callers
from app.outbox.move import Move
from app.outbox.room_session import agents_given_up, cancelled_agents, with_late_callers
from app.outbox.states import WAITING
from app.webhook.event import Event
from app.webhook.event_store import departed

_WATCHED = LEAVINGS | {EventType.PARTICIPANT_JOINED, EventType.ROOM_FINISHED}


def observe_events(
    connection: Connection, after: AfterCommit, context: Context, batch: Sequence[Event], now: datetime
) -> None:
    """Write what newly stored events mean for live dispatches.

    An agent that joins is taken for the one dispatch that waits for its name; where several wait, none does, or an
    agent of that name may come by a call that was taken back, the room is checked.
    """
    watched = [event for event in batch if _is_watched(event)]
    if not watched:
        return
    left = {event.participant_sid for event in watched if event.type in LEAVINGS}
    mark_left(connection, left, now)
    rooms = {event.room_sid for event in watched if event.room_sid}
    live = {dispatch.id: dispatch for dispatch in live_in_rooms(connection, rooms)}
    if not live:
        return
    known = _read_known(connection, live, watched, now)
    gone = departed(connection, [event for event in watched if event.type == EventType.PARTICIPANT_JOINED])
    observer = _Observer(context, after, live, known, now)
    for event in watched:
        if event.type == EventType.ROOM_FINISHED:
            observer.room_finished(event)
        elif event.type in LEAVINGS:
            observer.participant_left(event)
        else:
            observer.agent_joined(event)
            if gone.include(event):  # the webhook of its leaving came first
                observer.participant_left(event)
    move(connection, after, observer.moves, now)
    replace(connection, after, observer.replacements, now)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the events themselves do not say.

    `ambiguous`: by dispatch, agent names that do not prove which dispatch an agent belongs to.
    `with_unserved`: dispatches with callers who arrived while their agent may have been leaving.
    """

    callers: Mapping[str, set[str]]
    ambiguous: Mapping[str, set[str]]
    with_unserved: Collection[str]


def _read_known(
    connection: Connection, live: Mapping[str, Dispatch], watched: Sequence[Event], now: datetime
) -> _Known:
    callers = waiting_callers(connection, live.keys())
    ambiguous: dict[str, set[str]] = {}
    if any(event.type == EventType.PARTICIPANT_JOINED for event in watched):
        ambiguous = agents_given_up(connection, [one.id for one in live.values() if _gave_up(one)])
        back = cancelled_agents(connection, {dispatch.room_sid for dispatch in live.values()})
        for dispatch in live.values():
            ambiguous.setdefault(dispatch.id, set()).update(back.get(dispatch.room_sid, ()))
    gone = {event.participant_sid for event in watched if event.type in LEAVINGS}
    losing = [dispatch.id for dispatch in live.values() if dispatch.agent_sid in gone]
    return _Known(
        callers, ambiguous, with_late_callers(connection, losing, now - timedelta(seconds=AGENT_LEAVES_WITHIN_S))
    )


def _gave_up(dispatch: Dispatch) -> bool:
    """Return whether an attempt of `dispatch` may have been given up; saves most dispatches a query."""
    return dispatch.attempts > 1 or dispatch.counted_attempts > 0


def _is_watched(event: Event) -> bool:
    if event.type == EventType.PARTICIPANT_JOINED:
        return event.participant_kind == ParticipantKind.AGENT and event.participant_role == Role.AGENT
    return event.type in _WATCHED


class _Observer:
    """Follows a batch of events through the live dispatches of their rooms, in memory."""

    def __init__(
        self,
        context: Context,
        after: AfterCommit,
        live: dict[str, Dispatch],
        known: _Known,
        now: datetime,
    ) -> None:
        self.moves: list[Move] = []
        self.replacements: list[Dispatch] = []
        self._context = context
        self._after = after
        self._live = live
        self._known = known
        self._callers = known.callers
        self._now = now

    def room_finished(self, event: Event) -> None:
        for dispatch in self._in_room(event):
            self._add(room_over(dispatch, Cause.ROOM_CLOSED, "the room was closed", self._now))

    def participant_left(self, event: Event) -> None:
        sid, reason = event.participant_sid, _disconnect_reason(event)
        for dispatch in self._in_room(event):
            if dispatch.agent_sid == sid:
                self._agent_left(dispatch, event, reason)
            elif self._callers.get(dispatch.id) == set() and self._served(dispatch, sid, event):
                change, withdrawal = after_callers_gone(dispatch, self._now)
                if change is not None:
                    self._add(change)
                if withdrawal is not None:
                    self._after.withdrawals.append(withdrawal)

    def agent_joined(self, event: Event) -> None:
        name = agent_name_of(_attributes(event))
        here = self._in_room(event)
        if any(dispatch.agent_sid == event.participant_sid for dispatch in here):
            return
        back = [one for one in here if one.agent_identity and one.agent_identity == event.participant_identity]
        if back:
            again = {"agent_sid": event.participant_sid}
            self._add(Move(back[0], back[0].status, Cause.AGENT_RECONNECTED, "the agent has reconnected", fields=again))
            return
        same = [one for one in here if name in {"", one.agent_to_ask, one.agent_name}]
        waiting = [one for one in same if one.status in WAITING and one.may_be_at_livekit and one.agent_to_ask == name]
        ambiguous = any(name in self._known.ambiguous.get(dispatch.id, ()) for dispatch in same)
        if len(waiting) == 1 and not ambiguous:
            identity, sid = event.participant_identity, event.participant_sid
            self._add(arrived(waiting[0], identity, sid, _job_id(identity), event.received_at))
        elif same:
            self._after.rooms_to_check.add((event.project, event.room_name))

    def _served(self, dispatch: Dispatch, sid: str, event: Event) -> bool:
        # Callers that have left are no longer in the set; this event is the last one's leaving.
        return dispatch.id in self._callers and event.participant_role not in PROGRAMS and bool(sid)

    def _agent_left(self, dispatch: Dispatch, event: Event, reason: str) -> None:
        if dispatch.status is not DispatchStatus.JOINED:
            return
        if reason == DisconnectReason.DUPLICATE_IDENTITY:  # it has reconnected under another SID
            self._after.rooms_to_check.add((event.project, event.room_name))
            return
        callers = self._callers.get(dispatch.id) != set()
        remaining = RemainingCallers(any=callers, unserved=callers and dispatch.id in self._known.with_unserved)
        decision = agent_gone(dispatch, reason, remaining, budget=self._context.settings.recovery_budget)
        self._add(after_agent_gone(dispatch, reason, decision, self._now))
        if decision.is_replaced:
            self.replacements.append(replacement_of(dispatch, new_id(), self._now))

    def _in_room(self, event: Event) -> list[Dispatch]:
        return [
            dispatch
            for dispatch in self._live.values()
            if dispatch.room_sid == event.room_sid and dispatch.project == event.project
        ]

    def _add(self, change: Move) -> None:
        self.moves.append(change)
        dispatch = change.dispatch
        if change.status in {DispatchStatus.ENDED, DispatchStatus.CANCELLED}:
            del self._live[dispatch.id]
        else:
            self._live[dispatch.id] = change.result


def _attributes(event: Event) -> Mapping[str, Any]:
    participant = event.document.get("participant")
    attributes = participant.get("attributes") if isinstance(participant, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _disconnect_reason(event: Event) -> str:
    participant = event.document.get("participant")
    reason = participant.get("disconnectReason") if isinstance(participant, dict) else None
    return reason if isinstance(reason, str) and reason != DisconnectReason.UNKNOWN_REASON else ""


def _job_id(identity: str) -> str | None:
    """Return the job in an agent's default identity `agent-<job id>`."""
    return identity.removeprefix("agent-") if identity.startswith("agent-AJ_") else None
