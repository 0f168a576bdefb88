"""Changes many rows at once: to what a rules file says, or rules back to an earlier version of the rule book.

The command line and the API use the same functions, in a transaction of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from app.clock import new_id
from app.db.editing.edit import edited_by, lock_edits
from app.errors import ConflictError, NotFoundError
from app.rules.book.rule_book import RuleBook
from app.rules.columns import WRITABLE
from app.rules.editing.apply import apply, lock_rules, shortened_reason
from app.rules.editing.difference import RuleDifference, changed_columns, diff, differences_to_json, is_effective
from app.rules.editing.edit_rule import change_rule, delete_rule
from app.rules.editing.file_tables import LOOKUPS, RULES
from app.rules.editing.history import RuleChange, history
from app.rules.editing.revert import plan_revert
from app.rules.editing.rules_file import RulesFile
from app.rules.editing.stored_rules import read_rules, read_stored_rule, rules_version
from app.rules.editing.table_edit import (
    EDITED_TABLES,
    TableEdit,
    diff_rows,
    refuse_if_moved,
    table_version,
    write_rows,
)
from app.rules.lookups.read_lookups import lookup_book_of
from app.rules.rule import DRAFT_ID
from app.rules.warnings.rule_warnings import RuleWarning, warnings_by_name
from app.rules.warnings.unseen import Traffic
from app.strict_json import same_json
from app.translation import translatable

MAX_WARNED_RULES: Final = 2_000
"""Rules whose warnings are looked for, at 0.1 ms each; of a larger set only those that change."""


@dataclass(frozen=True, slots=True)
class ExpectedVersions:
    """The versions from which an edit was planned, of each table; None: any."""

    rules: int | None = None
    lookups: int | None = None
    agents: int | None = None


@dataclass(frozen=True, slots=True)
class RuleSetEdit:
    """What became of the rules, or would have become of them if `written` is false.

    `version` is that of the rule book afterwards: the present one when nothing was written. `tables` has what became of
    lookups and agents, by their key, if the file had it.
    """

    differences: Sequence[RuleDifference]
    version: int
    written: bool
    tables: Mapping[str, TableEdit] = field(default_factory=dict)

    @property
    def is_effective(self) -> bool:
        """Whether any rule, lookup or agent changes."""
        if any(map(is_effective, self.differences)):
            return True
        return any(is_effective(one) for edit in self.tables.values() for one in edit.differences)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each table that the file has, by its key."""
        return {RULES.key: self.version} | {key: edit.version for key, edit in self.tables.items()}

    def to_json(self) -> dict[str, Any]:
        """Return version, changed rules and counts as a JSON object; of lookups and agents too, null if untouched."""
        tables = {key: edit.to_json() if (edit := self.tables.get(key)) else None for key in _TABLE_KEYS}
        return {"version": self.version, **differences_to_json(self.differences), **tables}

    def warnings(self, book: RuleBook, traffic: Traffic) -> list[RuleWarning]:
        """Return the warnings of the rules that were wanted, as they stand afterwards.

        `book` is the present rule book: with the edit in it if it was written, else without.
        """
        return warnings_by_name(book if self.written else self._book_after(book), self._names_to_check(), traffic)

    def _book_after(self, book: RuleBook) -> RuleBook:
        changed = [one for one in self.differences if is_effective(one)]
        rows = [
            {**one.after, "id": one.rule_id or DRAFT_ID + index}
            for index, one in enumerate(changed)
            if one.after is not None
        ]
        deleted = [one.rule_id for one in changed if one.after is None and one.rule_id is not None]
        if (edit := self.tables.get(LOOKUPS.key)) is not None:
            book = book.with_lookups(lookup_book_of(edit.rows))
        return book.updated(rows, deleted, book.version)

    def _names_to_check(self) -> list[str]:
        wanted = [one for one in self.differences if one.after is not None]
        if len(wanted) > MAX_WARNED_RULES:
            wanted = [one for one in wanted if is_effective(one)][:MAX_WARNED_RULES]
        return [one.after["name"] for one in wanted if one.after is not None]


@dataclass(frozen=True, slots=True)
class RulePlan:
    """What a file changes in the rules that were stored at `version`."""

    version: int
    differences: Sequence[RuleDifference]


