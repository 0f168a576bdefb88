"""Queries about the callers and other people in a room whose agent has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from app.db.any_of import any_of, one_of_texts
from app.db.hot_statement import HotStatement
from app.db.tables import dispatch_callers, dispatches, events
from app.livekit.participant.role import CALLER_ROLES, Role
from app.livekit.vocabulary import LEAVINGS, EventType
from app.outbox.dispatch import Dispatch, Session


class Caller(NamedTuple):
    """A caller of a dispatch: `event_id` and `joined_at` are those of the event that brought it."""

    sid: str
    identity: str
    event_id: str
    joined_at: datetime
    left_at: datetime | None


class Other(NamedTuple):
    """A person in a room that no dispatch serves."""

    joined_at: datetime
    was_dialled: bool


@dataclass(frozen=True, slots=True)
class People:
    """The callers of dispatches, and the others in their rooms."""

    callers: Mapping[str, Sequence[Caller]] = field(default_factory=dict)
    """By dispatch."""
    others: Mapping[Session, Mapping[str, Other]] = field(default_factory=dict)
    """By room session and SID."""


_CALLERS = HotStatement(
    select(
        dispatch_callers.c.dispatch_id,
        dispatch_callers.c.participant_sid,
        dispatch_callers.c.participant_identity,
        dispatch_callers.c.event_id,
        events.c.received_at,
        dispatch_callers.c.left_at,
    )
    .join(events, events.c.id == dispatch_callers.c.event_id)
    .where(any_of(dispatch_callers.c.dispatch_id, "ids"))
)
_gone = events.alias("gone")
_OTHERS = HotStatement(
    select(
        events.c.project, events.c.room_sid, events.c.participant_sid, events.c.received_at, events.c.participant_role
    ).where(
        any_of(events.c.room_sid, "room_sids"),
        one_of_texts(events.c.type, [EventType.PARTICIPANT_JOINED]),
        one_of_texts(events.c.participant_role, CALLER_ROLES),
        ~select(_gone.c.id)
        .where(
            _gone.c.participant_sid == events.c.participant_sid,
            _gone.c.project == events.c.project,
            one_of_texts(_gone.c.type, LEAVINGS),
        )
        .exists(),
        ~select(dispatch_callers.c.dispatch_id)
        .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
        .where(dispatch_callers.c.participant_sid == events.c.participant_sid, dispatches.c.project == events.c.project)
        .exists(),
    )
)


def people_around(connection: Connection, of: Collection[Dispatch], with_others: Collection[Session]) -> People:
    """Return the callers of these dispatches, and the others in the rooms `with_others`, as far as events say."""
    if not of:
        return People()
    callers: dict[str, list[Caller]] = {}
    for dispatch_id, *caller in _CALLERS.rows(connection, {"ids": {one.id for one in of}}):
        callers.setdefault(dispatch_id, []).append(Caller(*caller))
    others: dict[Session, dict[str, Other]] = {}
    found = _OTHERS.rows(connection, {"room_sids": {sid for _, sid in with_others}}) if with_others else []
    for project, room_sid, sid, joined_at, role in found:
        others.setdefault((project, room_sid), {})[sid] = Other(joined_at, role == Role.CALLEE)
    return People(callers, others)
