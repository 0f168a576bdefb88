"""How many recent dispatches each rule made, and when it made the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from app.db.record_ids import instant_of_id
from app.db.tables import dispatches

MAX_COUNTED: Final = 10_000  # dispatches of all rules: bounds the cost, however many are stored


@dataclass(frozen=True, slots=True)
class RuleHits:
    """The number of recent dispatches of a rule, and when the last of them was created."""

    count: int
    last_at: datetime | None


def count_rule_hits(connection: Connection) -> dict[int, RuleHits]:
    """Return the hits of each rule among the latest `MAX_COUNTED` dispatches, by rule id."""
    column = dispatches.c
    recent = select(column.rule_id, column.id).order_by(column.id.desc()).limit(MAX_COUNTED).subquery()
    query = select(recent.c.rule_id, func.count(), func.max(recent.c.id)).group_by(recent.c.rule_id)
    return {row[0]: RuleHits(row[1], instant_of_id(row[2])) for row in connection.execute(query)}
