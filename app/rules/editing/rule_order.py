"""Moves a rule within the matching order, with as few new priorities as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from app.db.rule_columns import COLUMN
from app.db.tables import routing_rules
from app.errors import ConflictError, NotFoundError
from app.rules.columns import matching_order
from app.rules.editing.apply import apply, lock_rules
from app.rules.editing.difference import Change, RuleDifference
from app.rules.editing.stored_rules import rules_version
from app.translation import translatable

_LEAST: Final = int(COLUMN["priority"].least or 0)
_MOST: Final = int(COLUMN["priority"].most or 0)
_STEP: Final = 10
"""The distance of a rule that becomes the first or the last, which leaves room for others."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule by its place in the matching order."""

    id: int
    name: str
    priority: int


def places(connection: Connection) -> list[Placed]:
    """Return all rules in matching order; those whose priority is no number, which are last, are left out."""
    column = routing_rules.c
    rows = connection.execute(select(column.id, column.name, column.priority)).mappings()
    ordered = sorted(map(dict, rows), key=matching_order)
    return [Placed(row["id"], str(row["name"]), row["priority"]) for row in ordered if type(row["priority"]) is int]


def move_rule(connection: Connection, rule_id: int, above: int | None, editor: str) -> list[Placed]:
    """Put a rule above another, or with None last; return the rules that got another priority.

    NotFoundError if one of them is not there, or has no number as its priority.
    """
    lock_rules(connection)
    now = places(connection)
    priorities = moved(now, rule_id, above)
    before = {one.id: one for one in now}
    differences = [
        RuleDifference(
            Change.CHANGED, before[each].name, each, {"priority": before[each].priority}, {"priority": priority}
        )
        for each, priority in priorities.items()
    ]
    # Only priorities change, to numbers that are allowed; whatever else plain SQL has stored stays.
    apply(connection, differences, editor, rules_version(connection), are_checked=True)
    return [Placed(each, before[each].name, priority) for each, priority in priorities.items()]


def moved(rules: Sequence[Placed], rule_id: int, above: int | None) -> dict[int, int]:
    """Return the priorities that change, by id, to put a rule above another, or with None last.

    Between two rules the middle is taken; where there is no room, those below move down as far as needed.
    """
    by_id = {one.id: one for one in rules}
    for wanted in (rule_id, above):
        if wanted is not None and wanted not in by_id:
            raise NotFoundError(translatable("there is no rule %(wanted)s that can be ordered", wanted=wanted))
    others = [one for one in rules if one.id != rule_id]
    at = next((place for place, one in enumerate(others) if one.id == above), len(others))
    if above == rule_id or rules[at].id == rule_id:
        return {}  # it is there already
    upper = others[at - 1].priority if at else None
    lower = others[at].priority if at < len(others) else None
    priorities = {rule_id: _between(upper, lower)}
    last = priorities[rule_id]
    for one in others[at:]:
        if one.priority > last:
            break
        last += 1
        priorities[one.id] = last
    if last > _MOST:
        priorities = _spread([*others[:at], by_id[rule_id], *others[at:]])
    return {each: priority for each, priority in priorities.items() if priority != by_id[each].priority}


def _between(upper: int | None, lower: int | None) -> int:
    """Return a priority below `upper`, and above `lower` if there is room."""
    if upper is None:
        return _STEP if lower is None else max(lower - _STEP, _LEAST)
    if lower is None:
        return upper + 1 if upper + _STEP > _MOST else upper + _STEP
    return (upper + lower) // 2 if lower - upper > 1 else upper + 1


def _spread(ordered: Sequence[Placed]) -> dict[int, int]:
    step = min(_STEP, (_MOST - _LEAST) // max(1, len(ordered)))
    if not step:
        raise ConflictError(
            translatable("there are more rules than priorities from %(least)s to %(most)s", least=_LEAST, most=_MOST)
        )
    start = step if step * len(ordered) <= _MOST else _LEAST
    return {one.id: start + step * place for place, one in enumerate(ordered)}
