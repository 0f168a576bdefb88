"""`livekit_refuses` and `livekit_unreachable`: LiveKit cannot be called; `webhooks_silent`: it does not call us."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.db.types import IncidentKind
from app.incidents.conditions.agents_not_joining import Waiting
from app.incidents.conditions.queues_growing import QueueLength
from app.incidents.sighting import Key, Level, Sighting
from app.incidents.wording import NOT_CONFIGURED
from app.livekit.failures.trouble import Trouble

REFUSED_TO_OPEN: Final = 2
"""Calls in a row: one may have been refused for a reason of its own."""
FAILED_TO_OPEN: Final = 5
"""Calls in a row without an answer: a read is tried four times, and single ones fail."""


@dataclass(frozen=True, slots=True)
class LiveKitState:
    """What one replica knows of one project.

    `was_called` is False as long as it has not called LiveKit. `trouble` is None while LiveKit answers it; `recent` are
    the failures of the last minute, whatever was answered since.
    """

    replica: str
    project: str
    was_called: bool
    trouble: Trouble | None
    recent: tuple[Trouble, ...] = ()


def livekit_troubles(states: Iterable[LiveKitState], waiting: Mapping[str, int]) -> Iterator[Sighting]:
    """Yield the projects whose LiveKit cannot be called; `waiting`: callers who wait now, by project."""
    by_project: defaultdict[str, list[LiveKitState]] = defaultdict(list)
    for state in states:
        by_project[state.project].append(state)
    for project, known in sorted(by_project.items()):
        for kind in (IncidentKind.LIVEKIT_REFUSES, IncidentKind.LIVEKIT_UNREACHABLE):
            sighting = _judge(Key(kind, "", project), known, waiting.get(project, 0))
            if sighting is not None:
                yield sighting


def waiting_by_project(waiting: Iterable[Waiting], queues: Iterable[QueueLength]) -> Counter[str]:
    """Return how many callers wait in each project, for their agent or in a queue."""
    counts = Counter(one.project for one in waiting)
    for queue in queues:
        counts[queue.project] += queue.waiting
    return counts


def removed_projects(waiting: Mapping[str, int], served: Collection[str]) -> Iterator[Sighting]:
    """Yield the projects that no replica has configured while callers wait there; `waiting`: how many, by project."""
    for project, number in sorted(waiting.items()):
        if project not in served:
            detail = {"reason": NOT_CONFIGURED, "text": "the project is not configured", "waiting": number}
            yield Sighting(Key(IncidentKind.LIVEKIT_UNREACHABLE, "", project), Level.OPEN, number, detail)


def _judge(key: Key, states: Sequence[LiveKitState], waiting: int) -> Sighting | None:
    is_refusal = key.kind is IncidentKind.LIVEKIT_REFUSES
    least = REFUSED_TO_OPEN if is_refusal else FAILED_TO_OPEN
    troubles = [(one.trouble, one.replica) for one in states if one.trouble is not None]
    failing = [(trouble, replica) for trouble, replica in troubles if trouble.kind.is_refusal == is_refusal]
    if not failing:
        failed_lately = any(trouble.kind.is_refusal == is_refusal for one in states for trouble in one.recent)
        # Without a call since the start, what was found before it holds.
        is_held = failed_lately or not any(one.was_called for one in states)
        return Sighting(key, Level.HELD, 0) if is_held else None
    worst, replica = max(failing, key=lambda one: one[0].failures)
    detail = {"reason": str(worst.kind), "text": worst.text, "replica": replica, "waiting": waiting}
    return Sighting(key, Level.OPEN if worst.failures >= least else Level.HELD, max(1, waiting), detail)


def silent_webhooks(missed_joins: Mapping[str, int]) -> Iterator[Sighting]:
    """Yield the projects with joins that the sweep found and no webhook reported, until one arrives again."""
    for project, missed in sorted(missed_joins.items()):
        if missed:
            yield Sighting(Key(IncidentKind.WEBHOOKS_SILENT, "", project), Level.OPEN, missed, {"joins": missed})
