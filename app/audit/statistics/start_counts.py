"""How many calls started of late, which is the rate at which queues get shorter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches

RATE_OVER: Final = timedelta(hours=1)
_CREATED_WITHIN: Final = timedelta(hours=3)
"""Calls that started within the last hour are looked for among those created within this time, which an index finds."""

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
