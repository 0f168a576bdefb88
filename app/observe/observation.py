"""Asks LiveKit what is in a room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.livekit.client import LiveKitClient, SeenDispatch, SeenParticipant
from app.livekit.outcome import LiveKitUnavailableError


@dataclass(frozen=True, slots=True)
class RoomObservation:
    """A room name as LiveKit had it at `at`.

    `room_sid` is empty when no session has that name now. `dispatches` is None when they were not asked for.
    """

    project: str
    room_name: str
    room_sid: str
    participants: tuple[SeenParticipant, ...]
    dispatches: tuple[SeenDispatch, ...] | None
    at: datetime
    is_served: bool | None = None
    """Whether a node answers for the name although no room of it is listed; None if that was not asked."""


async def observe_room(
    client: LiveKitClient,
    project: str,
    room_name: str,
    *,
    at: datetime,
    with_dispatches: bool,
    ask_node: bool = False,
) -> RoomObservation:
    """Return what is in a room; raises `LiveKitUnavailableError` when LiveKit does not answer.

    The room is requested first: ListDispatch on a room that is gone takes 3 s and fails, and ListParticipants does not
    say which session of the name it lists. With `ask_node` that call is made for a room that is not listed too: rooms
    are listed from LiveKit's store, which may have lost its data, and dispatches by the node that serves the room.
    """
    room = await client.find_room(room_name)
    if room is None:
        listed = await _from_node(client, room_name) if ask_node else ()
        is_served = listed is not None if ask_node else None
        dispatches = tuple(listed or ()) if with_dispatches else None
        return RoomObservation(project, room_name, "", (), dispatches, at, is_served)
    participants = tuple(await client.list_participants(room_name))
    dispatches = tuple(await client.list_dispatches(room_name)) if with_dispatches else None
    return RoomObservation(project, room_name, room.sid, participants, dispatches, at)


async def _from_node(client: LiveKitClient, room_name: str) -> list[SeenDispatch] | None:
    try:
        return await client.list_dispatches(room_name)
    except LiveKitUnavailableError:
        return None
