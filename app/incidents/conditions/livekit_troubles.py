"""`livekit_refuses` and `livekit_unreachable`: LiveKit cannot be called; `webhooks_silent`: it does not call us."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from app.db.types import IncidentKind
from app.incidents.sighting import Key, Level, Sighting
from app.livekit.failures.trouble import Trouble

REFUSED_TO_OPEN: Final = 2
"""Calls in a row: one may have been refused for a reason of its own."""
FAILED_TO_OPEN: Final = 5
"""Calls in a row without an answer: a read is tried four times, and single ones fail."""


@dataclass(frozen=True, slots=True)
class LiveKitState:
    """What one replica knows of one project; `was_called` is False as long as it has not called LiveKit."""

    replica: str
    project: str
    was_called: bool
    trouble: Trouble | None


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


def _judge(key: Key, states: Iterable[LiveKitState], waiting: int) -> Sighting | None:
    is_refusal = key.kind is IncidentKind.LIVEKIT_REFUSES
    least = REFUSED_TO_OPEN if is_refusal else FAILED_TO_OPEN
    level, worst, replica = None, None, ""
    for state in states:
        trouble = state.trouble
        if trouble is None or trouble.kind.is_refusal != is_refusal:
            # Nothing was asked since the start: what was found before it holds.
            level = level or (None if state.was_called else Level.HELD)
            continue
        if worst is None or trouble.failures > worst.failures:
            worst, replica = trouble, state.replica
        level = max(level or Level.HELD, Level.OPEN if trouble.failures >= least else Level.HELD)
    if level is None:
        return None
    if worst is None:
        return Sighting(key, level, 0)
    detail = {"reason": str(worst.kind), "text": worst.text, "replica": replica, "waiting": waiting}
    return Sighting(key, level, max(1, waiting), detail)


def silent_webhooks(missed_joins: Mapping[str, int]) -> Iterator[Sighting]:
    """Yield the projects with joins that the sweep found and no webhook reported, until one arrives again."""
    for project, missed in sorted(missed_joins.items()):
        if missed:
            yield Sighting(Key(IncidentKind.WEBHOOKS_SILENT, "", project), Level.OPEN, missed, {"joins": missed})
