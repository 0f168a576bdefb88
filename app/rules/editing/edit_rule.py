"""Creates, changes and deletes one rule, refusing an edit that is based on an older version of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.db.editing.edit import refuse_if_edited
from app.db.tables import rule_changes
from app.errors import ConflictError, InvalidInputError
from app.rules.check import check_rule
from app.rules.columns import WRITABLE, complete
from app.rules.editing.apply import apply, lock_rules
from app.rules.editing.difference import Change, RuleDifference, changed_columns
from app.rules.editing.stored_rules import StoredRule, read_stored_rule, rule_named, rules_version
from app.translation import translatable


def create_rule(connection: Connection, draft: Mapping[str, Any], editor: str, *, why: str | None = None) -> StoredRule:
    """Add a rule; InvalidInputError with every problem, ConflictError when its name is taken."""
    _refuse_problems(draft)
    lock_rules(connection)
    row = complete(draft)
    _refuse_taken_name(connection, row["name"])
    difference = RuleDifference(Change.CREATED, row["name"], None, None, row)
    apply(connection, [difference], editor, rules_version(connection), why=why)
    return read_stored_rule(connection, rule_named(connection, row["name"]) or 0)


def change_rule(
    connection: Connection,
    rule_id: int,
    columns: Mapping[str, Any],
    editor: str,
    expected: int | None,
    *,
    whole: bool,
    why: str | None = None,
) -> StoredRule:
    """Change the given columns of a rule (`whole`: the others go back to their defaults).

    EditedMeanwhileError unless the rule is still at version `expected` (None: whatever it is at).
    """
    lock_rules(connection)
    before = read_stored_rule(connection, rule_id)
    given = {name: value for name, value in columns.items() if name != "id"}
    wanted = given if whole else {**{column: before.row.get(column) for column in WRITABLE}, **given}
    _refuse_problems(wanted)
    refuse_if_edited(connection, rule_changes, translatable("rule"), before.version, expected)
    after = {**complete(wanted), "id": rule_id}
    if not changed_columns(before.row, after):
        return before
    if after["name"] != before.row.get("name"):
        _refuse_taken_name(connection, after["name"])
    difference = RuleDifference(Change.CHANGED, str(before.row.get("name")), rule_id, before.row, after)
    apply(connection, [difference], editor, rules_version(connection), why=why)
    return read_stored_rule(connection, rule_id)


def delete_rule(
    connection: Connection, rule_id: int, editor: str, expected: int | None, *, why: str | None = None
) -> StoredRule:
    """Delete a rule and return what it was; its history stays, and `revert` brings it back."""
    lock_rules(connection)
    before = read_stored_rule(connection, rule_id)
    refuse_if_edited(connection, rule_changes, translatable("rule"), before.version, expected)
    difference = RuleDifference(Change.DELETED, str(before.row.get("name")), rule_id, before.row, None)
    apply(connection, [difference], editor, rules_version(connection), why=why)
    return before


def _refuse_problems(draft: Mapping[str, Any]) -> None:
    if problems := check_rule(draft):
        raise InvalidInputError(translatable("this rule cannot be saved"), problems)


def _refuse_taken_name(connection: Connection, name: str) -> None:
    if rule_named(connection, name) is not None:
        raise ConflictError(translatable("there is a rule named %(name)s already", name=repr(name)))
