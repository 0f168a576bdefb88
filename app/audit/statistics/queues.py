"""Callers who wait for a place with an agent: their position, how long they may have to wait, and the queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, Integer, and_, bindparam, case, func, or_, select, text

from app.audit.statistics.queue_pace import QueuePace, read_pace
from app.db.any_of import any_of
from app.db.hot_statement import HotStatement
from app.db.tables import agents, dispatches
from app.db.tables.agents import IS_LIMITED
from app.db.types import Cause
from app.json_shape import Instant, JsonShape
from app.outbox.queue_store import read_held, read_limits
from app.outbox.statements import ASKED, IS_BESIDE, IS_OF_RULE

MAX_WAITING: Final = 1_000
"""Waiting callers that are listed at most, and last position in a queue that is read for callers who are asked for."""


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
        float | None,
        Field(description="position × mean duration of calls of the last day ÷ places; null if unknown"),
    ]
    waits_until: Annotated[Instant | None, Field(description="then another agent is asked, or none any more")]
    cause: Cause
    reason: str
    being_handed_over: Annotated[bool, Field(description="whether another agent has the call until this one joins")]


ReadPace = Callable[[Connection, Collection[str], datetime], QueuePace]


class Place(NamedTuple):
    """Where a caller is in the queue of an agent."""

    agent_name: str
    position: int
    expected_wait_s: float | None


@dataclass(frozen=True, slots=True)
class QueueLength(JsonShape):
    """The callers who wait for one agent, or for a place of one rule."""

    project: str
    agent_name: str
    rule_name: Annotated[str | None, Field(description="null: those of all rules wait for the agent")]
    length: int
    oldest_wait_s: float


@dataclass(frozen=True, slots=True)
class Queue(QueueLength):
    """The same with how long its callers may have to wait."""

    starts_last_hour: int
    expected_wait_s: Annotated[float | None, Field(description="of a caller who joins the queue now")]


@dataclass(frozen=True, slots=True)
class QueueOverview(JsonShape):
    """All queues, and the callers in them in the order in which they get places."""

    queues: tuple[Queue, ...]
    items: tuple[WaitingCaller, ...]
    is_cut: Annotated[bool, Field(description="whether more callers wait than are listed")]


_COLUMNS = dispatches.c
# A rule's callers have a queue of their own if only the rule limits them.
_OF_RULE = case(
    (
        and_(
            IS_OF_RULE,
            _COLUMNS.max_calls.is_not(None),
            ASKED.not_in(select(agents.c.agent_name).where(text(IS_LIMITED))),
        ),
        _COLUMNS.rule_name,
    )
)
_WAITING = (
    select(
        _COLUMNS.id, _COLUMNS.event_id, _COLUMNS.project, _COLUMNS.room_name, _COLUMNS.participant_identity,
        ASKED.label("agent"), _OF_RULE.label("of_rule"), _COLUMNS.rule_name, _COLUMNS.queue_priority,
        _COLUMNS.queued_at, _COLUMNS.next_attempt_at, _COLUMNS.cause, _COLUMNS.reason, IS_BESIDE.label("is_beside"),
    )
    .with_hint(dispatches, "INDEXED BY ix_dispatches_queue", "sqlite")
    .where(text("queued_at IS NOT NULL"))
    .subquery()
)  # fmt: skip
_KEY = (_WAITING.c.project, _WAITING.c.agent, _WAITING.c.of_rule)
_ORDER = (_WAITING.c.queue_priority, _WAITING.c.queued_at, _WAITING.c.id)
_POSITION = func.row_number().over(partition_by=_KEY, order_by=_ORDER).label("position")
_IN_PROJECTS = or_(bindparam("of_all", type_=Integer()) == 1, any_of(_WAITING.c.project, "projects"))
_LENGTHS = HotStatement(select(*_KEY, func.count(), func.min(_WAITING.c.queued_at)).where(_IN_PROJECTS).group_by(*_KEY))
_FIRST = HotStatement(
    select(*_WAITING.c, _POSITION).where(_IN_PROJECTS).order_by(*_ORDER).limit(bindparam("most", type_=Integer()))
)
_NUMBERED = select(_WAITING.c.id, *_KEY, _POSITION).subquery()
_PLACES = HotStatement(
    select(_NUMBERED).where(any_of(_NUMBERED.c.id, "ids"), _NUMBERED.c.position <= bindparam("last", type_=Integer()))
)
_NAMES = (*(column.name for column in _WAITING.c), "position")


def queue_overview(
    connection: Connection, now: datetime, *, limit: int = MAX_WAITING, projects: Collection[str] | None = None
) -> QueueOverview:
    """Return the queues of these LiveKit projects (None: of all) with at most `limit` callers, the next one first."""
    lengths = queue_lengths(connection, now, projects=projects)
    if not lengths:
        return QueueOverview((), (), is_cut=False)
    pace = read_pace(connection, {one.agent_name for one in lengths}, now)
    rows = _FIRST.rows(connection, {**_of(projects), "most": min(limit, MAX_WAITING)})
    items = tuple(_caller(row, pace, now) for row in rows)
    queues = tuple(_queue(one, pace) for one in lengths)
    return QueueOverview(queues, items, is_cut=sum(one.length for one in lengths) > len(items))


def queues_with_waits(connection: Connection, now: datetime, read: ReadPace = read_pace) -> tuple[Queue, ...]:
    """Return the queues of all projects that are not empty, with the expected wait of a caller who joins now."""
    lengths = queue_lengths(connection, now)
    if not lengths:
        return ()
    pace = read(connection, {one.agent_name for one in lengths}, now)
    return tuple(_queue(one, pace) for one in lengths)


def queue_lengths(
    connection: Connection, now: datetime, *, projects: Collection[str] | None = None
) -> tuple[QueueLength, ...]:
    """Return the queues of these LiveKit projects (None: of all) that are not empty."""
    rows = _LENGTHS.rows(connection, _of(projects))
    found = [
        QueueLength(project, agent, rule, length, _seconds(since, now)) for project, agent, rule, length, since in rows
    ]
    return tuple(sorted(found, key=lambda one: (one.project, one.agent_name, one.rule_name or "")))


def places_in_queue(
    connection: Connection,
    dispatch_ids: Collection[str],
    now: datetime,
    read: ReadPace = read_pace,
) -> dict[str, Place]:
    """Return the places of those of these dispatches that wait in a queue, up to position `MAX_WAITING`."""
    if not dispatch_ids:
        return {}
    rows = _PLACES.rows(connection, {"ids": dispatch_ids, "last": MAX_WAITING})
    pace = read(connection, {agent for _, _, agent, *_ in rows}, now)
    return {
        dispatch_id: Place(agent, position, pace.expected_wait_s((project, agent, of_rule), position))
        for dispatch_id, project, agent, of_rule, position in rows
    }


def calls_of_agents(connection: Connection, now: datetime) -> Counter[str]:
    """Return how many calls each agent has, in all projects."""
    calls = Counter[str]()
    for (_, name), number in read_held(connection, now).agents.items():
        calls[name] += number
    return calls


def load_of_agents(connection: Connection, now: datetime) -> tuple[Counter[str], Counter[str]]:
    """Return how many calls each agent has, and how many callers wait for it, in all projects."""
    waiting = Counter[str]()
    for lane, number in read_limits(connection).lanes.items():
        waiting[lane.agent_name] += number
    return calls_of_agents(connection, now), waiting


def _of(projects: Collection[str] | None) -> dict[str, Any]:
    return {"of_all": int(projects is None), "projects": projects or ()}


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, round((now - since).total_seconds(), 3))


def _caller(values: tuple[Any, ...], pace: QueuePace, now: datetime) -> WaitingCaller:
    row = dict(zip(_NAMES, values, strict=True))
    return WaitingCaller(
        dispatch_id=row["id"],
        event_id=row["event_id"],
        project=row["project"],
        room_name=row["room_name"],
        participant_identity=row["participant_identity"],
        agent_name=row["agent"],
        rule_name=row["rule_name"],
        queue_priority=row["queue_priority"],
        position=row["position"],
        queued_at=row["queued_at"],
        waited_s=_seconds(row["queued_at"], now),
        expected_wait_s=pace.expected_wait_s((row["project"], row["agent"], row["of_rule"]), row["position"]),
        waits_until=row["next_attempt_at"],
        cause=Cause(row["cause"]),
        reason=row["reason"],
        being_handed_over=bool(row["is_beside"]),
    )


def _queue(queue: QueueLength, pace: QueuePace) -> Queue:
    key = queue.project, queue.agent_name, queue.rule_name
    return Queue(*key, queue.length, queue.oldest_wait_s, pace.starts[key], pace.expected_wait_s(key, queue.length + 1))
