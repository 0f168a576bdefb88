"""Statistics of time windows, and figures over time, cached for some seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from app.audit import (
    AgentTrend,
    DispatchStatistics,
    OverTime,
    Rollout,
    agent_trends,
    compare_rollout,
    dispatch_statistics,
    over_time,
)
from app.clock import Clock
from app.server.caches.figures_cache import FRESH_S, STALE_S, FiguresCache, Read

__all__ = ["FRESH_S", "STALE_S", "OverTimeCache", "StatisticsCache"]

ROLLOUT_HOURS: Final = 168


class StatisticsCache:
    """Returns cached figures of a time window."""

    def __init__(self, clock: Clock, read: Read[DispatchStatistics]) -> None:
        self._cache = FiguresCache(clock, read)

    async def get(
        self,
        hours: float,
        *,
        agent: str | None = None,
        rule: str | None = None,
        rule_id: int | None = None,
        projects: frozenset[str] | None = None,
    ) -> DispatchStatistics:
        """Return the figures of the last `hours`, at most STALE_S old; see `dispatch_statistics` for the rest."""

        def load(connection: Connection, now: datetime) -> DispatchStatistics:
            since = now - timedelta(hours=hours)
            return dispatch_statistics(
                connection, since, now, agent=agent, rule=rule, rule_id=rule_id, projects=projects
            )

        return await self._cache.get((hours, agent, rule, rule_id, projects), load)


class OverTimeCache:
    """Returns cached figures over time."""

    def __init__(self, clock: Clock, read: Read[Any]) -> None:
        self._figures: FiguresCache[OverTime] = FiguresCache(clock, read)
        self._rollouts: FiguresCache[Rollout] = FiguresCache(clock, read)
        self._trends: FiguresCache[Mapping[str, AgentTrend]] = FiguresCache(clock, read)

    async def get(
        self,
        hours: float,
        *,
        agent: str | None = None,
        rule: str | None = None,
        projects: frozenset[str] | None = None,
        rule_ids: frozenset[int] | None = None,
    ) -> OverTime:
        """Return the figures of the last `hours`, at most STALE_S old; see `over_time` for the rest."""

        def load(connection: Connection, now: datetime) -> OverTime:
            return over_time(connection, hours, now, agent=agent, rule=rule, projects=projects, rule_ids=rule_ids)

        return await self._figures.get((hours, agent, rule, projects, rule_ids), load)

    async def rollout(self, rule_id: int) -> Rollout:
        """Return a rule's rollout of the last `ROLLOUT_HOURS` beside the rest, at most STALE_S old."""
        window = timedelta(hours=ROLLOUT_HOURS)
        return await self._rollouts.get(
            rule_id, lambda connection, now: compare_rollout(connection, rule_id, now - window, now)
        )

    async def trends(self, hours: float) -> Mapping[str, AgentTrend]:
        """Return the trend of each agent within the last `hours`, at most STALE_S old, by its name."""
        return await self._trends.get(hours, lambda connection, now: agent_trends(connection, hours, now))
