"""Rules through a door: each with the version it is at, so that nobody writes over somebody else's edit unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text, tuple_

from app.db.tables import routing_rules, rule_changes
from app.db.types import format_instant
from app.errors import ConflictError, EditedMeanwhileError, InvalidInputError, NotFoundError
from app.rules.check import check_rule
from app.rules.columns import UNSTORABLE, WRITABLE, complete
from app.rules.editing.changes import apply
from app.rules.editing.difference import Change, RuleDifference, changed_columns
from app.rules.editing.history import rules_version

_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it stands; `version` is the id of its latest recorded change, which `If-Match` names."""

    id: int
    version: int
    row: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    updated_by: str | None

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def to_json(self) -> dict[str, Any]:
        """Return the rule with every column and its version."""
        return {
            "id": self.id,
            **{column: self.row.get(column) for column in WRITABLE},
            "version": self.version,
            "created_at": format_instant(self.created_at),
            "updated_at": format_instant(self.updated_at),
            "updated_by": self.updated_by,
        }


def read_stored_rule(connection: Connection, rule_id: int) -> StoredRule:
    """Return the rule of that id; NotFoundError when there is none."""
    stored = _with_documents(connection, [rule_id] if 0 < rule_id <= _LARGEST_ID else [])
    if not stored:
        raise NotFoundError(f"no rule has the id {rule_id}")
    return stored[0]


def list_stored_rules(
    connection: Connection, *, limit: int, after: tuple[int, int] | None = None, name: str | None = None
) -> list[StoredRule]:
    """Return rules in matching order, those after `after` (priority, id)."""
    table = routing_rules.c
    query = select(table.id).order_by(table.priority, table.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(table.priority, table.id) > after)
    if name is not None:
        query = query.where(table.name == name)
    return _with_documents(connection, list(connection.scalars(query)))


def _with_documents(connection: Connection, ids: Sequence[int]) -> list[StoredRule]:
    # What the triggers recorded is JSON whatever plain SQL has put into the columns, and it names the version.
    if not ids:
        return []
    latest = select(func.max(rule_changes.c.id)).where(rule_changes.c.rule_id.in_(ids)).group_by(rule_changes.c.rule_id)
    documents = {
        row.rule_id: (row.id, row.after)
        for row in connection.execute(
            select(rule_changes.c.id, rule_changes.c.rule_id, rule_changes.c.after).where(rule_changes.c.id.in_(latest))
        )
        if row.after is not None
    }
    table = routing_rules.c
    stamps = {
        row.id: row
        for row in connection.execute(
            select(table.id, table.created_at, table.updated_at, table.updated_by).where(table.id.in_(ids))
        )
    }
    return [
        StoredRule(one, *documents[one], stamps[one].created_at, stamps[one].updated_at, stamps[one].updated_by)
        for one in ids
        if one in documents and one in stamps
    ]


def rule_named(connection: Connection, name: Any) -> int | None:
    """Return the id of the rule of that name; None when there is none, or `name` cannot be one."""
    if not isinstance(name, str) or UNSTORABLE.search(name):
        return None
    return connection.scalar(select(routing_rules.c.id).where(routing_rules.c.name == name))


def create_rule(connection: Connection, draft: Mapping[str, Any], editor: str) -> StoredRule:
    """Add a rule; InvalidInputError with every problem, ConflictError when its name is taken."""
    _refuse_problems(draft)
    _hold_rules(connection)
    row = complete(draft)
    _refuse_taken_name(connection, row["name"])
    apply(connection, [RuleDifference(Change.CREATED, row["name"], None, None, row)], editor, rules_version(connection))
    return read_stored_rule(connection, rule_named(connection, row["name"]) or 0)


def change_rule(
    connection: Connection, rule_id: int, columns: Mapping[str, Any], editor: str, expected: int | None, *, whole: bool
) -> StoredRule:
    """Change the given columns of a rule (`whole`: the others go back to their defaults).

    EditedMeanwhileError unless the rule is still at version `expected` (None: whatever it is at).
    """
    _hold_rules(connection)
    before = read_stored_rule(connection, rule_id)
    given = {name: value for name, value in columns.items() if name != "id"}
    wanted = given if whole else {**{column: before.row.get(column) for column in WRITABLE}, **given}
    _refuse_problems(wanted)
    _refuse_if_edited(connection, before, expected)
    after = {**complete(wanted), "id": rule_id}
    if not changed_columns(before.row, after):
        return before
    if after["name"] != before.row.get("name"):
        _refuse_taken_name(connection, after["name"])
    difference = RuleDifference(Change.CHANGED, str(before.row.get("name")), rule_id, before.row, after)
    apply(connection, [difference], editor, rules_version(connection))
    return read_stored_rule(connection, rule_id)


def delete_rule(connection: Connection, rule_id: int, editor: str, expected: int | None) -> StoredRule:
    """Delete a rule and return what it was; its history stays, and `revert` brings it back."""
    _hold_rules(connection)
    before = read_stored_rule(connection, rule_id)
    _refuse_if_edited(connection, before, expected)
    difference = RuleDifference(Change.DELETED, str(before.row.get("name")), rule_id, before.row, None)
    apply(connection, [difference], editor, rules_version(connection))
    return before


def _refuse_problems(draft: Mapping[str, Any]) -> None:
    if problems := check_rule(draft):
        raise InvalidInputError("this rule cannot be saved", problems)


def _refuse_taken_name(connection: Connection, name: str) -> None:
    if rule_named(connection, name) is not None:
        raise ConflictError(f"there is a rule named {name!r} already")


def _refuse_if_edited(connection: Connection, rule: StoredRule, expected: int | None) -> None:
    if expected is None or expected == rule.version:
        return
    change = connection.execute(
        select(rule_changes.c.changed_by, rule_changes.c.changed_at).where(rule_changes.c.id == rule.version)
    ).one()
    raise EditedMeanwhileError(
        f"the rule was edited meanwhile by {change.changed_by} at {format_instant(change.changed_at)} "
        f"(it is at version {rule.version}, you began from {expected}); nothing was saved"
    )


def _hold_rules(connection: Connection) -> None:
    # Before the version is read: the other replica's edit under way must be seen or wait.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE routing_rules IN SHARE ROW EXCLUSIVE MODE"))
