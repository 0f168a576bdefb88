"""Reads limits, held places and queues.

Places are counted from live rows each time, never from a counter: whatever ends a dispatch frees its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    Integer,
    Text,
    bindparam,
    cast,
    func,
    select,
    text,
    union_all,
)

from app.agents.agent_limits import AgentLimits, read_end, read_number
from app.db.any_of import any_of
from app.db.columns.column_types import Timestamp
from app.db.hot_statement import CombinedQuery, HotStatement
from app.db.tables import NOT_ENDED, agents, dispatches, routing_rules, status_in
from app.db.tables.agents import END_AS_TEXT, IS_LIMITED
from app.db.tables.calls import PLACE_KEPT
from app.db.types import DispatchStatus
from app.outbox.dispatch import Dispatch
from app.outbox.free_places import Held, Lane, Places
from app.outbox.statements import ASKED, IS_OF_RULE

PLACES_LOCK = 0x7573686A
"""Advisory lock of PostgreSQL; `app.flows.turns` has those before it."""
RATE_WINDOW_S = 1.0
_PROJECT, _RULE_ID = dispatches.c.project, dispatches.c.rule_id
_QUEUED = text("queued_at IS NOT NULL")
"""In exactly the text of the index of the queues."""
_LIMITED_AGENTS = select(
    agents.c.agent_name,
    cast(agents.c.max_calls, Text),
    cast(agents.c.starts_per_second, Text),
    END_AS_TEXT,
    agents.c.substitute_agent_name,
).where(text(IS_LIMITED))
_GROUPS = (_PROJECT, ASKED, _RULE_ID, IS_OF_RULE)
_LANES = (
    select(_PROJECT, ASKED, cast(_RULE_ID, Text), cast(cast(IS_OF_RULE, Integer), Text), cast(func.count(), Text))
    .with_hint(dispatches, "INDEXED BY ix_dispatches_queue", "sqlite")
    .where(_QUEUED)
    .group_by(*_GROUPS)
)
LIMITS = CombinedQuery([("agents", _LIMITED_AGENTS), ("lanes", _LANES)])
"""One statement for each look of the delivery loop, however many callers wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The agents that may not start at any time, by name, and the queues that are not empty, with their lengths."""

    agents: Mapping[str, AgentLimits]
    lanes: Mapping[Lane, int] = field(default_factory=dict)


def read_limits(connection: Connection) -> Limits:
    """Return the limits of agents and the queues as they are now."""
    found = LIMITS.run(connection, {})
    return Limits(
        {name: _agent(name, *rest) for name, *rest in found["agents"]},
        {_lane(*group): int(length) for *group, length in found["lanes"]},
    )


def _lane(project: str, agent_name: str, rule_id: str, is_of_rule: str) -> Lane:
    return Lane(project, agent_name, int(rule_id), is_of_rule=is_of_rule == "1")


def _agent(name: str, calls: str | None, starts: str | None, until: str | None, substitute: str | None) -> AgentLimits:
    return AgentLimits(name, read_number(calls), read_number(starts), read_end(until), substitute or None)


def lock_places(connection: Connection) -> None:
    """Make other replicas wait until this transaction ends before they count places.

    A lock of its own and not one of rows, so that an operator who edits an agent in a long transaction delays no call.
    SQLite has one writer.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": PLACES_LOCK})


_RECENT = func.sum(func.coalesce(cast(dispatches.c.placed_at > bindparam("since", type_=Timestamp()), Integer), 0))
_COUNTED = select(*_GROUPS, func.count(), _RECENT).group_by(*_GROUPS)
HELD = HotStatement(
    union_all(
        _COUNTED.with_hint(dispatches, "INDEXED BY ix_dispatches_not_ended", "sqlite").where(
            text(NOT_ENDED), status_in(DispatchStatus.SENDING, DispatchStatus.DISPATCHED, DispatchStatus.JOINED)
        ),
        _COUNTED.with_hint(dispatches, "INDEXED BY ix_dispatches_place_kept", "sqlite").where(text(PLACE_KEPT)),
    )
)


def read_held(connection: Connection, now: datetime) -> Held:
    """Return who holds places now: what is sent, awaited or joined, and what is between two attempts."""
    held = Held()
    since = now - timedelta(seconds=RATE_WINDOW_S)
    for project, agent, rule_id, is_of_rule, count, recent in HELD.rows(connection, {"since": since}):
        held.agents[project, agent] += count
        held.started[project, agent] += int(recent or 0)
        held.rules[rule_id] += count if is_of_rule else 0
    return held


def read_rule_limits(connection: Connection, rule_ids: Collection[int]) -> dict[int, int | None]:
    """Return `max_calls` of those of these rules that exist, as it is now."""
    if not rule_ids:
        return {}
    query = select(routing_rules.c.id, routing_rules.c.max_calls).where(routing_rules.c.id.in_(sorted(rule_ids)))
    return {row.id: row.max_calls for row in connection.execute(query)}


def read_places(connection: Connection, limits: Limits, rule_ids: Collection[int], now: datetime) -> Places:
    """Return the places as they are taken now; they are certain only after `lock_places`."""
    return Places(limits.agents, read_rule_limits(connection, rule_ids), read_held(connection, now), now)


_NUMBERED = (
    select(
        dispatches.c.id,
        func.row_number()
        .over(
            partition_by=_GROUPS,
            order_by=(dispatches.c.queue_priority, dispatches.c.queued_at, dispatches.c.id),
        )
        .label("place"),
    )
    .with_hint(dispatches, "INDEXED BY ix_dispatches_queue", "sqlite")
    .where(_QUEUED, any_of(ASKED, "agent_names"))
    .subquery()
)
HEADS = HotStatement(
    select(dispatches)
    .where(dispatches.c.id.in_(select(_NUMBERED.c.id).where(_NUMBERED.c.place <= bindparam("most", type_=Integer()))))
    .with_for_update(skip_locked=True)
)


def read_heads(connection: Connection, lanes: Iterable[Lane], most: int) -> list[Dispatch]:
    """Return the first `most` callers of each of these queues, locked, but those that another transaction holds."""
    wanted = set(lanes)
    if not wanted or most < 1:
        return []
    rows = HEADS.rows(connection, {"agent_names": {lane.agent_name for lane in wanted}, "most": most})
    found = map(Dispatch.from_values, rows)
    return [one for one in found if Lane(one.project, one.agent_to_ask, one.rule_id, one.is_of_rule) in wanted]
