"""`no_show` and `no_rule`: callers who got no agent, since none joined or no rule matched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from app.db.types import IncidentKind
from app.incidents.sighting import MAX_CALLS, Key, Sighting, level_of


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call without an agent. `subject`: the rule that wanted one, if any matched. `caller`: see `caller_of`."""

    kind: IncidentKind
    subject: str
    project: str
    call_id: str
    caller: str
    at: datetime


def callers_without_agents(lost: Iterable[LostCall], now: datetime) -> Iterator[Sighting]:
    """Yield an incident for each rule (or project) whose callers got no agent lately."""
    by_key: defaultdict[Key, list[LostCall]] = defaultdict(list)
    for one in lost:
        by_key[Key(one.kind, one.subject, one.project)].append(one)
    for key, calls in sorted(by_key.items()):
        calls.sort(key=lambda one: one.at, reverse=True)
        level = level_of((now - calls[0].at).total_seconds())
        if level is not None:
            named = list(dict.fromkeys(one.call_id for one in calls))
            yield Sighting(key, level, len({one.caller for one in calls}), {"calls": named[:MAX_CALLS]})
