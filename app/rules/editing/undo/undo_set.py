"""Undoes a change set: all changes of rules that were made together, as far as nobody has changed them since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, func, select

from app.db.tables import agent_changes, lookup_changes, rule_changes
from app.errors import ConflictError, NotFoundError, names_meant
from app.json_shape import JsonShape
from app.rules.columns import complete
from app.rules.editing.apply import apply, lock_rules
from app.rules.editing.difference import (
    Change,
    RuleDifference,
    ValueChange,
    changed_columns,
    compare_values,
    differences_to_json,
    is_effective,
)
from app.rules.editing.stored_rules import read_rules, rules_version
from app.rules.editing.undo.rule_lives import Document, RuleInSet, rules_in_set
from app.strict_json import same_json
from app.translation import joined, translatable


@dataclass(frozen=True, slots=True)
class UndoConflict(JsonShape):
    """A part of a change set that is not undone, because the rule was changed again since."""

    rule: str
    rule_id: int
    message: str
    values: Annotated[tuple[ValueChange, ...], Field(description="what was changed since: before is the set's value")]

    def __str__(self) -> str:
        return translatable("rule %(rule)s: %(message)s", rule=repr(self.rule), message=self.message) + "".join(
            f"; {value}" for value in self.values
        )


@dataclass(frozen=True, slots=True)
class UndoneSet:
    """What undoing a change set changes, or would change; `version` is that of the rule book afterwards."""

    change_set: str
    differences: Sequence[RuleDifference]
    conflicts: Sequence[UndoConflict]
    others: Mapping[str, int]
    """How many lookups and agents the set changed, too: they stay as they are."""
    version: int
    written: bool = False

    @property
    def is_effective(self) -> bool:
        """Whether any rule changes."""
        return any(map(is_effective, self.differences))

    def to_json(self) -> dict[str, Any]:
        """Return version, changed rules, counts, and what stays, as a JSON object."""
        return {
            "change_set": self.change_set,
            "version": self.version,
            "written": self.written,
            **differences_to_json(self.differences),
            "conflicts": [conflict.to_json() for conflict in self.conflicts],
            "not_undone": dict(self.others),
        }


def plan_undo_set(connection: Connection, change_set: str) -> UndoneSet:
    """Return what undoing a change set would change, and which of it was changed again since.

    Raises NotFoundError, with the nearest recent set, for one that no change of rules belongs to.
    """
    changed = rules_in_set(connection, change_set)
    if not changed:
        _require_known(connection, change_set)
    plan = _Plan({row["id"]: row for row in read_rules(connection)})
    # What the set created goes first: it may have the id or the name of what the set deleted.
    for rule in sorted(changed, key=lambda rule: rule.before is not None):
        plan.add(rule)
    plan.refuse_taken_names()
    others = _others(connection, change_set)
    return UndoneSet(change_set, plan.differences, plan.conflicts, others, rules_version(connection))


def undo_set(
    connection: Connection,
    change_set: str,
    editor: str,
    *,
    skip_changed: bool = False,
    dry_run: bool = False,
    why: str | None = None,
) -> UndoneSet:
    """Undo a change set as one of its own, and return what that changed.

    Raises ConflictError if a part of it was changed again since, unless `skip_changed`: then that part stays. A dry run
    writes nothing and names the conflicts.
    """
    if not dry_run:
        lock_rules(connection)
    plan = plan_undo_set(connection, change_set)
    if dry_run:
        return plan
    if plan.conflicts and not skip_changed:
        named: list[object] = [*plan.conflicts[:_NAMED]]
        if len(plan.conflicts) > _NAMED:
            named.append(translatable("and %(count)s more", count=len(plan.conflicts) - _NAMED))
        raise ConflictError(
            translatable("changed again since, so nothing was undone: %(named)s", named=joined("; ", named))
        )
    reason = f"undo of {change_set}" + (f": {why}" if why and why.strip() else "")
    version = apply(connection, plan.differences, editor, plan.version, why=reason)
    return UndoneSet(change_set, plan.differences, plan.conflicts, plan.others, version, written=True)


def sizes_of_sets(connection: Connection, change_sets: Sequence[str]) -> dict[str, int]:
    """Return how many changes of rules each of these sets has."""
    count = select(rule_changes.c.change_set, func.count()).where(rule_changes.c.change_set.in_(set(change_sets)))
    return {row[0]: row[1] for row in connection.execute(count.group_by(rule_changes.c.change_set))}


_NAMED: Final = 10  # conflicts in one message
_RECENT: Final = 200  # changes whose sets are compared with one that is not found


@dataclass(slots=True)
class _Plan:
    present: dict[int, dict[str, Any]]
    differences: list[RuleDifference] = field(default_factory=list)
    conflicts: list[UndoConflict] = field(default_factory=list)

    def add(self, rule: RuleInSet) -> None:
        """Plan to bring one rule back to how it was before the set."""
        now = self.present.get(rule.last_id) if rule.is_present else None
        if rule.before is None:
            if rule.after is not None and now is not None:
                self._remove(rule.after, now)
        elif now is None:
            if rule.after is None:
                self._restore(rule.before, rule.last_id)
            else:
                self._conflict(rule.before, rule.last_id, translatable("is deleted since"))
        elif rule.after is None:
            self._compare_restored(rule.before, now)
        else:
            self._put_back(rule.before, rule.after, now)

    def _restore(self, before: Document, last_id: int) -> None:
        removed = {one.rule_id for one in self.differences if one.change is Change.DELETED}
        row = complete({name: value for name, value in before.items() if name != "id"})
        is_free = last_id not in self.present or last_id in removed
        row |= {"id": last_id} if is_free else {}
        self.differences.append(RuleDifference(Change.CREATED, row["name"], row.get("id"), None, row))

    def _compare_restored(self, before: Document, now: Document) -> None:
        again = changed_columns(before, now)
        if again:
            message = translatable("was put back, and changed since")
            self._conflict(now, now["id"], message, _values(again, before, now))

    def _remove(self, after: Document, now: dict[str, Any]) -> None:
        again = changed_columns(after, now)
        if again:
            message = translatable("was changed since it was created")
            self._conflict(now, now["id"], message, _values(again, after, now))
        else:
            self.differences.append(RuleDifference(Change.DELETED, now["name"], now["id"], now, None))

    def _put_back(self, before: Document, after: Document, now: dict[str, Any]) -> None:
        columns = changed_columns(before, after)
        to_do = [column for column in columns if not same_json(now.get(column), before.get(column))]
        again = [column for column in to_do if not same_json(now.get(column), after.get(column))]
        if again:
            self._conflict(
                now,
                now["id"],
                translatable("%(names)s changed again since", names=", ".join(again)),
                _values(again, after, now),
            )
        back = {column: before.get(column) for column in to_do if column not in again}
        if back:
            self.differences.append(RuleDifference(Change.CHANGED, now["name"], now["id"], now, {**now, **back}))

    def refuse_taken_names(self) -> None:
        """Take rules out of the plan whose former names other rules have now."""
        while True:
            changed = {one.rule_id for one in self.differences}
            kept = [row["name"] for rule_id, row in self.present.items() if rule_id not in changed]
            counts = Counter([*kept, *(one.after["name"] for one in self.differences if one.after)])
            taken = [
                one
                for one in self.differences
                if one.after is not None
                and counts[one.after["name"]] > 1
                and (one.before is None or one.before["name"] != one.after["name"])
            ]
            if not taken:
                return
            for one in taken:
                self.differences.remove(one)
                name = (one.after or {})["name"]
                row = one.before or one.after or {}
                self._conflict(
                    row, one.rule_id or 0, translatable("another rule is named %(name)s now", name=repr(name))
                )

    def _conflict(self, row: Document, rule_id: int, message: str, values: tuple[ValueChange, ...] = ()) -> None:
        self.conflicts.append(UndoConflict(str(row.get("name", "")), rule_id, message, values))


def _values(columns: Sequence[str], before: Document, after: Document) -> tuple[ValueChange, ...]:
    return tuple(value for column in columns for value in compare_values(column, before.get(column), after.get(column)))


def _require_known(connection: Connection, change_set: str) -> None:
    """Raise NotFoundError, with the nearest recent set, unless a change of rules belongs to the set."""
    if not sizes_of_sets(connection, [change_set]):
        hint = names_meant(change_set, _recent_sets(connection))
        raise NotFoundError(
            translatable(
                "no change of rules belongs to the change set %(change_set)s%(hint)s",
                change_set=repr(change_set),
                hint=hint,
            ),
            listed_by="" if hint else "usher rules history",
        )


def _recent_sets(connection: Connection) -> list[str]:
    latest = select(rule_changes.c.change_set).order_by(rule_changes.c.id.desc()).limit(_RECENT)
    return list(dict.fromkeys(filter(None, connection.scalars(latest))))


def _others(connection: Connection, change_set: str) -> dict[str, int]:
    found = {}
    for name, table in (("lookups", lookup_changes), ("agents", agent_changes)):
        count = select(func.count()).select_from(table).where(table.c.change_set == change_set)
        found[name] = connection.scalar(count) or 0
    return {name: count for name, count in found.items() if count}
