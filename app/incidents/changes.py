"""Compares what is wrong now with the incidents that are open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.db.types import IncidentKind
from app.incidents.incident import Incident
from app.incidents.sighting import Key, Level, Sighting

MAX_OPEN: Final = 500
"""Open incidents that are read at once, so that no more are opened: one that is not read would be opened again."""


@dataclass(slots=True)
class Changes:
    """What is to be written: incidents that open, those with another count or detail, and those that close."""

    opened: list[Sighting] = field(default_factory=list)
    updated: list[tuple[Incident, int, Mapping[str, Any]]] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.opened or self.updated or self.closed)


def plan_changes(
    known: Iterable[Incident], sightings: Iterable[Sighting], unjudged: Collection[IncidentKind]
) -> Changes:
    """Return what `sightings` change about the incidents that are open; those of kinds `unjudged` stay as they are.

    The count of an incident only grows. With `MAX_OPEN` of them open, others open once some have closed.
    """
    by_key = {one.key: one for one in sightings}
    changes = Changes()
    seen: set[Key] = set()
    for incident in known:
        seen.add(incident.key)
        sighting = by_key.get(incident.key)
        if incident.kind in unjudged:
            continue
        if sighting is None:
            changes.closed.append(incident)
            continue
        count = max(incident.count, sighting.count)
        detail = sighting.detail or incident.detail
        if count != incident.count or dict(detail) != dict(incident.detail):
            changes.updated.append((incident, count, detail))
    opened = [one for key, one in by_key.items() if key not in seen and one.level is Level.OPEN]
    changes.opened = opened[: max(0, MAX_OPEN - len(seen))]
    return changes
