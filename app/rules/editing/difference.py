"""How one state of the rules differs from another, rule by rule and column by column."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Protocol

from pydantic import ConfigDict, Field, computed_field

from app.errors import join_path
from app.json_shape import JsonShape
from app.rules.columns import DEFAULTS, WRITABLE
from app.strict_json import same_json

_LONGEST_VALUE: Final = 160


class Change(StrEnum):
    """How a rule changes."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    KEPT = "kept"  # not among the wanted rules, and deleting was not asked for


class Missing:
    """Stands for the value of a side that has none."""

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = Missing()


def _is_missing(value: object) -> bool:
    return value is MISSING


@dataclass(frozen=True, slots=True)
class ValueChange(JsonShape):
    """One value that is not the same; a side that has no value is absent."""

    __pydantic_config__ = ConfigDict(json_schema_extra={"required": ["path"]})

    path: Annotated[str, Field(description="begins with the column")]
    before: Annotated[Any, Field(exclude_if=_is_missing)]
    after: Annotated[Any, Field(exclude_if=_is_missing)]

    def __str__(self) -> str:
        if self.before is MISSING:
            return f"{self.path}: added {_show(self.after)}"
        if self.after is MISSING:
            return f"{self.path}: removed {_show(self.before)}"
        return f"{self.path}: {_show(self.before)} → {_show(self.after)}"


@dataclass(frozen=True, slots=True)
class RuleDifference(JsonShape):
    """What becomes of one rule, and which of its values change."""

    change: Change
    name: Annotated[str, Field(serialization_alias="rule")]
    rule_id: Annotated[int | None, Field(serialization_alias="id")]
    before: Annotated[Mapping[str, Any] | None, Field(exclude=True)]  # the row; None for a new rule
    after: Annotated[Mapping[str, Any] | None, Field(exclude=True)]  # likewise; None for one that goes

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns whose values are not the same, in their order; all written ones for a new rule."""
        if self.change is Change.CREATED and self.after is not None:
            return tuple(column for column in WRITABLE if not same_json(self.after.get(column), DEFAULTS.get(column)))
        if self.change is not Change.CHANGED or self.before is None or self.after is None:
            return ()
        return changed_columns(self.before, self.after)

    @computed_field  # type: ignore[prop-decorator] # mypy allows nothing on top of a property
    @property
    def values(self) -> tuple[ValueChange, ...]:
        """What changes; of a new rule, every value that is not the default."""
        return values_of(self.columns, self.before, self.after)


class Difference(Protocol):
    """What becomes of one row."""

    @property
    def change(self) -> Change: ...
    @property
    def name(self) -> str: ...
    @property
    def after(self) -> Mapping[str, Any] | None: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def values(self) -> tuple[ValueChange, ...]: ...


def values_of(
    columns: Iterable[str], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[ValueChange, ...]:
    """Return the differing parts of these columns of a row; None is a row that is not there."""
    was, becomes = before or {}, after or {}
    return tuple(
        difference
        for column in columns
        for difference in compare_values(column, was.get(column, MISSING), becomes.get(column, MISSING))
    )


def diff(
    current: Iterable[Mapping[str, Any]],
    wanted: Iterable[Mapping[str, Any]],
    *,
    delete: bool,
    by: Literal["name", "id"] = "name",
) -> list[RuleDifference]:
    """Return what it takes to make `current` (stored rows) into `wanted` (complete rows), in the order of `wanted`.

    Rules only in `current` come last: deleted if `delete`, else kept. By name, as in files, a renamed rule is a new
    one; by id it stays the same rule.
    """
    left = {row[by]: row for row in current}
    differences = []
    for row in wanted:
        before = left.pop(row[by], None)
        if before is None:
            differences.append(RuleDifference(Change.CREATED, row["name"], row.get("id"), None, row))
            continue
        change = Change.CHANGED if changed_columns(before, row) else Change.UNCHANGED
        differences.append(RuleDifference(change, before["name"], before["id"], before, row))
    change = Change.DELETED if delete else Change.KEPT
    differences += [RuleDifference(change, row["name"], row["id"], row, None) for row in left.values()]
    return differences


def changed_columns(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the writable columns whose values are not the same."""
    return tuple(column for column in WRITABLE if not same_json(before.get(column), after.get(column)))


def compare_values(path: str, before: Any, after: Any) -> Iterator[ValueChange]:
    """Yield the smallest differing parts; lists are compared whole, which reads better than places that moved."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from compare_values(join_path(path, key), before.get(key, MISSING), after.get(key, MISSING))
    elif not same_json(before, after):
        yield ValueChange(path, before, after)


_SIGNS: Final = {Change.CREATED: "+", Change.CHANGED: "~", Change.DELETED: "-"}


def describe(differences: Sequence[Difference], none: str = "no rules") -> str:
    """Return the differences for a person, as `describe_changes` does."""
    changes = [
        {"change": one.change, "name": one.name, "values": [value.to_json() for value in one.values]}
        for one in differences
        if is_effective(one)
    ]
    return describe_changes(changes, count_changes(differences), none)


def describe_changes(changes: Iterable[Mapping[str, Any]], counts: Mapping[str, int], none: str = "no rules") -> str:
    """Return changes of rows, in their JSON form, for a person: one block for each row, then one line that counts.

    The line is `none` where there is no row.
    """
    blocks = []
    for one in changes:
        change = Change(one["change"])
        values = [
            ValueChange(each["path"], each.get("before", MISSING), each.get("after", MISSING)) for each in one["values"]
        ]
        lines = [f"{_SIGNS[change]} {one['name']} ({change})"]
        if change is Change.CREATED:
            lines += [f"    {value.path}: {_show(value.after)}" for value in values if value.path != "name"]
        else:
            lines += [f"    {value}" for value in values]
        blocks.append("\n".join(lines))
    counted = ", ".join(f"{counts[change]} {change}" for change in Change if counts[change])
    return "\n".join([*blocks, counted or none])


def differences_to_json(differences: Iterable[RuleDifference]) -> dict[str, Any]:
    """Return the differences as a JSON document: `rules` without the unchanged ones, and `counts`."""
    listed = list(differences)
    return {
        "rules": [difference.to_json() for difference in listed if difference.change in _SIGNS],
        "counts": count_changes(listed),
    }


def count_changes(differences: Iterable[Difference]) -> dict[str, int]:
    """Return how many rows are created, changed, deleted and so on."""
    counts = Counter(difference.change for difference in differences)
    return {str(change): counts[change] for change in Change}


def is_effective(difference: Difference) -> bool:
    """Return whether applying the difference writes anything."""
    return difference.change in _SIGNS


def _show(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
