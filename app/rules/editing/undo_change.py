"""Undoes one recorded change of one rule, and nothing that was changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from app.errors import ConflictError, NotFoundError
from app.rules.columns import WRITABLE
from app.rules.editing.apply import lock_rules
from app.rules.editing.difference import changed_columns
from app.rules.editing.edit_rule import change_rule, delete_rule
from app.rules.editing.history import RuleChange, history
from app.rules.editing.rule_set import revert_rules
from app.rules.editing.stored_rules import read_stored_rule
from app.strict_json import same_json


def undo_change(connection: Connection, version: int, editor: str) -> RuleChange:
    """Undo the change that led to `version`, and return it.

    Of an update only the columns that it changed go back. ConflictError if one of them was changed again since, or the
    rule is not there any more; NotFoundError without such a change.
    """
    lock_rules(connection)
    change = _change(connection, version)
    why = f"undo of version {version}"
    match change.change:
        case "insert":
            after = change.after or {}
            _refuse_if_changed(connection, change, [column for column in WRITABLE if column in after])
            delete_rule(connection, change.rule_id, editor, None, why=why)
        case "delete":
            revert_rules(connection, version - 1, name=change.rule, editor=editor, why=why)
        case "update":
            before = change.before or {}
            columns = changed_columns(before, change.after or {})
            _refuse_if_changed(connection, change, columns)
            values: Mapping[str, Any] = {column: before.get(column) for column in columns}
            change_rule(connection, change.rule_id, values, editor, None, whole=False, why=why)
    return change


def _change(connection: Connection, version: int) -> RuleChange:
    found = history(connection, limit=1, after_version=version - 1, before_version=version + 1)
    if not found:
        raise NotFoundError(f"no change has led to version {version} of the rules")
    return found[0]


def _refuse_if_changed(connection: Connection, change: RuleChange, columns: list[str] | tuple[str, ...]) -> None:
    try:
        present = read_stored_rule(connection, change.rule_id).row
    except NotFoundError as error:
        raise ConflictError(f"rule {change.rule!r} is deleted since; nothing was changed") from error
    after = change.after or {}
    again = [column for column in columns if not same_json(present.get(column), after.get(column))]
    if again:
        raise ConflictError(f"{', '.join(again)} of rule {change.rule!r} changed again since; nothing was changed")
