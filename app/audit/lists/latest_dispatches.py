"""The latest dispatches of all, of one agent or of one rule: a bounded number, read in the order of an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, select, union_all

from app.audit.lists.access_path import ByIndexedValue, ByPrimaryKey, IdRange, IndexPath
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, routing_rules, rule_changes

_MAX_NAMES = 20  # former names of a rule that are looked up; each costs one more range of the index


def path_of_rule(rule: str | None) -> IndexPath:
    """Return the access path to the dispatches of a rule by the name it had then; to all if none is given."""
    column = dispatches.c
    return ByPrimaryKey(column.id) if rule is None else ByIndexedValue(column.rule_name, rule, column.id)


def paths_of_agent(agent: str) -> list[ByIndexedValue]:
    """Return the access paths to the dispatches of rules for an agent, and to those that ask it as a fallback."""
    column = dispatches.c
    asked = column.asked_agent_name
    return [
        ByIndexedValue(column.agent_name, agent, column.id),
        ByIndexedValue(asked, agent, column.id, (asked.is_not(None), asked != column.agent_name)),
    ]


def latest_dispatches(
    columns: Sequence[ColumnElement[Any]],
    paths: Sequence[IndexPath],
    since: datetime | None,
    limit: int,
) -> Subquery:
    """Return the latest `limit` dispatches since `since` (None: ever) that any path finds; `columns` include the id."""
    ids = IdRange(None, None if since is None else lowest_id_at(since))
    parts = [
        select(*columns).where(*path.conditions(ids)).order_by(*path.order()).limit(limit).subquery() for path in paths
    ]
    if len(parts) == 1:
        return parts[0]
    merged = union_all(*(select(part) for part in parts)).subquery()
    return select(merged).order_by(merged.c.id.desc()).limit(limit).subquery()


def names_of_rule(connection: Connection, rule_id: int, since: datetime) -> list[str]:
    """Return the name of the rule and those it had since `since`: a dispatch keeps the name that its rule had."""
    change, table = rule_changes.c, routing_rules.c
    present = connection.scalars(select(table.name).where(table.id == rule_id)).all()
    before = (
        select(change.before["name"].as_string())
        .where(change.rule_id == rule_id, change.changed_at >= since, change.before.is_not(None))
        .distinct()
        .limit(_MAX_NAMES)
    )
    return list(dict.fromkeys([*present, *(name for name in connection.scalars(before) if name)]))
