"""Reads what the database intends for a room, to be compared with what LiveKit showed of it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from app.db.tables import dispatches
from app.livekit.vocabulary import ParticipantKind
from app.observe.compare import Intentions
from app.observe.observation import RoomObservation
from app.outbox.dispatch import DISPATCH_ID_ATTRIBUTE
from app.outbox.dispatch_store import waiting_callers
from app.outbox.room_session import agents_given_up, callers_since, cancelled_agents, earlier_agents, live_under_name
from app.outbox.states import REDRIVABLE


def read_intentions(connection: Connection, seen: RoomObservation) -> Intentions:
    """Return what concerns the room in `seen`; its live dispatches are locked until the transaction ends."""
    live = live_under_name(connection, seen.project, seen.room_name)
    ids = [dispatch.id for dispatch in live]
    noted = {dispatch.agent_sid for dispatch in live if dispatch.room_sid == seen.room_sid}
    unknown = {one.identity for one in seen.participants if one.kind == ParticipantKind.AGENT and one.sid not in noted}
    return Intentions(
        live=live,
        callers=waiting_callers(connection, ids),
        newcomers=callers_since(connection, ids, seen.at),
        unwanted=_unwanted_marks(connection, seen, ids),
        given_up=agents_given_up(connection, ids),
        cancelled_agents=cancelled_agents(connection, [seen.room_sid]).get(seen.room_sid, ()) if unknown else (),
        returning=earlier_agents(connection, seen.project, seen.room_name, seen.room_sid, unknown),
    )


def _unwanted_marks(connection: Connection, seen: RoomObservation, live: Collection[str]) -> set[str]:
    """Return the ids seen in the room of dispatches of ours that want no agent any more."""
    marks = {entry.attributes.get(DISPATCH_ID_ATTRIBUTE) for entry in seen.dispatches or ()} - {None, *live}
    if not marks:
        return set()
    query = select(dispatches.c.id).where(dispatches.c.id.in_(marks), dispatches.c.status.in_(REDRIVABLE))
    return set(connection.execute(query).scalars())
