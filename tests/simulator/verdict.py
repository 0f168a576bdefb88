"""Judges from the ledger alone: callers without an agent, with two agents, and rooms that should not exist."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import Enum
from itertools import combinations
from typing import Any

from app.simulator.ledger import AgentStay, CallerEntry, DispatchEntry, Ledger


class Unit(Enum):
    """What one agent is meant for."""

    ROOM = "room"
    PARTICIPANT = "participant"


@dataclass(slots=True)
class Served:
    """One unit: the stays of its callers and the dispatches made for it."""

    callers: list[CallerEntry] = field(default_factory=list)
    dispatches: list[DispatchEntry] = field(default_factory=list)
    agents: dict[str, list[AgentStay]] = field(default_factory=lambda: defaultdict(list))
    """By agent name. After a restart of the server they may belong to a dispatch of the room before."""

    @property
    def stays(self) -> list[AgentStay]:
        return sorted((stay for stays in self.agents.values() for stay in stays), key=lambda stay: stay.joined)

    @property
    def present(self) -> bool:
        return any(caller.left is None for caller in self.callers)

    @property
    def waited(self) -> float | None:
        """Seconds from the first caller's join to the first agent's; None without one. Not below 0."""
        stays = self.stays
        return max(0.0, stays[0].joined - min(caller.joined for caller in self.callers)) if stays else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Names are `room/identity` (or `room` when that is the unit), in order of appearance."""

    callers: int
    served: int
    gave_up: int
    """Left before any agent came."""
    lost: tuple[str, ...]
    """Still there, and no agent ever came."""
    alone: tuple[str, ...]
    """Still there, had an agent, and have none now, or none that speaks (a ghost is none)."""
    doubled: tuple[str, ...]
    """Had two agents of one name at the same time."""
    repeated: tuple[str, ...]
    """More than one dispatch took effect for them, agents or not."""
    ghosts: tuple[str, ...]
    """Rooms that a dispatch created."""
    unasked: tuple[str, ...]
    """Rooms that got an agent although no caller in them was to have one."""
    median_wait: float
    longest_wait: float

    @property
    def clean(self) -> bool:
        """No caller lost or doubled, no ghost room, no agent without a caller."""
        return not (self.lost or self.doubled or self.ghosts or self.unasked)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "clean": self.clean}

    def __str__(self) -> str:
        return (
            f"{self.callers} callers, {self.served} served, {self.gave_up} gave up, {len(self.lost)} lost, "
            f"{len(self.alone)} alone, {len(self.doubled)} doubled, {len(self.repeated)} dispatched twice, "
            f"{len(self.ghosts)} ghosts, {len(self.unasked)} unasked; "
            f"waited {self.median_wait:.2f} s (median), {self.longest_wait:.2f} s (longest)"
        )


def everybody(caller: CallerEntry) -> bool:  # noqa: ARG001 - the simplest of the questions that `judge` takes
    """Answer that this caller is to have an agent."""
    return True


def caller_in_metadata(entry: DispatchEntry) -> str | None:
    """Return the identity that a dispatch's metadata names, as `participant.identity` or `identity`."""
    try:
        document = json.loads(entry.metadata)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    participant = document.get("participant")
    named = participant.get("identity") if isinstance(participant, dict) else document.get("identity")
    return named if isinstance(named, str) else None


def judge(
    ledger: Ledger,
    *,
    unit: Unit = Unit.ROOM,
    expected: Callable[[CallerEntry], bool] = everybody,
    whose: Callable[[DispatchEntry], str | None] = caller_in_metadata,
    tolerance: float = 0.0,
) -> Verdict:
    """Return what became of every caller that was to have an agent.

    `whose` names the participant a dispatch is for (unit PARTICIPANT only); one that names none counts for the only
    caller of its room, if there is one only. Two agents together for less than `tolerance` seconds are one after the
    other: for tests in which the later is withdrawn.
    """
    units = _units(ledger, unit, expected)
    by_room: dict[str, list[_Place]] = defaultdict(list)
    for place in units:
        by_room[place[0]].append(place)

    def find(room_sid: str, named: str | None) -> _Place | None:
        if named is not None:
            return (room_sid, named) if (room_sid, named) in units else None
        places = by_room[room_sid]
        return places[0] if len(places) == 1 else None

    unasked: dict[str, None] = {}
    from_tokens = {entry.id for entry in ledger.from_tokens}
    for entry in [*ledger.dispatches, *ledger.from_tokens]:
        named = whose(entry) if unit is Unit.PARTICIPANT else ""
        concerned = find(entry.room_sid, named)
        # Asked twice are two calls; a token's dispatch that LiveKit launches again is nobody's call.
        if concerned is not None and entry.id not in from_tokens:
            units[concerned].dispatches.append(entry)
        for stay in entry.agents:
            visited = find(stay.room_sid, named)
            if visited is not None:
                units[visited].agents[entry.agent_name].append(stay)
            else:
                unasked[entry.room] = None
    waits = [wait for each in units.values() if (wait := each.waited) is not None]
    return Verdict(
        callers=len(units),
        served=len(waits),
        gave_up=sum(1 for each in units.values() if not each.stays and not each.present),
        lost=_names(units.values(), unit, lambda each: each.present and not each.stays),
        alone=_names(
            units.values(),
            unit,
            lambda each: each.present and bool(each.stays) and all(_is_over(stay) for stay in each.stays),
        ),
        doubled=_names(units.values(), unit, lambda each: _is_doubled(each, tolerance)),
        repeated=_names(units.values(), unit, _is_repeated),
        ghosts=tuple(entry.room for entry in ledger.ghosts),
        unasked=tuple(unasked),
        median_wait=statistics.median(waits) if waits else 0.0,
        longest_wait=max(waits, default=0.0),
    )


_Place = tuple[str, str]


def _units(ledger: Ledger, unit: Unit, expected: Callable[[CallerEntry], bool]) -> dict[_Place, Served]:
    units: dict[_Place, Served] = defaultdict(Served)
    for caller in ledger.callers:
        if expected(caller):
            identity = caller.identity if unit is Unit.PARTICIPANT else ""
            units[caller.room_sid, identity].callers.append(caller)
    return dict(units)


def _names(served: Iterable[Served], unit: Unit, chosen: Callable[[Served], bool]) -> tuple[str, ...]:
    firsts = [each.callers[0] for each in served if chosen(each)]
    return tuple(first.room if unit is Unit.ROOM else f"{first.room}/{first.identity}" for first in firsts)


def _is_doubled(served: Served, tolerance: float) -> bool:
    return any(
        one.together(other) > tolerance for stays in served.agents.values() for one, other in combinations(stays, 2)
    )


def _is_over(stay: AgentStay) -> bool:
    return stay.gone is not None or stay.mute is not None


def _is_repeated(served: Served) -> bool:
    names = [entry.agent_name for entry in served.dispatches]
    return len(names) != len(set(names))
