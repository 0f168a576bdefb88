"""Flow 3, first half: what the webhooks themselves tell of agents, callers and rooms, in the accept transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.db.types import DispatchStatus
from app.flows.context import Context
from app.flows.deliver.settle import is_sent_away
from app.lifecycle.leaving import LEAVING_S, Consequences, Left, agent_gone, callers_gone, room_over
from app.lifecycle.transition import bear, move
from app.livekit.attributes import agent_name_of
from app.livekit.vocabulary import LEAVINGS, DisconnectReason, EventType, ParticipantKind
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move, live_in_rooms, mark_left, waiting_callers
from app.outbox.room_session import agents_asked_in_vain, served_lately, taken_back
from app.outbox.states import WAITING
from app.webhook.event import Event
from app.webhook.event_store import departed

_WATCHED = LEAVINGS | {EventType.PARTICIPANT_JOINED, EventType.ROOM_FINISHED}
"""Why an agent left that has connected anew: its next SID is told in a moment, or was told already."""


def observe_events(connection: Connection, context: Context, batch: Sequence[Event], now: datetime) -> Consequences:
    """Write what freshly stored events mean for live dispatches and return what is to be done after the commit.

    An agent is taken for the one dispatch that waits for its name; where several wait, none does, or an agent of that
    name may come by a call that was taken back, the room must be looked at.
    """
    consequences = Consequences.none()
    watched = [event for event in batch if _is_watched(event)]
    if not watched:
        return consequences
    left = {event.participant_sid for event in watched if event.type in LEAVINGS}
    mark_left(connection, left, now)
    rooms = {event.room_sid for event in watched if event.room_sid}
    live = {dispatch.id: dispatch for dispatch in live_in_rooms(connection, rooms)}
    if not live:
        return consequences
    known = _recall(connection, live, watched, now)
    gone = departed(connection, [event for event in watched if event.type == EventType.PARTICIPANT_JOINED])
    observer = _Observer(context, live, known, consequences, now)
    for event in watched:
        if event.type == EventType.ROOM_FINISHED:
            observer.room_finished(event)
        elif event.type in LEAVINGS:
            observer.participant_left(event)
        else:
            observer.agent_joined(event)
            if gone.include(event):  # its leaving was told first
                observer.participant_left(event)
    move(connection, consequences.moves, now)
    bear(connection, consequences.rows, now)
    return consequences


@dataclass(frozen=True, slots=True)
class _Known:
    """What the observer cannot see in the events. `doubtful`: by dispatch, names that prove nothing about an agent."""

    callers: Mapping[str, set[str]]
    doubtful: Mapping[str, set[str]]
    deserted: Collection[str]


def _recall(connection: Connection, live: Mapping[str, Dispatch], watched: Sequence[Event], now: datetime) -> _Known:
    callers = waiting_callers(connection, live.keys())
    doubtful: dict[str, set[str]] = {}
    if any(event.type == EventType.PARTICIPANT_JOINED for event in watched):
        doubtful = agents_asked_in_vain(connection, [one.id for one in live.values() if _gave_up(one)])
        back = taken_back(connection, {dispatch.room_sid for dispatch in live.values()})
        for dispatch in live.values():
            doubtful.setdefault(dispatch.id, set()).update(back.get(dispatch.room_sid, ()))
    gone = {event.participant_sid for event in watched if event.type in LEAVINGS}
    losing = [dispatch.id for dispatch in live.values() if dispatch.agent_sid in gone]
    return _Known(callers, doubtful, served_lately(connection, losing, now - timedelta(seconds=LEAVING_S)))


def _gave_up(dispatch: Dispatch) -> bool:
    """Return whether an attempt of `dispatch` may have been given up; spares most the question which."""
    return dispatch.attempts > 1 or dispatch.counted_attempts > 0


def _is_watched(event: Event) -> bool:
    if event.type == EventType.PARTICIPANT_JOINED:
        return event.participant_kind == ParticipantKind.AGENT
    return event.type in _WATCHED


class _Observer:
    """Follows a batch of events through the live dispatches of their rooms, in memory."""

    def __init__(
        self,
        context: Context,
        live: dict[str, Dispatch],
        known: _Known,
        consequences: Consequences,
        now: datetime,
    ) -> None:
        self._context = context
        self._live = live
        self._known = known
        self._callers = known.callers
        self._consequences = consequences
        self._now = now

    def room_finished(self, event: Event) -> None:
        for dispatch in self._in_room(event):
            self._carry_out(room_over(dispatch, "the room was closed", self._now))

    def participant_left(self, event: Event) -> None:
        sid, reason = event.participant_sid, _disconnect_reason(event)
        for dispatch in self._in_room(event):
            if dispatch.agent_sid == sid:
                self._agent_left(dispatch, event, reason)
            elif self._callers.get(dispatch.id) == set() and self._served(dispatch, sid, event):
                change, withdrawal = callers_gone(dispatch, self._now)
                if change is not None:
                    self._carry_out(change)
                if withdrawal is not None:
                    self._consequences.withdrawals.append(withdrawal)

    def agent_joined(self, event: Event) -> None:
        name = agent_name_of(_attributes(event))
        here = self._in_room(event)
        if any(dispatch.agent_sid == event.participant_sid for dispatch in here):
            return
        back = [one for one in here if one.agent_identity and one.agent_identity == event.participant_identity]
        if back:
            again = {"agent_sid": event.participant_sid}
            self._carry_out(Move(back[0], back[0].status, "the agent has reconnected", fields=again))
            return
        same = [one for one in here if name in {"", one.agent_to_ask, one.agent_name}]
        waiting = [one for one in same if one.status in WAITING and one.may_be_at_livekit and one.agent_to_ask == name]
        doubtful = any(name in self._known.doubtful.get(dispatch.id, ()) for dispatch in same)
        if len(waiting) == 1 and not doubtful:
            fields = {
                "agent_identity": event.participant_identity,
                "agent_sid": event.participant_sid,
                "job_id": _job_id(event.participant_identity),
                "joined_at": event.received_at,
                "lease_owner": None,
                "lease_until": None,
                "next_attempt_at": None,
                "must_look": is_sent_away(waiting[0]),
            }
            self._carry_out(Move(waiting[0], DispatchStatus.JOINED, "the agent is in the room", fields=fields))
        elif same:
            self._consequences.rooms_to_look_at.add((event.project, event.room_name))

    def _served(self, dispatch: Dispatch, sid: str, event: Event) -> bool:
        # Callers that have left are no longer in the set; the last one's leaving is what this event tells.
        return dispatch.id in self._callers and event.participant_kind != ParticipantKind.AGENT and bool(sid)

    def _agent_left(self, dispatch: Dispatch, event: Event, reason: str) -> None:
        if dispatch.status is not DispatchStatus.JOINED:
            return
        if reason == DisconnectReason.DUPLICATE_IDENTITY:
            self._consequences.rooms_to_look_at.add((event.project, event.room_name))
            return
        callers = self._callers.get(dispatch.id) != set()
        left = Left(callers=callers, newcomers=callers and dispatch.id in self._known.deserted)
        budget = self._context.settings.recovery_budget
        change, row = agent_gone(dispatch, reason, left, budget=budget, now=self._now)
        self._carry_out(change)
        if row is not None:
            self._consequences.rows.append(row)

    def _in_room(self, event: Event) -> list[Dispatch]:
        return [
            dispatch
            for dispatch in self._live.values()
            if dispatch.room_sid == event.room_sid and dispatch.project == event.project
        ]

    def _carry_out(self, change: Move) -> None:
        self._consequences.moves.append(change)
        dispatch = change.dispatch
        if change.status in {DispatchStatus.ENDED, DispatchStatus.CANCELLED}:
            del self._live[dispatch.id]
        else:
            self._live[dispatch.id] = _changed(dispatch, change)


def _changed(dispatch: Dispatch, change: Move) -> Dispatch:
    return dispatch._replace(status=change.status, reason=change.reason, **change.fields)


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
