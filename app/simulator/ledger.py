"""The simulator's record of everything that happened, by which tests judge.

Kept apart from the state of the rooms: it outlives rooms, restarts and deletions, and nothing is taken out of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Fate(StrEnum):
    """What became of a dispatch at the workers."""

    OPEN = "open"
    """A worker is being asked."""
    ASSIGNED = "assigned"
    LOST_NO_WORKER = "lost_no_worker"
    LOST_NO_CAPACITY = "lost_no_capacity"
    LOST_REFUSED = "lost_refused"
    """Every worker asked said no, or the one asked ended the job at once (which reads SUCCESS)."""
    LOST_ROOM_CLOSED = "lost_room_closed"


@dataclass(slots=True)
class AgentStay:
    """One agent in one room, from its becoming ACTIVE to its being gone (a killed one: to the kill)."""

    room_sid: str
    identity: str
    sid: str
    job_id: str
    worker_id: str
    joined: float
    gone: float | None = None
    reason: str = ""
    mute: float | None = None
    """Since when its session is closed: it is in the room, and says nothing to anybody."""

    def together(self, other: AgentStay) -> float:
        """Return for how many seconds both were there; infinite while both still are."""
        return max(0.0, min(_end(self), _end(other)) - max(self.joined, other.joined))


def _end(stay: AgentStay) -> float:
    return float("inf") if stay.gone is None else stay.gone


@dataclass(slots=True)
class DispatchEntry:
    """One dispatch that took effect. Times in monotonic seconds; `asked` is when its call arrived."""

    number: int
    id: str
    room: str
    room_sid: str
    agent_name: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str
    restart_policy: int
    request_id: str
    at: datetime
    asked: float
    created_room: bool
    """The call opened its room: a ghost, a room without a caller."""
    answered: str = "ok"
    """`ok`, or the fault that hid the effect from the caller."""
    fate: Fate = Fate.OPEN
    workers_asked: list[str] = field(default_factory=list)
    agents: list[AgentStay] = field(default_factory=list)
    deleted: float | None = None


@dataclass(slots=True)
class CallerEntry:
    """One stay of one participant that is not an agent, from its becoming ACTIVE."""

    room: str
    room_sid: str
    identity: str
    sid: str
    kind: str
    joined: float
    left: float | None = None
    reason: str = ""


@dataclass(slots=True)
class CallEntry:
    """One call to the server, whatever came of it."""

    method: str
    room: str
    asked: float
    answered: str = "ok"
    """`ok`, a Twirp code, or the kind of a fault."""


@dataclass(slots=True)
class Ledger:
    """Everything in the order in which it happened. `keep_calls` False leaves out single calls, not their counts."""

    keep_calls: bool = True
    dispatches: list[DispatchEntry] = field(default_factory=list)
    from_tokens: list[DispatchEntry] = field(default_factory=list)
    """Dispatches that the server made by itself, from access tokens; nobody called for them."""
    callers: list[CallerEntry] = field(default_factory=list)
    calls: list[CallEntry] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _by_dispatch: dict[str, DispatchEntry] = field(default_factory=dict)
    _by_participant: dict[str, CallerEntry] = field(default_factory=dict)
    _by_agent: dict[str, DispatchEntry] = field(default_factory=dict)
    _stays: dict[str, AgentStay] = field(default_factory=dict)

    def dispatch(self, dispatch_id: str) -> DispatchEntry | None:
        """Return the entry of one dispatch, also of one from a token; None for an automatic one, without a name."""
        return self._by_dispatch.get(dispatch_id)

    def enter_dispatch(self, entry: DispatchEntry) -> None:
        self.dispatches.append(entry)
        self._by_dispatch[entry.id] = entry

    def enter_from_token(self, entry: DispatchEntry) -> None:
        self.from_tokens.append(entry)
        self._by_dispatch[entry.id] = entry

    def enter_caller(self, entry: CallerEntry) -> None:
        self.callers.append(entry)
        self._by_participant[entry.sid] = entry

    def caller_left(self, sid: str, at: float, reason: str) -> None:
        entry = self._by_participant.get(sid)
        if entry is not None and entry.left is None:
            entry.left, entry.reason = at, reason

    def enter_agent(self, dispatch_id: str, stay: AgentStay) -> None:
        self._stays[stay.sid] = stay
        entry = self._by_dispatch.get(dispatch_id)
        if entry is not None:
            entry.agents.append(stay)
            self._by_agent[stay.sid] = entry

    def dispatch_of_agent(self, sid: str) -> DispatchEntry | None:
        """Return the dispatch that brought the agent with this participant SID."""
        return self._by_agent.get(sid)

    def agent_mute(self, sid: str, at: float) -> None:
        stay = self._stays.get(sid)
        if stay is not None and stay.mute is None:
            stay.mute = at

    def agent_gone(self, sid: str, at: float, reason: str) -> None:
        stay = self._stays.get(sid)
        if stay is not None and stay.gone is None:
            stay.gone, stay.reason = at, reason

    def enter_call(self, method: str, room: str, asked: float) -> CallEntry:
        entry = CallEntry(method, room, asked)
        self.counts[method] += 1
        if self.keep_calls:
            self.calls.append(entry)
        return entry

    @property
    def ghosts(self) -> list[DispatchEntry]:
        """Dispatches whose call created the room."""
        return [entry for entry in self.dispatches if entry.created_room]

    def agents_of(self, room: str) -> list[AgentStay]:
        """Return every agent that a dispatch ever brought into a room of this name, in order of the dispatches."""
        made = [*self.dispatches, *self.from_tokens]
        return [stay for entry in made if entry.room == room for stay in entry.agents]
