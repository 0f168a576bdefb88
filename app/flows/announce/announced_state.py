"""What is announced to callers, from the rows of their dispatches: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from app.audit import Place
from app.db.types import DispatchStatus
from app.livekit.attributes import ANNOUNCED_POSITION, ANNOUNCED_STATE, ANNOUNCED_WAIT

INTERVAL_S: Final = 2.0
"""Shortest time between two announcements to one caller."""
FAR_INTERVAL_S: Final = 10.0
"""The same for callers far back in the queue: each start moves all positions, and a thousand calls of UpdateParticipant
every 2 s would take LiveKit's time from those that are next."""
FAR_POSITION: Final = 5


class AnnouncedState(StrEnum):
    """The values of `usher.state`."""

    QUEUED = "queued"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


class Listener(NamedTuple):
    """A caller that gets announcements."""

    project: str
    room_name: str
    identity: str


@dataclass(frozen=True, slots=True)
class Announced:
    """One dispatch of a caller, as far as it is announced."""

    listener: Listener
    dispatch_id: str
    status: DispatchStatus
    queued_at: datetime | None


_RANK = {AnnouncedState.CONNECTED: 0, AnnouncedState.CONNECTING: 1, AnnouncedState.QUEUED: 2}


def state_of(status: DispatchStatus, queued_at: datetime | None) -> AnnouncedState | None:
    """Return what is announced of a dispatch; None if nothing is."""
    match status:
        case DispatchStatus.JOINED:
            return AnnouncedState.CONNECTED
        case DispatchStatus.NO_SHOW | DispatchStatus.FAILED:
            return AnnouncedState.FAILED
        case DispatchStatus.PENDING | DispatchStatus.SENDING | DispatchStatus.DISPATCHED:
            return AnnouncedState.CONNECTING if queued_at is None else AnnouncedState.QUEUED
        case DispatchStatus.ENDED | DispatchStatus.CANCELLED:
            return None


def chosen(found: Iterable[Announced]) -> dict[Listener, Announced]:
    """Return for each caller the dispatch that counts: the one whose agent is there, else the one that is nearest."""
    best: dict[Listener, Announced] = {}
    for one in found:
        known = best.get(one.listener)
        if known is None or _rank(one) < _rank(known):
            best[one.listener] = one
    return best


def _rank(one: Announced) -> int:
    state = state_of(one.status, one.queued_at)
    return len(_RANK) if state is None else _RANK.get(state, len(_RANK))


def attributes_of(state: AnnouncedState | None, place: Place | None) -> dict[str, str]:
    """Return the attributes of a caller, without a state if nothing is announced; empty ones are removed by LiveKit."""
    position = wait = ""
    if state is AnnouncedState.QUEUED and place is not None:
        position = str(place.position)
        wait = "" if place.expected_wait_s is None else str(round(place.expected_wait_s))
    return {ANNOUNCED_STATE: state or "", ANNOUNCED_POSITION: position, ANNOUNCED_WAIT: wait}


def interval_after(sent: Mapping[str, str], wanted: Mapping[str, str]) -> float:
    """Return the seconds between what was `sent` and what is `wanted`, at least."""
    position = wanted[ANNOUNCED_POSITION]
    is_far = position != "" and int(position) > FAR_POSITION
    return FAR_INTERVAL_S if is_far and sent[ANNOUNCED_STATE] == wanted[ANNOUNCED_STATE] else INTERVAL_S
