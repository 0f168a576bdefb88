"""When rules changed, to be marked beside figures over time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, select

from app.db.tables import rule_changes
from app.json_shape import Instant, JsonShape

MAX_CHANGES: Final = 400
"""Changes that are read at most, the latest."""
MAX_MARKS: Final = 60
_NAMES_SHOWN: Final = 5
_VERBS: Final = {"insert": "created", "update": "changed", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class RuleMark(JsonShape):
    """Changes of rules that were made together."""

    at: Instant
    by: str
    why: Annotated[str | None, Field(description="given by the editor")]
    rules: Annotated[tuple[str, ...], Field(description=f"their names, {_NAMES_SHOWN} at most")]
    changes: Annotated[int, Field(description="of how many rules")]
    change: Annotated[str, Field(description="created, changed, deleted, or edited if they were not changed alike")]
    version: Annotated[int, Field(description="of the rules since then")]


@dataclass(frozen=True, slots=True)
class RuleMarks:
    """The latest changes of rules, oldest first, and whether there were more."""

    changes: tuple[RuleMark, ...]
    is_cut: bool


def rule_marks(
    connection: Connection, since: datetime, *, rule: str | None = None, rule_ids: Collection[int] | None = None
) -> RuleMarks:
    """Return the changes of rules since `since`; of one name, or of some ids (None: of all)."""
    change = rule_changes.c
    name = (
        change.after["name"].as_string().label("after_name"),
        change.before["name"].as_string().label("before_name"),
    )
    columns = (change.id, change.rule_id, change.change, *name, change.changed_at, change.changed_by)
    # By the primary key, and the time is compared afterwards: the table has no index of times.
    latest = (
        select(*columns, change.change_set, change.why).order_by(change.id.desc()).limit(MAX_CHANGES + 1).subquery()
    )
    rows = connection.execute(select(latest).where(latest.c.changed_at >= since).order_by(latest.c.id.desc())).all()
    groups: dict[str, list[Any]] = {}
    for row in rows[:MAX_CHANGES]:
        if rule is not None and rule not in {row.after_name, row.before_name}:
            continue
        if rule_ids is not None and row.rule_id not in rule_ids:
            continue
        groups.setdefault(row.change_set or f"change {row.id}", []).append(row)
    marks = [_mark(group) for group in groups.values()]
    return RuleMarks(tuple(reversed(marks[:MAX_MARKS])), len(rows) > MAX_CHANGES or len(marks) > MAX_MARKS)


def _mark(group: list[Any]) -> RuleMark:
    """Return the mark of changes of one set, the latest of which is first."""
    names = tuple(dict.fromkeys(str(row.after_name or row.before_name) for row in reversed(group)))
    verbs = {_VERBS[row.change] for row in group}
    latest = group[0]
    return RuleMark(
        at=latest.changed_at,
        by=latest.changed_by,
        why=latest.why,
        rules=names[:_NAMES_SHOWN],
        changes=len(names),
        change=verbs.pop() if len(verbs) == 1 else "edited",
        version=latest.id,
    )
