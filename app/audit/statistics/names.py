"""The agents and rules that dispatches name, and when each was last named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Column, ColumnElement, Connection, FromClause, case, func, select, text, true, type_coerce

from app.audit.named_agents import agents_of_rules
from app.audit.statistics.dialects import names_table
from app.db.record_ids import instant_of_id
from app.db.tables import IS_IGNORED_CALLER, caller_actions, dispatches, events, ignoring_rule
from app.db.tables import agents as agents_table
from app.errors import nearest
from app.json_shape import Instant, JsonShape
from app.translation import translatable

MAX_NAMES: Final = 500
_LATEST_ASKED: Final = 50  # dispatches of an agent


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


def warnings_about_agents(
    connection: Connection, agent_names: Iterable[str | None], known: Iterable[str] | None = None
) -> list[str]:
    """Return which of these agents no dispatch has asked for, each with the nearest name of another agent.

    `known`: the names of those, if they have been read.
    """
    wanted = list(dict.fromkeys(name for name in agent_names if name))
    names_known = sorted((one.name for one in known_agents(connection)) if known is None else known) if wanted else []
    unknown = [one for one in wanted if one not in names_known]
    stored: set[str] = agents_of_rules(connection) if unknown else set()
    stored |= set(connection.scalars(select(agents_table.c.agent_name).limit(MAX_NAMES)) if unknown else ())
    warnings = []
    for name in unknown:
        similar = nearest(name, [one for one in (*names_known, *stored) if one != name])
        meant = translatable("; is %(similar)s meant?", similar=repr(similar)) if similar else ""
        warnings.append(
            translatable("no dispatch has asked for %(name)s before%(meant)s", name=repr(name), meant=meant)
        )
    return warnings


def known_rules(connection: Connection) -> list[str]:
    """Return every rule by which a dispatch was made or a caller acted on or ignored, sorted, `MAX_NAMES` at most."""
    found = {name for table in (dispatches, caller_actions) for name in names(connection, table.c.rule_name)}
    found.update(ignoring_rules(connection))
    return sorted(found)[:MAX_NAMES]


def ignoring_rules(connection: Connection) -> list[str]:
    """Return the rules that have ignored callers, `MAX_NAMES` at most."""
    return _distinct(connection, ignoring_rule(), events, cast("ColumnElement[bool]", text(IS_IGNORED_CALLER)))


def last_hits(connection: Connection, rules: Sequence[str]) -> dict[str, datetime | None]:
    """Return when each of the rules last made a dispatch, or removed or transferred a caller, by name; None: never."""
    found: dict[str, datetime | None] = {}
    for table in (dispatches, caller_actions):
        for one in _seen(connection, table.c.rule_name, rules):
            found[one.name] = max(filter(None, (one.last_at, found.get(one.name))), default=None)
    return found


def last_joins(connection: Connection, agents: Sequence[str]) -> dict[str, datetime]:
    """Return when each of the agents last joined, as far as it did in its latest dispatches."""
    asked = dispatches.c.asked_agent_name
    own = case((asked.is_(None), dispatches.c.joined_at))
    found: dict[str, datetime] = {}
    for column, joined_at in ((dispatches.c.agent_name, own), (asked, dispatches.c.joined_at)):
        for name, last_at in _last_joins(connection, column, joined_at, agents[:MAX_NAMES]):
            found[name] = max(last_at, found.get(name, last_at))
    return found


def _last_joins(
    connection: Connection, column: ColumnElement[str], joined_at: ColumnElement[Any], agents: Sequence[str]
) -> list[tuple[str, datetime]]:
    if not agents:
        return []
    wanted = names_table(connection, agents)
    latest = (
        select(joined_at.label("joined_at"))
        .where(column >= wanted.c.name, column <= wanted.c.name)
        .order_by(column.desc(), dispatches.c.id.desc())
        .limit(_LATEST_ASKED)
        .correlate(wanted)
        .subquery()
    )
    last = select(func.max(latest.c.joined_at)).scalar_subquery()
    rows = connection.execute(select(wanted.c.name, type_coerce(last, dispatches.c.joined_at.type).label("joined_at")))
    return [(row.name, row.joined_at) for row in rows if row.joined_at is not None]


def names(connection: Connection, column: Column[str]) -> list[str]:
    """Return the distinct values of an indexed column, `MAX_NAMES` at most; each costs one look-up in the index."""
    return _distinct(connection, column, column.table, true())


def _distinct(
    connection: Connection, column: ColumnElement[str], table: FromClause, where: ColumnElement[bool]
) -> list[str]:
    """Return the distinct values of what an index of `table` has, under its condition `where`.

    A DISTINCT would read the whole index.
    """
    first = select(func.min(column).label("name")).select_from(table).where(column.is_not(None), where)
    distinct = first.cte("distinct_names", recursive=True)
    greater = select(func.min(column)).select_from(table).where(column > distinct.c.name, where)
    following = greater.correlate(distinct).scalar_subquery()
    distinct = distinct.union_all(select(following).where(distinct.c.name.is_not(None)))
    query = select(distinct.c.name).where(distinct.c.name.is_not(None)).limit(MAX_NAMES)
    return list(connection.scalars(query))


def _seen(connection: Connection, column: Column[str], wanted: Sequence[str]) -> list[Seen]:
    if not wanted:
        return []
    # The inner query reads one entry of the index for each name; it asks for a range, see `access_path`.
    wanted_names = names_table(connection, wanted[:MAX_NAMES])
    key = column.table.c.id
    last = (
        select(key)
        .where(column >= wanted_names.c.name, column <= wanted_names.c.name)
        .order_by(column.desc(), key.desc())
        .limit(1)
        .correlate(wanted_names)
        .scalar_subquery()
    )
    found = {row.name: row.latest for row in connection.execute(select(wanted_names.c.name, last.label("latest")))}
    return [Seen(name, instant_of_id(found[name]) if found.get(name) else None) for name in wanted[:MAX_NAMES]]
