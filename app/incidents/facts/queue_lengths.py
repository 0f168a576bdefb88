"""Reads how many callers wait for a place with each agent; without a queue this is one index read."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from app.audit.lists.latest_dispatches import latest_dispatches, paths_of_agent
from app.db.tables import dispatches
from app.incidents.conditions.queues_growing import RECENT, WAIT_TO_OPEN_S, WAITING_TO_OPEN, QueueLength
from app.outbox.statements import ASKED

MAX_QUEUED: Final = 2_000
_MAX_STARTS: Final = 500  # of an agent, the latest
_CREATED_WITHIN: Final = timedelta(hours=1)


def read_queues(connection: Connection, now: datetime) -> list[QueueLength]:
    """Return the queues of all agents; the calls that started are counted where a queue may be growing."""
    column = dispatches.c
    query = (
        select(column.project, ASKED.label("agent"), column.event_id, column.queued_at)
        .where(text("queued_at IS NOT NULL"))  # in the words of the partial index
        .order_by(column.queue_priority, column.queued_at, column.id)
        .limit(MAX_QUEUED)
    )
    queues: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        queues[row.project, row.agent].append(row)
    return [_length(connection, project, agent, rows, now) for (project, agent), rows in sorted(queues.items())]


def _length(connection: Connection, project: str, agent: str, rows: list[Any], now: datetime) -> QueueLength:
    longest_s = max(0.0, (now - min(row.queued_at for row in rows)).total_seconds())
    may_grow = len(rows) >= WAITING_TO_OPEN and longest_s >= WAIT_TO_OPEN_S
    return QueueLength(
        agent=agent,
        project=project,
        waiting=len(rows),
        longest_s=longest_s,
        came=sum(now - row.queued_at <= RECENT for row in rows),
        started=_started(connection, project, agent, now) if may_grow else 0,
        calls=[row.event_id for row in rows],
    )


def _started(connection: Connection, project: str, agent: str, now: datetime) -> int:
    column = dispatches.c
    columns = (column.id, column.project, column.placed_at, column.dispatched_at)
    latest = latest_dispatches(columns, paths_of_agent(agent), now - _CREATED_WITHIN, _MAX_STARTS).c
    started = func.coalesce(latest.placed_at, latest.dispatched_at) >= now - RECENT
    return connection.scalar(select(func.count()).where(latest.project == project, started)) or 0
