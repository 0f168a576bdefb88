"""Limits on starts: calls per second in all, and per agent what operators wrote into `agents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.outbox.dispatch import Dispatch
from app.token_bucket import TokenBucket

_Agent = tuple[str, str]
"""Project and name."""


class StartLimiter:
    """A token bucket for all starts of this process, and one per project and agent with `starts_per_second`.

    `max_calls` is counted in the database, so it holds over all replicas; rates hold per replica. Both hold for the
    agents of each project by themselves: their workers are others.
    """

    def __init__(self, calls_per_second: float) -> None:
        self._rate = calls_per_second
        self._bucket = TokenBucket(calls_per_second)
        self._agents: dict[_Agent, TokenBucket] = {}

    @property
    def paced(self) -> bool:
        """Whether calls per second are limited, so that every start must go through a claim."""
        return self._rate > 0

    def available(self, now: float) -> int:
        """Return how many starts are allowed at `now` (monotonic seconds)."""
        return 1_000_000 if not self.paced else self._bucket.available(now)

    def spend(self, starts: int) -> None:
        """Take the tokens of starts that are made."""
        if self.paced:
            self._bucket.spend(starts)

    def saturated(self, project: str, limits: Mapping[str, Any], active: Mapping[_Agent, int], now: float) -> set[str]:
        """Return the agents of a project whose limits let none start now."""
        return {
            name
            for name, limit in limits.items()
            if not self._startable((project, name), limit, active.get((project, name), 0), now)
        }

    def within_agent_limits(
        self, due: Sequence[Dispatch], limits: Mapping[str, Any], active: Mapping[_Agent, int], now: float
    ) -> list[Dispatch]:
        """Return those of `due` that their agents' limits let start now; the others wait for the next claim."""
        allowed: list[Dispatch] = []
        counts = dict(active)
        for dispatch in due:
            agent = (dispatch.project, dispatch.agent_to_ask)
            limit = limits.get(dispatch.agent_to_ask)
            if limit is not None:
                if not self._startable(agent, limit, counts.get(agent, 0), now):
                    continue
                counts[agent] = counts.get(agent, 0) + 1
                if limit["starts_per_second"] is not None:
                    self._agents[agent].spend(1)
            allowed.append(dispatch)
        return allowed

    def _startable(self, agent: _Agent, limit: Mapping[str, Any], active: int, now: float) -> bool:
        if limit["max_calls"] is not None and active >= limit["max_calls"]:
            return False
        rate = limit["starts_per_second"]
        if rate is None:
            return True
        bucket = self._agents.get(agent)
        if bucket is None or bucket.rate != rate:
            bucket = self._agents[agent] = TokenBucket(rate)
        return bucket.available(now) >= 1
