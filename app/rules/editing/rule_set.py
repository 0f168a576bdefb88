"""Changes many rules at once: to what a rules file says, or back to an earlier version of the rule book.

The command line and the API use the same functions, in a transaction of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from app.rules.book.rule_book import RuleBook
from app.rules.editing.apply import apply, lock_rules
from app.rules.editing.difference import RuleDifference, diff, differences_to_json, is_effective
from app.rules.editing.revert import plan_revert
from app.rules.editing.stored_rules import read_rules, rules_version
from app.rules.rule import DRAFT_ID, Rule
from app.rules.warnings.rule_warnings import RuleWarning, rule_warnings, saved_rule_warnings
from app.rules.warnings.unseen import Traffic

MAX_WARNED_RULES: Final = 2_000
"""Rules whose warnings are looked for, at 0.1 ms each; of a larger set only those that change."""

MAX_COMPARED_RULES: Final = 200
"""Rules that are compared with recent events and with each other, at 2 to 10 ms each."""


@dataclass(frozen=True, slots=True)
class RuleSetEdit:
    """What became of the rules, or would have become of them if `written` is false.

    `version` is that of the rule book afterwards: the present one when nothing was written.
    """

    differences: Sequence[RuleDifference]
    version: int
    written: bool

    @property
    def is_effective(self) -> bool:
        """Whether any rule changes."""
        return any(map(is_effective, self.differences))

    def to_json(self) -> dict[str, Any]:
        """Return version, changed rules and counts as a JSON object."""
        return {"version": self.version, **differences_to_json(self.differences)}

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
        return book.updated(rows, deleted, book.version)

    def _names_to_check(self) -> list[str]:
        wanted = [one for one in self.differences if one.after is not None]
        if len(wanted) > MAX_WARNED_RULES:
            wanted = [one for one in wanted if is_effective(one)][:MAX_WARNED_RULES]
        return [one.after["name"] for one in wanted if one.after is not None]


def apply_rules(
    connection: Connection,
    wanted: Sequence[Mapping[str, Any]],
    *,
    delete: bool,
    editor: str,
    expected_version: int | None = None,
    dry_run: bool = False,
    are_checked: bool = False,
    why: str | None = None,
) -> RuleSetEdit:
    """Make the stored rules equal to `wanted` (complete rows, by name), and return what that changed.

    `are_checked`: they come from `read_rules_file`, and need not be checked again while others wait to write.
    Rules that are not wanted are deleted if `delete`, else kept. Errors are those of `apply`; a dry run writes nothing
    and raises none.
    """
    differences = diff(read_rules(connection), wanted, delete=delete)
    version = rules_version(connection)
    if not dry_run:
        expected = version if expected_version is None else expected_version
        version = apply(connection, differences, editor, expected, are_checked=are_checked, why=why)
    return RuleSetEdit(differences, version, written=not dry_run)


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


def warnings_by_name(book: RuleBook, names: Sequence[str], traffic: Traffic | None = None) -> list[RuleWarning]:
    """Return the warnings of the rules of these names, in the order of `names`; bad rules have none.

    With `traffic` also those that are given when a rule is saved, unless the rules are many.
    """
    by_name = {line.name: line for line in book.lines()}
    rules = (by_name.get(name) for name in names)
    usable = [rule for rule in rules if isinstance(rule, Rule)]
    if traffic is None or len(usable) > MAX_COMPARED_RULES:
        return [warning for rule in usable for warning in rule_warnings(book, rule)]
    return [warning for rule in usable for warning in saved_rule_warnings(book, rule, traffic)]
