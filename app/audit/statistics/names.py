"""The agents and rules that dispatches name, and when each was last named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from app.audit.statistics.dialects import names_table
from app.db.record_ids import instant_of_id
from app.db.tables import dispatches
from app.json_shape import Instant, JsonShape

MAX_NAMES: Final = 500


@dataclass(frozen=True, slots=True)
class Seen(JsonShape):
    """An agent or rule that dispatches name, and when the latest of them was created."""

    name: str
    last_at: Instant | None


def known_agents(connection: Connection) -> list[Seen]:
    """Return every agent that dispatches name, or have asked as a fallback, sorted by name, `MAX_NAMES` at most."""
    found: dict[str, Seen] = {}
    for column in (dispatches.c.agent_name, dispatches.c.asked_agent_name):
        for one in _seen(connection, column, names(connection, column)):
            found[one.name] = max(one, found.get(one.name, one), key=lambda seen: str(seen.last_at or ""))
    return sorted(found.values(), key=lambda seen: seen.name)[:MAX_NAMES]


def known_rules(connection: Connection) -> list[str]:
    """Return every rule that dispatches name, sorted, `MAX_NAMES` at most."""
    return names(connection, dispatches.c.rule_name)


def last_hits(connection: Connection, rules: Sequence[str]) -> dict[str, datetime | None]:
    """Return when each of the rules last made a dispatch, by name; None if never."""
    return {one.name: one.last_at for one in _seen(connection, dispatches.c.rule_name, rules)}


def names(connection: Connection, column: ColumnElement[str]) -> list[str]:
    """Return the distinct values of an indexed column, `MAX_NAMES` at most; each costs one look-up in the index.

    A DISTINCT would read the whole index.
    """
    distinct = select(func.min(column).label("name")).where(column.is_not(None)).cte("distinct_names", recursive=True)
    following = select(func.min(column)).where(column > distinct.c.name).correlate(distinct).scalar_subquery()
    distinct = distinct.union_all(select(following).where(distinct.c.name.is_not(None)))
    query = select(distinct.c.name).where(distinct.c.name.is_not(None)).limit(MAX_NAMES)
    return list(connection.scalars(query))


def _seen(connection: Connection, column: ColumnElement[str], wanted: Sequence[str]) -> list[Seen]:
    if not wanted:
        return []
    # The inner query reads one entry of the index for each name; it asks for a range, see `access_path`.
    wanted_names = names_table(connection, wanted[:MAX_NAMES])
    last = (
        select(dispatches.c.id)
        .where(column >= wanted_names.c.name, column <= wanted_names.c.name)
        .order_by(column.desc(), dispatches.c.id.desc())
        .limit(1)
        .correlate(wanted_names)
        .scalar_subquery()
    )
    found = {row.name: row.latest for row in connection.execute(select(wanted_names.c.name, last.label("latest")))}
    return [Seen(name, instant_of_id(found[name]) if found.get(name) else None) for name in wanted[:MAX_NAMES]]
