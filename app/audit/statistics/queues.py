"""Callers who wait for a place with an agent: their position, how long they may have to wait, and the queues."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, func, select, text

from app.agents.agent_limits import AgentLimits
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches
from app.json_shape import Instant, JsonShape
from app.outbox.queue_store import read_held, read_limits
from app.outbox.statements import ASKED

MAX_WAITING: Final = 1_000
"""Waiting callers that are read at most, the first in their queues."""
_RATE_OVER: Final = timedelta(hours=1)
_CREATED_WITHIN: Final = timedelta(hours=3)
"""Calls that started within the last hour are looked for among those created within this time, which an index finds."""


@dataclass(frozen=True, slots=True)
class WaitingCaller(JsonShape):
    """A caller in a queue. `position` counts from 1, among those who wait for the same agent (or rule)."""

    dispatch_id: str
    event_id: Annotated[str, Field(description="of the call")]
    project: str
    room_name: str
    participant_identity: str
    agent_name: Annotated[str, Field(description="that is waited for")]
    rule_name: str
    queue_priority: int
    position: int
    queued_at: Instant
    waited_s: float
    expected_wait_s: Annotated[
        float | None, Field(description="by the calls that started within the last hour; null if none has")
    ]
    waits_until: Annotated[Instant | None, Field(description="then another agent is asked, or none any more")]
    reason: str


@dataclass(frozen=True, slots=True)
class Queue(JsonShape):
    """The callers who wait for one agent, or for a place of one rule."""

    project: str
    agent_name: str
    rule_name: Annotated[str | None, Field(description="null: those of all rules wait for the agent")]
    length: int
    oldest_wait_s: float
    starts_last_hour: int
    expected_wait_s: Annotated[float | None, Field(description="of a caller who joins the queue now")]


@dataclass(frozen=True, slots=True)
class QueueOverview(JsonShape):
    """All queues, and the callers in them in the order in which they get places."""

    queues: tuple[Queue, ...]
    items: tuple[WaitingCaller, ...]
    is_cut: Annotated[bool, Field(description="whether more callers wait than are listed")]


_Key = tuple[str, str, str | None]
"""Project, agent, and the rule if the queue is the rule's."""


def queue_overview(
    connection: Connection, now: datetime, *, limit: int = MAX_WAITING, projects: Collection[str] | None = None
) -> QueueOverview:
    """Return the queues of these LiveKit projects (None: of all) with at most `limit` callers, the next one first."""
    rows = _read(connection, MAX_WAITING + 1, projects)
    if not rows:
        return QueueOverview((), (), is_cut=False)
    limited = read_limits(connection).agents
    starts = _starts(connection, {row["agent"] for row in rows}, now)
    members: dict[_Key, list[WaitingCaller]] = {}
    for row in rows[:MAX_WAITING]:
        key = _key(row, limited)
        queue = members.setdefault(key, [])
        queue.append(_caller(row, len(queue) + 1, _started(starts, key), now))
    queues = tuple(_queue(key, waiting, _started(starts, key)) for key, waiting in sorted(members.items(), key=str))
    items = [one for waiting in members.values() for one in waiting]
    items.sort(key=lambda one: (one.queue_priority, one.queued_at, one.dispatch_id))
    return QueueOverview(queues, tuple(items[:limit]), is_cut=len(rows) > min(limit, MAX_WAITING))


def places_in_queue(connection: Connection, dispatch_ids: Collection[str], now: datetime) -> dict[str, WaitingCaller]:
    """Return those of these dispatches that wait in a queue, with their positions."""
    if not dispatch_ids:
        return {}
    found = queue_overview(connection, now).items
    return {one.dispatch_id: one for one in found if one.dispatch_id in dispatch_ids}


def calls_held(connection: Connection, now: datetime) -> Mapping[tuple[str, str], int]:
    """Return by project and agent how many calls hold a place."""
    return read_held(connection, now).agents


def _read(connection: Connection, most: int, projects: Collection[str] | None) -> list[Mapping[str, Any]]:
    column = dispatches.c
    query = (
        select(
            column.id, column.event_id, column.project, column.room_name, column.participant_identity,
            ASKED.label("agent"), column.rule_id, column.rule_name, column.max_calls, column.rung,
            column.queue_priority, column.queued_at, column.next_attempt_at, column.reason,
        )
        .where(text("queued_at IS NOT NULL"))
        .order_by(column.queue_priority, column.queued_at, column.id)
        .limit(most)
    )  # fmt: skip
    if projects is not None:
        query = query.where(column.project.in_(list(projects)))
    return [dict(row) for row in connection.execute(query).mappings()]


def _key(row: Mapping[str, Any], limited: Mapping[str, AgentLimits]) -> _Key:
    is_of_rule = row["agent"] not in limited and row["max_calls"] is not None and row["rung"] == 0
    return row["project"], row["agent"], row["rule_name"] if is_of_rule else None


def _starts(connection: Connection, names: Iterable[str], now: datetime) -> dict[_Key, int]:
    """Return how many calls started within the last hour, for each agent and for each of its rules."""
    column = dispatches.c
    least, since, wanted = lowest_id_at(now - _CREATED_WITHIN), now - _RATE_OVER, sorted(names)
    started = func.coalesce(column.placed_at, column.dispatched_at) >= since
    found: dict[_Key, int] = {}
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
            for key in ((project, agent, None), (project, agent, rule)):
                found[key] = found.get(key, 0) + count
    return found


def _started(starts: Mapping[_Key, int], key: _Key) -> int:
    return starts.get(key, 0)


def _expected(position: int, starts: int) -> float | None:
    return None if starts == 0 else round(position * _RATE_OVER.total_seconds() / starts, 1)


def _caller(row: Mapping[str, Any], position: int, starts: int, now: datetime) -> WaitingCaller:
    return WaitingCaller(
        dispatch_id=row["id"],
        event_id=row["event_id"],
        project=row["project"],
        room_name=row["room_name"],
        participant_identity=row["participant_identity"],
        agent_name=row["agent"],
        rule_name=row["rule_name"],
        queue_priority=row["queue_priority"],
        position=position,
        queued_at=row["queued_at"],
        waited_s=max(0.0, round((now - row["queued_at"]).total_seconds(), 3)),
        expected_wait_s=_expected(position, starts),
        waits_until=row["next_attempt_at"],
        reason=row["reason"],
    )


def _queue(key: _Key, waiting: list[WaitingCaller], starts: int) -> Queue:
    project, agent, rule = key
    oldest = max(one.waited_s for one in waiting)
    return Queue(project, agent, rule, len(waiting), oldest, starts, _expected(len(waiting) + 1, starts))
