"""How often each rule made a dispatch or acted on a caller of late, and when it did last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, null, select, union_all

from app.db.record_ids import instant_of_id
from app.db.tables import caller_actions, dispatches

MAX_COUNTED: Final = 10_000
"""Dispatches, and likewise removals and transfers, of all rules: bounds the cost, however many are stored."""


@dataclass(frozen=True, slots=True)
class RuleHits:
    """The number of recent dispatches, removals and transfers of a rule, and when the last of them was created."""

    count: int
    last_at: datetime | None


def count_rule_hits(connection: Connection) -> dict[int, RuleHits]:
    """Return the hits of each rule among the latest `MAX_COUNTED` of either kind, by rule id."""
    parts = []
    for table, of_dispatch in ((dispatches, null()), (caller_actions, caller_actions.c.dispatch_id)):
        columns = (table.c.rule_id, table.c.id, of_dispatch.label("of_dispatch"))
        parts.append(select(select(*columns).order_by(table.c.id.desc()).limit(MAX_COUNTED).subquery()))
    recent = union_all(*parts).subquery()
    query = select(recent.c.rule_id, func.count(), func.max(recent.c.id)).group_by(recent.c.rule_id)
    query = query.where(recent.c.of_dispatch.is_(None))  # what follows from a dispatch is no hit of its own
    return {row[0]: RuleHits(row[1], instant_of_id(row[2])) for row in connection.execute(query)}
