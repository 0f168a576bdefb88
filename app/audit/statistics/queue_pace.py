"""How fast queues get shorter: how long calls held their places of late, and how many places there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from app.agents.agent_limits import AgentLimits
from app.audit.lists.latest_dispatches import latest_dispatches, paths_of_agent
from app.audit.statistics.dialects import seconds_between
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, routing_rules
from app.outbox.queue_store import read_limits

RATE_OVER: Final = timedelta(hours=1)
_CREATED_WITHIN: Final = timedelta(hours=3)
"""Calls that started within the last hour are looked for among those created within this time, which an index finds."""

_CALLS_OVER: Final = timedelta(days=1)
_MOST_CALLS: Final = 2_000
"""Calls of an agent whose durations count, the latest of the last day; callers who wait are among those read."""

QueueKey = tuple[str, str, str | None]
"""Project, agent, and the rule if the queue is the rule's."""


def count_starts(connection: Connection, agent_names: Collection[str], now: datetime) -> Counter[QueueKey]:
    """Return how many calls of these agents started within the last hour, by agent and by each of its rules."""
    column = dispatches.c
    least, since, wanted = lowest_id_at(now - _CREATED_WITHIN), now - RATE_OVER, sorted(agent_names)
    started = func.coalesce(column.placed_at, column.dispatched_at) >= since
    found = Counter[QueueKey]()
    paths: tuple[tuple[ColumnElement[str], ColumnElement[bool] | None], ...] = (
        (column.agent_name, column.asked_agent_name.is_(None)),
        (column.asked_agent_name, None),
    )
    for path, also in paths:
        query = select(column.project, path, column.rule_name, func.count()).where(
            path.in_(wanted), column.id >= least, started
        )
        query = query if also is None else query.where(also)
        for project, agent, rule, count in connection.execute(query.group_by(column.project, path, column.rule_name)):
            found[project, agent, None] += count
            found[project, agent, rule] += count
    return found


@dataclass(frozen=True, slots=True)
class QueuePace:
    """What is known about the queues of some agents at one moment."""

    at: datetime
    starts: Counter[QueueKey]
    """Calls that started within the last hour."""
    call_s: Mapping[QueueKey, float]
    """For how long a call holds its place, on average; absent where none has ended within a day."""
    agents: Mapping[str, AgentLimits]
    rules: Mapping[str, int]
    """`max_calls` of rules."""

    def expected_wait_s(self, key: QueueKey, position: int) -> float | None:
        """Return `position * mean duration / places`, and no less than the limit of starts allows; None if unknown."""
        _, agent, rule = key
        limits = self.agents.get(agent)
        if limits is not None and limits.is_out_of_service(self.at):
            return None
        places = self.rules.get(rule) if rule is not None else None if limits is None else limits.max_calls
        per_second = None if limits is None else limits.starts_per_second
        by_starts = 0.0 if per_second is None else position / per_second
        if places is None:
            return round(by_starts, 1) if per_second else None
        mean_s = self.call_s.get(key)
        return round(max(position * mean_s / places, by_starts), 1) if mean_s is not None and places > 0 else None


def read_pace(connection: Connection, agent_names: Collection[str], now: datetime) -> QueuePace:
    """Return how fast the queues of these agents get shorter."""
    totals: dict[QueueKey, tuple[float, int]] = {}
    for agent in sorted(agent_names):
        for project, rule, seconds, calls in _durations(connection, agent, now):
            for key in ((project, agent, None), (project, agent, rule)):
                total, count = totals.get(key, (0.0, 0))
                totals[key] = total + max(0.0, seconds), count + calls
    names = {rule for _, _, rule in totals if rule is not None}
    column = routing_rules.c
    limited = select(column.name, column.max_calls).where(column.name.in_(sorted(names)), column.max_calls.is_not(None))
    return QueuePace(
        now,
        count_starts(connection, agent_names, now),
        {key: total / calls for key, (total, calls) in totals.items()},
        read_limits(connection).agents,
        {row.name: row.max_calls for row in connection.execute(limited)} if names else {},
    )


def _durations(connection: Connection, agent: str, now: datetime) -> list[tuple[str, str, float, int]]:
    """Return by project and rule the seconds for which calls that are over held their places, and how many they are."""
    column = dispatches.c
    columns = (column.id, column.project, column.rule_name, column.placed_at, column.dispatched_at, column.ended_at)
    latest = latest_dispatches(columns, paths_of_agent(agent), now - _CALLS_OVER, _MOST_CALLS).c
    held = seconds_between(connection, func.coalesce(latest.placed_at, latest.dispatched_at), latest.ended_at)
    query = select(latest.project, latest.rule_name, func.sum(held), func.count()).where(held.is_not(None))
    return [tuple(row) for row in connection.execute(query.group_by(latest.project, latest.rule_name))]
