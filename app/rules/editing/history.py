"""What the rules are and what they were: `routing_rules`, and `rule_changes` as the database's triggers wrote it.

The highest id of `rule_changes` is the version of the rule book.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, text

from app.db.tables import RULE_COLUMNS, routing_rules, rule_changes
from app.db.types import format_instant
from app.errors import NotFoundError
from app.rules.columns import DOCUMENTS, WRITABLE, matching_order
from app.rules.editing.difference import ValueDifference, compare_values

_BOOLEANS: Final = ("enabled", "recover", "withdraw")


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One recorded edit of one rule; `before` and `after` are rows as they were, None where there was none."""

    id: int
    rule_id: int
    change: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changed_at: datetime
    changed_by: str

    @property
    def name(self) -> str:
        """The rule's name after the edit, or before it for a removal."""
        row = self.after or self.before or {}
        return str(row.get("name", ""))

    @property
    def values(self) -> tuple[ValueDifference, ...]:
        """What an update changed; empty for inserts and deletes."""
        if self.before is None or self.after is None:
            return ()
        before, after = self.before, self.after
        return tuple(
            difference
            for column in WRITABLE
            for difference in compare_values(column, before.get(column), after.get(column))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "rule_id": self.rule_id,
            "rule": self.name,
            "change": self.change,
            "values": [value.to_json() for value in self.values],
            "before": self.before,
            "after": self.after,
            "changed_at": format_instant(self.changed_at),
            "changed_by": self.changed_by,
        }


def read_rules(connection: Connection) -> list[dict[str, Any]]:
    """Return all rules as rows with RULE_COLUMNS, in matching order.

    What plain SQL may have put in is returned as it stands (SQLite holds any text in any column), so that a bad row can
    be shown, exported and put right.
    """
    if connection.dialect.name == "sqlite":
        columns = ", ".join(f'"{column}"' for column in RULE_COLUMNS)
        # The column types would refuse what is no JSON or no boolean.
        statement = text(f"SELECT {columns} FROM routing_rules ORDER BY priority, id")  # noqa: S608 - names from code
        return [_from_sqlite(row) for row in connection.execute(statement).mappings()]
    table = routing_rules.c
    rows = connection.execute(select(*(table[column] for column in RULE_COLUMNS)).order_by(table.priority, table.id))
    return [{str(column): value for column, value in row.items()} for row in rows.mappings()]


def _from_sqlite(row: RowMapping) -> dict[str, Any]:
    read = {str(column): value for column, value in row.items()}
    for column in DOCUMENTS:
        if isinstance(read[column], str):
            try:
                read[column] = json.loads(read[column])
            except (ValueError, RecursionError):
                continue
    for column in _BOOLEANS:
        if read[column] in {0, 1}:
            read[column] = bool(read[column])
    return read


def rules_version(connection: Connection) -> int:
    """Return the version of the rule book: the highest id of `rule_changes`, 0 before the first edit."""
    return connection.scalar(select(func.max(rule_changes.c.id))) or 0


def history(
    connection: Connection,
    name: str | None = None,
    *,
    limit: int = 100,
    before_version: int | None = None,
    after_version: int | None = None,
) -> list[RuleChange]:
    """Return the recorded edits, newest first; with `name`, of the rules that bear or ever bore it.

    Page on with `before_version`, the id of the last change seen.
    """
    change = rule_changes.c
    statement = select(rule_changes).order_by(change.id.desc()).limit(limit)
    if before_version is not None:
        statement = statement.where(change.id < before_version)
    if after_version is not None:
        statement = statement.where(change.id > after_version)
    if name is not None:
        lives = _lives_of(connection, name)
        if not lives:
            raise NotFoundError(f"no rule is or was named {name!r}")
        statement = statement.where(
            or_(*(and_(change.rule_id == rule_id, change.id.between(first, last)) for rule_id, first, last in lives))
        )
    return [_change_of(row) for row in connection.execute(statement).mappings()]


def _lives_of(connection: Connection, name: str) -> list[tuple[int, int, int]]:
    """Return (rule id, first change, last change) of each rule that was ever named so.

    A rule lives from its insert to its delete: SQLite gives the id of a deleted rule to the next one.
    """
    change = rule_changes.c
    named = select(change.rule_id).where(
        or_(change.after["name"].as_string() == name, change.before["name"].as_string() == name)
    )
    rows = connection.execute(
        select(change.id, change.rule_id, change.change, change.before["name"].as_string().label("was"),
               change.after["name"].as_string().label("became"))
        .where(change.rule_id.in_(named)).order_by(change.rule_id, change.id)
    ).all()  # fmt: skip
    lives: list[tuple[int, int, int]] = []
    first, bore_it = 0, False
    for place, row in enumerate(rows):
        begins = place == 0 or row.change == "insert" or rows[place - 1].rule_id != row.rule_id
        if begins:
            first, bore_it = row.id, False
        bore_it = bore_it or name in {row.was, row.became}
        following = rows[place + 1] if place + 1 < len(rows) else None
        ends = following is None or following.rule_id != row.rule_id or following.change == "insert"
        if ends and bore_it:
            lives.append((row.rule_id, first, row.id))
    return lives


def _change_of(row: RowMapping) -> RuleChange:
    return RuleChange(
        row["id"],
        row["rule_id"],
        row["change"],
        row["before"],
        row["after"],
        row["changed_at"],
        row["changed_by"],
    )


def rules_at(connection: Connection, version: int) -> list[dict[str, Any]]:
    """Return all rules as they were at `version`, in matching order; NotFoundError for a version not yet reached."""
    latest = rules_version(connection)
    if not 0 <= version <= latest:
        raise NotFoundError(f"there is no version {version} of the rules; versions are 0 to {latest}")
    change = rule_changes.c
    last = select(func.max(change.id)).where(change.id <= version).group_by(change.rule_id)
    rows = connection.scalars(select(change.after).where(change.id.in_(last), change.change != "delete"))
    return sorted((dict(row) for row in rows), key=matching_order)
