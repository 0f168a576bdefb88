"""`replica_clock`: the clock of a replica's machine is off; `webhook_paused`: a program takes no webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from app.db.database_clock import CLOCK_OFF_S
from app.db.types import IncidentKind
from app.incidents.sighting import Key, Level, Sighting

CLOCK_RIGHT_S: Final = 3.0
"""Seconds: an incident closes below this."""


def clocks_off(ahead_s: Mapping[str, float]) -> Iterator[Sighting]:
    """Yield the replicas whose clocks differ from the database's; `ahead_s` is by how many seconds, by replica."""
    for replica, ahead in sorted(ahead_s.items()):
        if abs(ahead) > CLOCK_RIGHT_S:
            level = Level.OPEN if abs(ahead) > CLOCK_OFF_S else Level.HELD
            yield Sighting(Key(IncidentKind.REPLICA_CLOCK, replica, ""), level, 1, {"ahead_s": round(ahead)})


def paused_webhooks(paused: Iterable[tuple[str, int, bool]]) -> Iterator[Sighting]:
    """Yield the subscriptions that are paused, each with how many deliveries it holds up, and whether it is gone."""
    for name, pending, is_gone in paused:
        key = Key(IncidentKind.WEBHOOK_PAUSED, name, "")
        yield Sighting(key, Level.OPEN, max(1, pending), {"pending": pending, "gone": is_gone})
