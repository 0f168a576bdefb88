"""Asks LiveKit what is in a room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.livekit.client import LiveKitClient, SeenDispatch, SeenParticipant


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


async def observe_room(
    client: LiveKitClient, project: str, room_name: str, *, at: datetime, with_dispatches: bool
) -> RoomObservation:
    """Return what is in a room; raises `LiveKitUnavailableError` when LiveKit does not answer.

    The room is requested first: ListDispatch on a room that is gone takes 3 s and fails, and ListParticipants does not
    say which session of the name it lists.
    """
    room = await client.find_room(room_name)
    if room is None:
        return RoomObservation(project, room_name, "", (), () if with_dispatches else None, at)
    participants = await client.list_participants(room_name)
    dispatches = await client.list_dispatches(room_name) if with_dispatches else None
    return RoomObservation(
        project, room_name, room.sid, tuple(participants), None if dispatches is None else tuple(dispatches), at
    )
