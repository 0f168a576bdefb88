"""Reads a pattern as rows, and writes rows as a pattern.

What rows cannot express is refused with the reason: `$or` more than once or within `$or`, a field that is asked for
twice, and values that a line of text cannot hold. What they do express means the same in both forms, which is verified
each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.livekit.webhook_fields import known_fields
from app.rules.language.limits import MAX_DEPTH
from app.rules.language.matcher import show_value
from app.rules.language.pattern import OR, RESERVED, PatternError, full_pattern, read_pattern
from app.rules.rows.operator import MEANINGS, Operator, Takes
from app.translation import translatable

_ATTRIBUTES: Final = "participant.attributes."
_OPERATORS: Final = {
    (meaning.match_type, meaning.is_but, meaning.any_case): operator
    for operator, meaning in MEANINGS.items()
    if meaning.takes is Takes.TEXTS and operator not in {Operator.CONTAINS, Operator.NOT_CONTAINS}
}
_OF_SIGNS: Final = {meaning.signs: operator for operator, meaning in MEANINGS.items() if meaning.signs}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question to a field: an operator and its values."""

    operator: Operator
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A field by its dotted name; one of the criteria must hold for it."""

    field: str
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of `always` must hold, and all rows of at least one of the `groups` if there are any."""

    always: tuple[Row, ...] = ()
    groups: tuple[tuple[Row, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class BeyondRows:
    """A pattern that cannot be shown as rows, and why."""

    reason: str


class _BeyondRowsError(Exception):
    pass


def rows_of(pattern: Any) -> Rows | BeyondRows:
    """Return the rows that mean the same as a pattern; BeyondRows if there are none."""
    if pattern == {}:
        return Rows()
    try:
        understood = read_pattern(pattern)
    except PatternError as error:
        return BeyondRows(translatable("it has mistakes: %(problems)s", problems=error.problems[0]))
    if understood.or_is_field:
        return BeyondRows(translatable("%(operator)s is the name of a field in it", operator=OR))
    if understood.overridden:
        return BeyondRows(translatable("it names %(overridden)s twice", overridden=understood.overridden[0]))
    try:
        rows = _read(pattern)
    except _BeyondRowsError as error:
        return BeyondRows(str(error))
    if read_pattern(full_pattern(pattern_of(rows))).alternatives != understood.alternatives:
        return BeyondRows(translatable("rows would change its meaning"))
    return rows


def pattern_of(rows: Rows) -> dict[str, Any]:
    """Return the pattern that asks what the rows ask; no field may be asked for twice."""
    groups = [group for group in rows.groups if group]
    if len(groups) < 2:
        return _fields((*rows.always, *(row for group in groups for row in group)), in_group=False)
    return {**_fields(rows.always, in_group=False), OR: [_fields(group, in_group=True) for group in groups]}


def same_meaning(one: Any, other: Any) -> bool:
    """Return whether two patterns ask the same, however they are written."""
    try:
        return read_pattern(full_pattern(one)) == read_pattern(full_pattern(other))
    except PatternError:
        return False


def is_field_name(path: str) -> bool:
    """Return whether a dotted name can be typed into a form."""
    return path == path.strip() and path.isprintable() and path != OR and all(path.split("."))


def is_text_field(path: str) -> bool:
    """Return whether LiveKit sends nothing but text in this field."""
    known = known_fields().get(path)
    return path.startswith(_ATTRIBUTES) or (known is not None and known.kind == "text")


def _read(pattern: Mapping[str, Any]) -> Rows:
    choices: list[tuple[str, Sequence[Mapping[str, Any]]]] = []
    always = tuple(_rows_in(pattern, "", choices))
    if len(choices) > 1:
        raise _BeyondRowsError(translatable("it has more than one %(operator)s", operator=OR))
    groups = []
    for path, branches in choices:
        for branch in branches:
            within: list[Any] = []
            groups.append(tuple(_rows_in(branch, path, within)))
            if within:
                raise _BeyondRowsError(translatable("it has %(operator)s within %(operator)s", operator=OR))
    return Rows(always, tuple(groups))


def _rows_in(fields: Mapping[str, Any], path: str, choices: list[Any]) -> Iterator[Row]:
    for name, content in fields.items():
        here = f"{path}.{name}" if path else name
        if name == OR:
            choices.append((path, content))
        elif isinstance(content, dict):
            yield from _rows_in(content, here, choices)
        else:
            if not is_field_name(here):
                raise _BeyondRowsError(
                    translatable("the name of the field %(here)s cannot be typed", here=show_value(here))
                )
            yield Row(here, _criteria_of(here, content))


def _criteria_of(path: str, items: Sequence[Any]) -> tuple[Criterion, ...]:
    criteria: list[Criterion] = []
    for item in items:
        criterion = _criterion_of(item)
        if criterion.operator in {Operator.IS, Operator.IS_NOT} and is_text_field(path):
            for value in criterion.values:
                if not isinstance(value, str):
                    raise _BeyondRowsError(
                        translatable(
                            "%(path)s is always a text, and it asks for %(value)s", path=path, value=show_value(value)
                        )
                    )
        last = criteria[-1] if criteria else None
        if last is not None and last.operator is criterion.operator and _is_list(criterion.operator):
            criteria[-1] = Criterion(criterion.operator, (*last.values, *criterion.values))
        else:
            criteria.append(criterion)
    return tuple(criteria)


def _is_list(operator: Operator) -> bool:
    """Return whether a criterion with two values asks the same as two criteria with one."""
    meaning = MEANINGS[operator]
    return meaning.takes in {Takes.VALUES, Takes.TEXTS} and not meaning.is_but


def _criterion_of(item: Any) -> Criterion:
    if not isinstance(item, dict):
        return Criterion(Operator.IS, (item,))
    ((name, operand),) = item.items()
    if name == "exists":
        return Criterion(Operator.EXISTS if operand else Operator.ABSENT)
    if name == "numeric":
        return Criterion(_OF_SIGNS[tuple(operand[::2])], tuple(operand[1::2]))
    if name == "anything-but" and not isinstance(operand, dict):
        return Criterion(Operator.IS_NOT, tuple(operand) if isinstance(operand, list) else (operand,))
    is_but = name == "anything-but"
    if is_but:
        ((name, operand),) = operand.items()
    any_case = isinstance(operand, dict)
    if any_case:
        operand = operand["equals-ignore-case"]
    texts = tuple(operand) if isinstance(operand, list) else (operand,)
    if not texts:
        raise _BeyondRowsError(translatable("it has an anything-but without values"))
    contained = [_contained(text) for text in texts] if name == "wildcard" else [None]
    if all(text is not None for text in contained):
        return Criterion(Operator.NOT_CONTAINS if is_but else Operator.CONTAINS, tuple(contained))
    return Criterion(_OPERATORS[name, is_but, any_case], texts)


def _contained(wildcard: str) -> str | None:
    """Return the text that a wildcard asks for anywhere in a value; None if it asks for something else."""
    inner = wildcard[1:-1]
    if len(wildcard) < 3 or wildcard[0] != "*" or wildcard[-1] != "*":
        return None
    text, place = "", 0
    while place < len(inner):
        if inner[place] == "*":
            return None
        place += inner[place] == "\\"
        if place == len(inner):
            return None  # the last asterisk is a character
        text += inner[place]
        place += 1
    return text


def _fields(rows: Sequence[Row], *, in_group: bool) -> dict[str, Any]:
    paths = {row.field for row in rows}
    if any(_needs_dots(path, paths, in_group=in_group) for path in paths):
        return {row.field: _items(row) for row in rows}
    fields: dict[str, Any] = {}
    for row in rows:
        *above, last = row.field.split(".")
        node = fields
        for name in above:
            node = node.setdefault(name, {})
        node[last] = _items(row)
    return fields


def _needs_dots(path: str, paths: set[str], *, in_group: bool) -> bool:
    """Return whether objects cannot hold the field: it is also above another, too deep, or named as a match type."""
    parts = path.split(".")
    above = {".".join(parts[:size]) for size in range(1, len(parts))}
    is_reserved = in_group and not RESERVED.isdisjoint(parts)
    return OR in parts or is_reserved or len(parts) >= MAX_DEPTH - 1 or not above.isdisjoint(paths)


def _items(row: Row) -> list[Any]:
    return [item for criterion in row.criteria for item in _items_of(criterion)]


def _items_of(criterion: Criterion) -> list[Any]:
    operator, values, meaning = criterion.operator, list(criterion.values), MEANINGS[criterion.operator]
    if meaning.takes is Takes.NOTHING:
        return [{"exists": operator is Operator.EXISTS}]
    if meaning.signs:
        return [{"numeric": [part for pair in zip(meaning.signs, values, strict=True) for part in pair]}]
    if operator in {Operator.CONTAINS, Operator.NOT_CONTAINS}:
        values = ["*" + text.replace("\\", "\\\\").replace("*", "\\*") + "*" for text in values]
    if not meaning.match_type:
        return [{"anything-but": values}] if meaning.is_but else values
    if meaning.is_but:
        return [{"anything-but": {meaning.match_type: values[0] if len(values) == 1 else values}}]
    if meaning.any_case:
        values = [{"equals-ignore-case": text} for text in values]
    return [{meaning.match_type: value} for value in values]
