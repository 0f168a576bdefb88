"""Which agents and rules dispatches name, when each was last named, and which agents never come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, func, select

from app.audit.statistics.dialects import asked_for
from app.db.record_ids import instant_of_id
from app.db.tables import dispatches
from app.db.types import DispatchStatus
from app.json_shape import Instant, JsonShape

MAX_NAMES: Final = 500
_LATEST_TRIED: Final = 20  # dispatches of an agent: one that came to none of so many is absent


@dataclass(frozen=True, slots=True)
class Seen(JsonShape):
    """An agent or rule that dispatches name, and when the latest of them was made."""

    name: str
    last_at: Instant | None


def known_agents(connection: Connection) -> list[Seen]:
    """Return every agent that a dispatch was ever made for, and when last; at most `MAX_NAMES`, by name."""
    return _seen(connection, dispatches.c.agent_name, names(connection, dispatches.c.agent_name))


def last_hits(connection: Connection, rules: Sequence[str]) -> dict[str, datetime | None]:
    """Return when each of these rules last made a dispatch."""
    return {one.name: one.last_at for one in _seen(connection, dispatches.c.rule_name, rules)}


def names(connection: Connection, column: ColumnElement[str]) -> list[str]:
    """Return the distinct values of an indexed column, by leaps from each to the next: a DISTINCT would read it all."""
    leaps = select(func.min(column).label("name")).cte("leaps", recursive=True)
    further = select(func.min(column)).where(column > leaps.c.name).correlate(leaps).scalar_subquery()
    leaps = leaps.union_all(select(further).where(leaps.c.name.is_not(None)))
    query = select(leaps.c.name).where(leaps.c.name.is_not(None)).limit(MAX_NAMES)
    return list(connection.scalars(query))


def absent_agents(connection: Connection, agents: Sequence[str]) -> dict[str, int]:
    """Return those of the agents that came to none of their latest dispatches, with how many of these they missed."""
    column, asked = dispatches.c, asked_for(connection, agents)
    recent = (
        select(column.joined_at, column.status)
        .where(column.agent_name >= asked.c.name, column.agent_name <= asked.c.name)
        .order_by(column.agent_name.desc(), column.id.desc())
        .limit(_LATEST_TRIED)
        .correlate(asked)
        .subquery()
    )
    missed = func.sum(case((recent.c.status == DispatchStatus.NO_SHOW, 1), else_=0))
    verdict = select(case((func.count(recent.c.joined_at) == 0, missed), else_=0)).scalar_subquery()
    rows = connection.execute(select(asked.c.name, verdict.label("missed")))
    return {row.name: row.missed for row in rows if row.missed}


def _seen(connection: Connection, column: ColumnElement[str], wanted: Sequence[str]) -> list[Seen]:
    if not wanted:
        return []
    # One statement; the inner look-up reads one entry of the index for each name. By a range: see `access_path`.
    asked = asked_for(connection, wanted[:MAX_NAMES])
    last = (
        select(dispatches.c.id)
        .where(column >= asked.c.name, column <= asked.c.name)
        .order_by(column.desc(), dispatches.c.id.desc())
        .limit(1)
        .correlate(asked)
        .scalar_subquery()
    )
    found = {row.name: row.latest for row in connection.execute(select(asked.c.name, last.label("latest")))}
    return [Seen(name, instant_of_id(found[name]) if found.get(name) else None) for name in wanted[:MAX_NAMES]]
