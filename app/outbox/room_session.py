"""Queries about the dispatches of a room session: its callers, the agents asked for, those that may still come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, or_, select, text

from app.db.any_of import any_of
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import HotStatement
from app.db.record_ids import lowest_id_at
from app.db.tables import IS_OF_ROOM, LOST_ROOM, dispatch_attempts, dispatch_callers, dispatches, events, status_in
from app.db.types import LIVE, AttemptOutcome, Cause, DispatchStatus, ReplacesKind
from app.livekit.vocabulary import EventType
from app.outbox.dispatch import Dispatch, Session
from app.outbox.dispatch_store import NO_LATE_AGENT

_IN_LIVE_ROOM = (dispatches, "INDEXED BY ix_dispatches_live_room", "sqlite")
_LIVE_UNDER_NAME = HotStatement(
    select(dispatches)
    .with_hint(*_IN_LIVE_ROOM)
    .where(
        dispatches.c.room_name == bindparam("room_name"),
        dispatches.c.project == bindparam("project"),
        status_in(*LIVE),
    )
    .order_by(dispatches.c.id)
)


def live_under_name(connection: Connection, project: str, room_name: str) -> list[Dispatch]:
    """Return the live dispatches of all sessions of a room name, oldest first."""
    found = _LIVE_UNDER_NAME.rows(connection, {"project": project, "room_name": room_name})
    return [Dispatch.from_values(row) for row in found]


# The status is compared by the caller: in the condition, SQLite would search all dispatches ever cancelled.
_ASKED_FOR = HotStatement(
    select(dispatches.c.project, dispatches.c.room_sid, dispatches.c.status, dispatch_attempts.c.agent_name)
    .join(dispatches, dispatches.c.id == dispatch_attempts.c.dispatch_id)
    .where(any_of(dispatches.c.room_sid, "room_sids"))
    .distinct()
)


def cancelled_agents(connection: Connection, sessions: Collection[Session]) -> dict[Session, set[str]]:
    """Return, by room session, the agents that cancelled dispatches asked for: one may still be on its way."""
    if not sessions:
        return {}
    names: dict[Session, set[str]] = {}
    asked = {"room_sids": {sid for _, sid in sessions}}
    for project, room_sid, status, agent_name in _ASKED_FOR.rows(connection, asked):
        if status == DispatchStatus.CANCELLED:
            names.setdefault((project, room_sid), set()).add(agent_name)
    return names


_COMES_WITHIN = timedelta(minutes=5)
"""How long after its dispatch was cancelled an agent may still join: most take seconds to start."""
_MADE_WITHIN = timedelta(hours=1)
"""How long ago such a dispatch was made at most; bounds what is read of a room name that is used again and again."""
_ASKED_UNDER_NAME = HotStatement(
    select(dispatches.c.status, dispatches.c.ended_at, dispatch_attempts.c.agent_name)
    .join(dispatches, dispatches.c.id == dispatch_attempts.c.dispatch_id)
    .where(
        dispatches.c.room_name == bindparam("room_name"),
        dispatches.c.project == bindparam("project"),
        dispatches.c.id >= bindparam("first_id"),
    )
    .distinct()
)


def cancelled_under_name(connection: Connection, project: str, room_name: str, now: datetime) -> set[str]:
    """Return the agents of dispatches of a room name, in any session, that were cancelled a moment ago.

    Seen: an agent whose room was deleted while it was starting opens the room again, under another SID, and stays.
    """
    asked = {"room_name": room_name, "project": project, "first_id": lowest_id_at(now - _MADE_WITHIN)}
    return {
        agent_name
        for status, ended_at, agent_name in _ASKED_UNDER_NAME.rows(connection, asked)
        if status == DispatchStatus.CANCELLED and ended_at is not None and ended_at >= now - _COMES_WITHIN
    }


def deserted_agents(connection: Connection, project: str, room_sid: str) -> set[str]:
    """Return the SIDs of agents of a session whose dispatch ended because their callers left or got another agent."""
    query = select(dispatches.c.agent_sid).where(
        dispatches.c.room_sid == room_sid,
        dispatches.c.project == project,
        dispatches.c.cause.in_([Cause.CALLERS_LEFT, Cause.HANDED_OVER]),
        dispatches.c.agent_sid.is_not(None),
    )
    return set(connection.execute(query).scalars())


def earlier_agents(
    connection: Connection, project: str, room_name: str, room_sid: str, identities: Collection[str]
) -> dict[str, str]:
    """Return, by the agent's identity, the caller that it served in another session of the room name, or before."""
    if not identities:
        return {}
    query = select(dispatches.c.agent_identity, dispatches.c.participant_identity).where(
        dispatches.c.project == project,
        dispatches.c.room_name == room_name,
        or_(dispatches.c.room_sid != room_sid, dispatches.c.status == DispatchStatus.ENDED),
        dispatches.c.agent_identity.in_(identities),
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def same_intents(connection: Connection, of: Collection[Dispatch]) -> dict[str, str]:
    """Return the ids of other dispatches with the same session and intent, with the id of the one among `of`."""
    found: dict[str, str] = {}
    for dispatch in of:
        query = select(dispatches.c.id).where(
            dispatches.c.room_sid == dispatch.room_sid,
            dispatches.c.project == dispatch.project,
            dispatches.c.intent_key == dispatch.intent_key,
            dispatches.c.id != dispatch.id,
        )
        found |= dict.fromkeys(connection.execute(query).scalars(), dispatch.id)
    return found


_BEGINS_AND_ENDS = HotStatement(
    select(events.c.project, events.c.room_sid, events.c.type)
    .with_hint(events, "INDEXED BY ix_events_of_room", "sqlite")
    .where(any_of(events.c.room_sid, "room_sids"), text(IS_OF_ROOM))
    .order_by(events.c.occurred_at, events.c.id)
)


def closed_sessions(connection: Connection, sessions: Collection[Session]) -> set[Session]:
    """Return those of the room sessions that LiveKit has said to have closed, and not to have made again since."""
    rows = _BEGINS_AND_ENDS.rows(connection, {"room_sids": {sid for _, sid in sessions}})
    last = {(project, sid): event_type for project, sid, event_type in rows}
    return {session for session in sessions if last.get(session) == EventType.ROOM_FINISHED}


_redriven = dispatches.alias("redriven")


def redriven_as(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Return by the id of each of these dispatches that was redriven the id of its successor."""
    query = (
        select(dispatches.c.replaces, dispatches.c.id)
        .join(_redriven, _redriven.c.event_id == dispatches.c.event_id)
        .where(_redriven.c.id.in_(ids), dispatches.c.replaces == _redriven.c.id)
        .where(dispatches.c.replaces_kind == ReplacesKind.REDRIVE)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


_TOLD_SINCE = HotStatement(
    select(dispatch_callers.c.participant_sid)
    .join(events, events.c.id == dispatch_callers.c.event_id)
    .where(
        any_of(dispatch_callers.c.dispatch_id, "ids"),
        events.c.received_at >= bindparam("instant"),
    )
)


def callers_since(connection: Connection, ids: Collection[str], instant: datetime) -> set[str]:
    """Return the SIDs of callers of these dispatches whose event was received at `instant` or later."""
    if not ids:
        return set()
    return {sid for (sid,) in _TOLD_SINCE.rows(connection, {"ids": ids, "instant": instant})}


_ASKED_IN_VAIN = HotStatement(
    select(dispatch_attempts.c.dispatch_id, dispatch_attempts.c.agent_name).where(
        any_of(dispatch_attempts.c.dispatch_id, "ids"),
        dispatch_attempts.c.outcome == AttemptOutcome.NO_SHOW,
        dispatch_attempts.c.error_code.is_distinct_from(NO_LATE_AGENT),
    )
)


def agents_given_up(connection: Connection, ids: Collection[str]) -> dict[str, set[str]]:
    """Return, by dispatch, the agents of given up attempts that may still come: one that does is one too many."""
    if not ids:
        return {}
    names: dict[str, set[str]] = {}
    for dispatch_id, agent_name in _ASKED_IN_VAIN.rows(connection, {"ids": ids}):
        names.setdefault(dispatch_id, set()).add(agent_name)
    return names


LOST_IN_SESSIONS = (
    select(dispatches.c.id)
    .with_hint(dispatches, "INDEXED BY ix_dispatches_lost_room", "sqlite")
    .where(any_of(dispatches.c.room_name, "room_names"), any_of(dispatches.c.room_sid, "room_sids"), text(LOST_ROOM))
)
"""Dispatches of these room sessions that ended because LiveKit did not list the room."""

_SESSION = (dispatches.c.project, dispatches.c.room_name, dispatches.c.agent_name, dispatches.c.room_sid)
_UNDER_NAME = any_of(dispatches.c.room_name, "room_names")
SERVED_UNDER_NAME = (
    select(*_SESSION)
    .distinct()  # of the thousands that a room may have
    .with_hint(*_IN_LIVE_ROOM)
    .where(_UNDER_NAME, status_in(*LIVE), dispatches.c.joined_at.is_not(None)),  # of the live, those that are joined
    select(*_SESSION)
    .with_hint(dispatches, "INDEXED BY ix_dispatches_lost_room", "sqlite")
    .where(
        _UNDER_NAME,
        text(LOST_ROOM),
        dispatches.c.joined_at.is_not(None),
        dispatches.c.ended_at >= bindparam("lost_since", type_=Timestamp()),
    ),
)
"""Two SELECTs of project, room name, agent and session, of these room names.

The first: sessions that such an agent serves. The second: sessions that ended lately because their room vanished.
"""
