"""What a condition finds at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from app.db.types import IncidentKind


class Level(IntEnum):
    """How sure it is that something is wrong; the gap between the two keeps an incident from flapping."""

    HELD = 1  # an incident that is open stays open
    OPEN = 2  # an incident opens


class Key(NamedTuple):
    """What there is at most one open incident of."""

    kind: IncidentKind
    subject: str
    project: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that is wrong now. `count`: the callers concerned, or 1 where it is not about callers."""

    key: Key
    level: Level
    count: int = 1
    detail: Mapping[str, Any] = field(default_factory=dict)


def caller_of(participant_sid: str, call_id: str) -> str:
    """Return what identifies a caller within a project: its SID, or the call where no participant is known.

    One caller may cause any number of dispatches, and each of them many attempts.
    """
    return participant_sid or call_id


RECENT_S = 600.0
"""What happened within this time opens an incident."""
QUIET_S = 900.0
"""An incident about callers closes when nothing more has happened for this long."""
MAX_CALLS = 5
"""Calls that the detail of an incident names, the latest."""


def level_of(seconds_ago: float) -> Level | None:
    """Return what follows from something that last happened so long ago."""
    if seconds_ago <= RECENT_S:
        return Level.OPEN
    return Level.HELD if seconds_ago <= QUIET_S else None
