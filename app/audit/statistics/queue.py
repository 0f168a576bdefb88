"""Dispatches that wait for an agent now: how many, and which have waited longest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, text, union

from app.audit.lists.access_path import IdRange
from app.audit.lists.dispatch_list import by_status as waiting_in
from app.audit.records.record_types import DispatchSummary, columns_of
from app.db.tables import NOT_ENDED, dispatches
from app.db.types import LIVE, DispatchStatus
from app.outbox.statements import IS_BESIDE
from app.outbox.states import WAITING


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Live dispatches by state (0 for a state without any), and how many of them are due to be sent or checked."""

    by_status: Mapping[DispatchStatus, int]
    due: int


def queue_depth(connection: Connection, now: datetime) -> QueueDepth:
    """Return how many dispatches are in each live state, and how many are due at `now`."""
    column = dispatches.c
    is_live = and_(text(NOT_ENDED), column.status.in_(LIVE))
    by_status = select(column.status, func.count()).where(is_live).group_by(column.status)
    due = select(func.count()).where(
        column.status.in_([DispatchStatus.PENDING, DispatchStatus.SENDING]), column.next_attempt_at <= now
    )
    counts = {row[0]: row[1] for row in connection.execute(by_status)}
    return QueueDepth({status: counts.get(status, 0) for status in LIVE}, connection.execute(due).scalar_one())


def count_waiting(connection: Connection) -> int:
    """Return how many dispatches wait for their agent."""
    is_waiting = and_(text(NOT_ENDED), dispatches.c.status.in_(sorted(WAITING)))
    query = select(func.count()).select_from(dispatches).where(is_waiting)
    return connection.scalar(query) or 0


def count_waiting_calls(connection: Connection) -> int:
    """Return how many calls wait for an agent; one that is being handed over has one."""
    column = dispatches.c
    paths = [waiting_in(status) for status in sorted(WAITING)]
    of_states = (select(column.event_id).where(*path.conditions(IdRange()), ~IS_BESIDE) for path in paths)
    waiting = union(*of_states).subquery()
    return connection.scalar(select(func.count()).select_from(waiting)) or 0


def longest_waiting(connection: Connection, limit: int) -> list[DispatchSummary]:
    """Return the dispatches whose callers wait for their agent, oldest first, `limit` at most."""
    column = dispatches.c
    columns = [column[name] for name in columns_of(DispatchSummary)]
    found: list[DispatchSummary] = []
    # One look-up in (status, id) for each state: together they would be sorted as a whole.
    for status in sorted(WAITING):
        path = waiting_in(status)
        is_waiting = (*path.conditions(IdRange()), ~IS_BESIDE)
        query = select(*columns).where(*is_waiting).order_by(column.status, column.id).limit(limit)
        found += [DispatchSummary.from_row(row) for row in connection.execute(query).mappings()]
    found.sort(key=lambda one: one.waits_since)
    return found[:limit]
