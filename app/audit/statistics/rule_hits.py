"""How often each rule made a dispatch of late, and when last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from app.db.record_ids import instant_of_id
from app.db.tables import dispatches

COUNTED: Final = 10_000  # latest dispatches of all rules, so that the cost does not grow with the table


@dataclass(frozen=True, slots=True)
class RuleHits:
    """How many of the latest dispatches a rule made, and when the last of them."""

    count: int
    last_at: datetime | None


def count_rule_hits(connection: Connection) -> dict[int, RuleHits]:
    """Return the hits by rule id, whatever name the rule had, among the latest `COUNTED` dispatches."""
    column = dispatches.c
    recent = select(column.rule_id, column.id).order_by(column.id.desc()).limit(COUNTED).subquery()
    query = select(recent.c.rule_id, func.count(), func.max(recent.c.id)).group_by(recent.c.rule_id)
    return {row[0]: RuleHits(row[1], instant_of_id(row[2])) for row in connection.execute(query)}
