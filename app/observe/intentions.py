"""Reads what the database intends for a room, to be compared with what LiveKit showed of it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, select

from app.db.any_of import any_of
from app.db.tables import dispatches, token_dispatches
from app.observe.compare import Intentions, PromisedMark
from app.observe.ghosts import ghosts_among, restarts
from app.observe.observation import RoomObservation
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE
from app.outbox.dispatch_store import waiting_callers
from app.outbox.room_session import (
    agents_given_up,
    callers_since,
    cancelled_agents,
    cancelled_under_name,
    deserted_agents,
    earlier_agents,
    live_under_name,
)
from app.outbox.states import REDRIVABLE

_ENDED = select(dispatches.c.id, dispatches.c.status, dispatches.c.room_sid, dispatches.c.livekit_dispatch_id).where(
    any_of(dispatches.c.id, "ids"), dispatches.c.project == bindparam("project")
)
_PROMISED = select(token_dispatches.c.id, token_dispatches.c.agent_name, token_dispatches.c.participant_identity).where(
    any_of(token_dispatches.c.id, "ids"),
    token_dispatches.c.project == bindparam("project"),
    token_dispatches.c.room_name == bindparam("room_name"),
)


def read_intentions(connection: Connection, seen: RoomObservation) -> Intentions:
    """Return what concerns the room in `seen`."""
    live = live_under_name(connection, seen.project, seen.room_name)
    ids = [dispatch.id for dispatch in live]
    noted = {dispatch.agent_sid for dispatch in live if dispatch.room_sid == seen.room_sid}
    unknown = {one.identity for one in seen.participants if one.is_agent and one.sid not in noted}
    unwanted, promised = _marks(connection, seen, ids)
    session = (seen.project, seen.room_sid)
    return Intentions(
        live=live,
        callers=waiting_callers(connection, ids),
        newcomers=callers_since(connection, ids, seen.at),
        unwanted=unwanted,
        promised=promised,
        given_up=agents_given_up(connection, ids),
        cancelled_agents=_cancelled_agents(connection, seen) if unknown else (),
        deserted=deserted_agents(connection, seen.project, seen.room_sid) if unknown else (),
        returning=earlier_agents(connection, seen.project, seen.room_name, seen.room_sid, unknown),
        ghosts=ghosts_among(seen.participants, restarts(connection, [session]).get(session)),
    )


def _cancelled_agents(connection: Connection, seen: RoomObservation) -> set[str]:
    session = (seen.project, seen.room_sid)
    of_session = cancelled_agents(connection, [session]).get(session, set())
    return of_session | cancelled_under_name(connection, seen.project, seen.room_name, seen.at)


def _marks(connection: Connection, seen: RoomObservation, live: Collection[str]) -> tuple[set[str], list[PromisedMark]]:
    """Return the ids on the room's list of dispatches of ours that want no agent any more, and those of tokens.

    A dispatch that was given up in this very session has been, or is being, taken back, whatever token it came with.
    """
    marks = {entry.attributes.get(DISPATCH_ID_ATTRIBUTE) for entry in seen.dispatches or ()} - {None, *live}
    if not marks:
        return set(), []
    ended = {row.id: row for row in connection.execute(_ENDED, {"ids": marks, "project": seen.project})}
    unwanted = {one.id for one in ended.values() if one.status in REDRIVABLE}
    spent = {one.id: one for one in ended.values() if one.room_sid == seen.room_sid}
    asked = {"ids": marks - (unwanted & spent.keys()), "project": seen.project, "room_name": seen.room_name}
    tokens = connection.execute(_PROMISED, asked).all()
    promised = [
        PromisedMark(
            row.id,
            row.agent_name,
            row.participant_identity,
            spent[row.id].livekit_dispatch_id if row.id in spent else None,
        )
        for row in tokens
    ]
    return unwanted, promised