def plan_rules(connection: Connection, wanted: RulesFile, *, delete: bool) -> RulePlan:
    """Return what the file changes; to be read before the transaction that writes it, for many rules take seconds."""
    version = rules_version(connection)  # first: an edit in between makes the plan old, not wrong
    return RulePlan(version, diff(read_rules(connection), wanted.rules, delete=delete))


_TABLE_KEYS: Final = tuple(edited.file.key for edited in EDITED_TABLES)


def apply_file(
    connection: Connection,
    wanted: RulesFile,
    *,
    delete: bool,
    editor: str,
    expected: ExpectedVersions = ExpectedVersions(),
    dry_run: bool = False,
    why: str | None = None,
    plan: RulePlan | None = None,
) -> RuleSetEdit:
    """Make the stored rules equal to those of the file, by name, and return what that changed; one change set.

    Likewise lookups and agents if the file has their key. `wanted` comes from `read_rules_file`, so it is not checked
    again while others wait to write; nor are the rules read again if `plan` was made of those that are stored. What is
    not wanted is deleted if `delete`, else kept. ConflictError if a table is not at its expected version; a dry run
    writes nothing and raises none.
    """
    tables = [edited for edited in EDITED_TABLES if getattr(wanted, edited.file.key) is not None]
    if not dry_run:
        lock_rules(connection)
        for edited in tables:  # always in this order, so that two edits cannot wait for each other
            lock_edits(connection, edited.table)
        for edited in EDITED_TABLES:
            refuse_if_moved(connection, edited, getattr(expected, edited.file.key))
    version = rules_version(connection)
    if plan is None or plan.version != version:
        plan = plan_rules(connection, wanted, delete=delete)
    differences = plan.differences
    planned = {
        edited: diff_rows(edited.file, edited.read(connection), getattr(wanted, edited.file.key), delete=delete)
        for edited in tables
    }
    if not dry_run:
        change_set = new_id()
        base = version if expected.rules is None else expected.rules
        version = apply(connection, differences, editor, base, are_checked=True, why=why, change_set=change_set)
        if planned:
            with edited_by(connection, editor, change_set=change_set, why=shortened_reason(why)):
                for edited, changes in planned.items():
                    write_rows(connection, edited, changes)
    edits = {
        edited.file.key: TableEdit(changes, table_version(connection, edited)) for edited, changes in planned.items()
    }
    return RuleSetEdit(differences, version, written=not dry_run, tables=edits)


def read_tables(connection: Connection) -> RulesFile:
    """Return what is stored as a file that, applied again, changes nothing; None for a table without rows."""
    lookups, agents = (tuple(edited.read(connection)) or None for edited in EDITED_TABLES)
    return RulesFile(tuple(read_rules(connection)), lookups, agents)


def revert_rules(
    connection: Connection,
    to_version: int,
    *,
    name: str | None,
    editor: str,
    dry_run: bool = False,
    why: str | None = None,
) -> RuleSetEdit:
    """Bring all rules, or the one of that name, back to a version, and return what that changed."""
    if not dry_run:
        lock_rules(connection)
    differences = plan_revert(connection, to_version, name)
    version = rules_version(connection)
    if not dry_run:
        version = apply(connection, differences, editor, version, why=why)
    return RuleSetEdit(differences, version, written=not dry_run)


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
        raise NotFoundError(translatable("no change has led to version %(version)s of the rules", version=str(version)))
    return found[0]


def _refuse_if_changed(connection: Connection, change: RuleChange, columns: list[str] | tuple[str, ...]) -> None:
    try:
        present = read_stored_rule(connection, change.rule_id).row
    except NotFoundError as error:
        raise ConflictError(
            translatable("rule %(rule)s is deleted since; nothing was changed", rule=repr(change.rule))
        ) from error
    after = change.after or {}
    again = [column for column in columns if not same_json(present.get(column), after.get(column))]
    if again:
        raise ConflictError(
            translatable(
                "%(names)s of rule %(rule)s changed again since; nothing was changed",
                names=", ".join(again),
                rule=repr(change.rule),
            )
        )
