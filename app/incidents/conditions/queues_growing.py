"""`queue_growing`: callers wait in a queue, and more come than get a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.db.types import IncidentKind
from app.incidents.sighting import MAX_CALLS, Key, Level, Sighting

RECENT: Final = timedelta(minutes=5)
"""Those who came, and those who got a place, are counted over this time."""
WAITING_TO_OPEN: Final = 3
WAIT_TO_OPEN_S: Final = 60.0
WAITING_TO_CLOSE: Final = 2
WAIT_TO_CLOSE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class QueueLength:
    """The callers who wait for a place with one agent; `came` and `started` count those of the last `RECENT`."""

    agent: str
    project: str
    waiting: int
    longest_s: float
    came: int
    started: int
    calls: Sequence[str]


def growing_queues(queues: Iterable[QueueLength]) -> Iterator[Sighting]:
    """Yield the queues that grow, and those that did and have not become short since."""
    for queue in queues:
        if queue.waiting < WAITING_TO_CLOSE or queue.longest_s < WAIT_TO_CLOSE_S:
            continue
        is_long = queue.waiting >= WAITING_TO_OPEN and queue.longest_s >= WAIT_TO_OPEN_S
        level = Level.OPEN if is_long and queue.came > queue.started else Level.HELD
        detail = {
            "waiting": queue.waiting,
            "longest_wait_s": round(queue.longest_s),
            "came": queue.came,
            "started": queue.started,
            "calls": list(queue.calls[:MAX_CALLS]),
        }
        yield Sighting(Key(IncidentKind.QUEUE_GROWING, queue.agent, queue.project), level, queue.waiting, detail)
