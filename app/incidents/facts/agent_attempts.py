"""Reads the latest attempts of the agents that did not join lately, and the callers who wait for an agent.

While agents join this costs one index read: the index holds failed attempts alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select, text

from app.audit.lists.access_path import IdRange
from app.audit.lists.dispatch_list import by_status
from app.audit.lists.latest_dispatches import latest_dispatches, paths_of_agent
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatch_attempts, dispatches, probes
from app.db.types import DispatchStatus, IncidentKind
from app.incidents.conditions.agents_not_joining import Attempt, Waiting
from app.incidents.incident import Incident
from app.incidents.sighting import caller_of
from app.outbox.dispatch import asked_agent
from app.outbox.statements import ASKED, IS_BESIDE
from app.outbox.states import WAITING

WINDOW: Final = timedelta(hours=1)
MAX_MISSED: Final = 2_000
MAX_WAITING: Final = 5_000
MAX_AGENTS: Final = 100
"""Agents whose successes are looked up."""
_LATEST: Final = 20  # dispatches of an agent
_OVERDUE: Final = timedelta(seconds=30)
"""An agent that is awaited for longer should have joined, whatever its rule allows."""
_PROBE_WINDOW: Final = timedelta(hours=24)
_MAX_PROBES: Final = 500
_MISSED = text("outcome IN ('no_show', 'left_early')")  # in the words of the partial index


def read_attempts(connection: Connection, known: Collection[Incident], now: datetime) -> list[Attempt]:
    """Return the decided attempts of the agents that failed lately, or about which an incident is open."""
    missed = [*_missed(connection, now), *_probes(connection, now)]
    agents = {one.agent for one in missed if not one.joined}
    agents |= {one.subject for one in known if one.kind is IncidentKind.AGENT_NOT_JOINING}
    probed = [one for one in missed if one.agent in agents]
    return [*probed, *(one for agent in sorted(agents)[:MAX_AGENTS] for one in _joined(connection, agent))]


def _missed(connection: Connection, now: datetime) -> Iterator[Attempt]:
    attempt, dispatch = dispatch_attempts.c, dispatches.c
    latest = (
        select(attempt.dispatch_id, attempt.agent_name, attempt.started_at)
        .where(_MISSED, attempt.dispatch_id >= lowest_id_at(now - WINDOW))
        .order_by(attempt.dispatch_id.desc())
        .limit(MAX_MISSED)
        .subquery()
    )
    query = select(latest, dispatch.project, dispatch.event_id, dispatch.participant_sid).join(
        dispatches, dispatch.id == latest.c.dispatch_id
    )
    for row in connection.execute(query):
        caller = caller_of(row.participant_sid, row.event_id)
        yield Attempt(row.agent_name, row.project, row.started_at, False, row.event_id, caller)  # noqa: FBT003


def _joined(connection: Connection, agent: str) -> Iterator[Attempt]:
    column = dispatches.c
    columns = (column.id, column.agent_name, column.asked_agent_name, column.project, column.event_id, column.joined_at)
    rows = latest_dispatches(columns, paths_of_agent(agent), None, _LATEST)
    for row in connection.execute(select(rows).where(rows.c.joined_at.is_not(None))):
        if asked_agent(row.agent_name, row.asked_agent_name) == agent:
            yield Attempt(agent, row.project, row.joined_at, True, row.event_id)  # noqa: FBT003


def _probes(connection: Connection, now: datetime) -> Iterator[Attempt]:
    column = probes.c
    query = (
        select(column.agent_name, column.project, column.started_at, column.arrived, column.detail)
        .where(column.id >= lowest_id_at(now - _PROBE_WINDOW))
        .order_by(column.id.desc())
        .limit(_MAX_PROBES)
    )
    for row in connection.execute(query):
        if row.arrived is not None:
            yield Attempt(row.agent_name, row.project, row.started_at, row.arrived, text=row.detail)


def read_waiting(connection: Connection, now: datetime) -> list[Waiting]:
    """Return the agents that are awaited, but for those whose callers wait for a place with them."""
    found: list[Waiting] = []
    for status in sorted(WAITING):
        found += (_waiting(row, now) for row in connection.execute(_of_status(status)))
    return found


def _of_status(status: DispatchStatus) -> Any:
    column = dispatches.c
    caller = (column.event_id, column.participant_sid, column.project)
    wanted = (column.id, *caller, column.status, column.created_at, column.dispatched_at)
    path = by_status(status)
    return (
        select(*wanted, ASKED.label("agent"), IS_BESIDE.label("has_agent"))
        .where(*path.conditions(IdRange()), column.queued_at.is_(None))
        .order_by(*path.order())
        .limit(MAX_WAITING)
    )


def _waiting(row: Any, now: datetime) -> Waiting:
    is_awaited = row.status == DispatchStatus.DISPATCHED and row.dispatched_at is not None
    is_overdue = is_awaited and now - row.dispatched_at > _OVERDUE
    caller = caller_of(row.participant_sid, row.event_id)
    return Waiting(row.agent, row.project, row.event_id, caller, is_overdue, row.created_at, row.has_agent)
