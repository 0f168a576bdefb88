"""Spreads retries of one agent over time: asked again all at once, an overloaded worker would lose most once more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

START_S = 3.0
"""About how long a worker that has taken a job refuses others, as livekit-agents' do while a job starts."""
SHORTEST_GAP_S, LONGEST_GAP_S = 0.1, 0.5
"""Bounds of the seconds between two retries of one agent."""
SPREAD_OVER_S = 8.0
"""Longest delay of a retry; a burst that needs more is spread evenly over this time."""
_RECENT_S = 10.0
_MOST_AGENTS = 1000

_Agent = tuple[str, str]
"""Project and name."""


@dataclass(slots=True)
class RetrySpread:
    """Gives each retry of an agent a moment of its own, in the order of the requests; the first is not delayed.

    The gap between two follows from how many agents of that name have joined of late: so many jobs its workers can
    start at once. Seconds are those of the monotonic clock.
    """

    _next: dict[_Agent, float] = field(default_factory=dict)
    _joined: dict[_Agent, deque[float]] = field(default_factory=dict)

    def note_joined(self, project: str, agent_name: str, now: float) -> None:
        """Note that an agent has joined."""
        if len(self._joined) >= _MOST_AGENTS:
            self._joined.clear()
        self._joined.setdefault((project, agent_name), deque(maxlen=100)).append(now)

    def delay(self, project: str, agent_name: str, now: float) -> float:
        """Return how many seconds to delay one more retry of an agent."""
        agent = (project, agent_name)
        turn = self._next.get(agent, now)
        if not now <= turn <= now + SPREAD_OVER_S:
            turn = now
        if len(self._next) >= _MOST_AGENTS:
            self._next.clear()
        self._next[agent] = turn + self._gap(agent, now)
        return turn - now

    def _gap(self, agent: _Agent, now: float) -> float:
        recent = sum(at > now - _RECENT_S for at in self._joined.get(agent, ()))
        return min(LONGEST_GAP_S, max(SHORTEST_GAP_S, START_S / max(1, recent)))
