"""`agent_not_joining`: an agent that was asked did not join, also where a fallback then did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.db.types import IncidentKind, format_instant
from app.incidents.sighting import MAX_CALLS, Key, Level, Sighting

LATEST: Final = 5
"""Attempts of an agent that are judged, the latest."""
FAILED_TO_OPEN: Final = 3
JOINED_TO_CLOSE: Final = 3
"""An incident closes once as many attempts in a row have succeeded, or none failed for an hour."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that is decided: a call to LiveKit, or a probe (`call_id` None). `caller`: see `caller_of`."""

    agent: str
    project: str
    at: datetime
    joined: bool
    call_id: str | None = None
    caller: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent that is awaited. `is_overdue`: it should have joined by now; `has_agent`: another agent has the call."""

    agent: str
    project: str
    call_id: str
    caller: str
    is_overdue: bool
    since: datetime
    has_agent: bool = False


def agents_not_joining(
    attempts: Iterable[Attempt], waiting: Iterable[Waiting], is_wanted: Callable[[str], bool]
) -> Iterator[Sighting]:
    """Yield the agents that do not join.

    Callers who wait too long count as failed attempts that are not decided yet. `is_wanted` says of which agents one
    failed probe opens an incident.
    """
    by_agent: defaultdict[tuple[str, str], list[Attempt]] = defaultdict(list)
    by_agent_waiting: defaultdict[tuple[str, str], list[Waiting]] = defaultdict(list)
    for attempt in attempts:
        by_agent[attempt.agent, attempt.project].append(attempt)
    for one in waiting:
        by_agent_waiting[one.agent, one.project].append(one)
    for agent, project in sorted({*by_agent, *by_agent_waiting}):
        decided = sorted(by_agent[agent, project], key=lambda one: one.at)
        sighting = _judge(agent, project, decided, by_agent_waiting[agent, project], is_wanted)
        if sighting is not None:
            yield sighting


def _judge(
    agent: str, project: str, decided: Sequence[Attempt], waiting: Sequence[Waiting], is_wanted: Callable[[str], bool]
) -> Sighting | None:
    overdue = [one for one in waiting if one.is_overdue]
    latest = decided[-LATEST:]
    failed = sum(not one.joined for one in latest) + len(overdue)
    if not failed:
        return None
    by_probe = bool(decided) and not decided[-1].joined and decided[-1].call_id is None
    if failed >= FAILED_TO_OPEN or (by_probe and is_wanted(agent)) or _has_never_joined(decided):
        level = Level.OPEN
    elif not overdue and len(latest) >= JOINED_TO_CLOSE and all(one.joined for one in latest[-JOINED_TO_CLOSE:]):
        return None
    else:
        level = Level.HELD
    missed = [one for one in decided if not one.joined]
    concerned = {one.caller for one in missed if one.call_id is not None} | {one.caller for one in waiting}
    calls = [*(one.call_id for one in missed if one.call_id is not None), *(one.call_id for one in overdue)]
    begun = min([one.at for one in missed] + [one.since for one in overdue])
    detail = {
        "failed": min(failed, LATEST),
        "of": min(len(latest) + len(overdue), LATEST),
        "waiting": sum(not one.has_agent for one in waiting),
        "since": format_instant(begun),
        "probe": decided[-1].text or "no agent joined" if by_probe else None,
        "calls": list(dict.fromkeys(reversed(calls)))[:MAX_CALLS],
    }
    return Sighting(Key(IncidentKind.AGENT_NOT_JOINING, agent, project), level, max(1, len(concerned)), detail)


def _has_never_joined(decided: Sequence[Attempt]) -> bool:
    """Return whether callers asked for an agent that joined none of its latest dispatches, such as a misspelled one."""
    return not any(one.joined for one in decided) and any(one.call_id is not None for one in decided)
