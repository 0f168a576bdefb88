"""The lines of a form: rows as they are typed, with every mistake in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.rules.rows.operator import MEANINGS, Operator, Takes
from app.rules.rows.rows import Criterion, Row, Rows, is_field_name, is_text_field
from app.rules.rows.value_text import ValueTextError, read_values, write_values
from app.translation import gettext, translatable

ALWAYS: Final = 0
"""The group of the lines that must all hold."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the form: a field with a criterion, or without a field one more criterion of the field above.

    `group` is `ALWAYS`, or the number of one of the groups of which one must hold.
    """

    group: int = ALWAYS
    field: str = ""
    operator: str = Operator.IS
    values: str = ""
    is_or: bool = False

    @property
    def is_blank(self) -> bool:
        return not self.field.strip() and not self.values.strip() and self.operator == Operator.IS


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A mistake in the line at `place`; `is_unfinished`: it is only that something is still empty."""

    place: int
    message: str
    is_unfinished: bool = False

    @property
    def text(self) -> str:
        return translatable("condition %(number)s %(message)s", number=self.place + 1, message=self.message)


def lines_of(rows: Rows) -> list[Line]:
    """Return the lines that show the rows."""
    found = []
    for number, group in enumerate((rows.always, *rows.groups)):
        for row in group:
            for place, criterion in enumerate(row.criteria):
                takes = MEANINGS[criterion.operator].takes
                values = write_values(criterion.values, takes=takes, is_text=is_text_field(row.field))
                found.append(Line(number, "" if place else row.field, criterion.operator, values, is_or=place > 0))
    return found


def describe_rows(rows: Rows) -> str:
    """Return the rows as one line of text, such as `room.name begins with vip-`."""
    groups: dict[int, list[str]] = {}
    for line in lines_of(rows):
        text = f"{gettext(MEANINGS[Operator(line.operator)].label)} {line.values}".strip()
        parts = groups.setdefault(line.group, [])
        if line.is_or:
            parts[-1] += f", {gettext('or')} {text}"
        else:
            parts.append(f"{line.field} {text}")
    always = groups.pop(ALWAYS, [])
    either, both = f" {gettext('or')} ", f" {gettext('and')} "
    choices = either.join(f"({both.join(parts)})" for parts in groups.values())
    found = [*always, *([gettext("either %(choices)s", choices=choices)] if choices else [])]
    return both.join(found) or gettext("every caller")


def read_lines(lines: Sequence[Line]) -> tuple[Rows, list[LineProblem]]:
    """Return the rows in the lines of a form, and every mistake; lines that are blank are left out."""
    problems: list[LineProblem] = []
    fields: dict[int, dict[str, list[Criterion]]] = {ALWAYS: {}}
    above: dict[int, str] = {}
    # Those that must always hold first: a group must not ask for their fields again.
    for place, line in sorted(enumerate(lines), key=lambda numbered: numbered[1].group):
        if line.is_blank:
            continue
        group = fields.setdefault(line.group, {})
        path = above.get(line.group, "") if line.is_or and not line.field.strip() else line.field.strip()
        mistake = _mistake_of_field(path, line, group, fields[ALWAYS])
        criterion, mistake_of_values = _read_criterion(line, path)
        if mistake:
            problems.append(LineProblem(place, mistake, is_unfinished=not path and not line.is_or))
        if mistake_of_values:
            problems.append(LineProblem(place, mistake_of_values, is_unfinished=not line.values.strip()))
        above[line.group] = path
        if criterion is not None and path:
            group.setdefault(path, []).append(criterion)
    groups = tuple(_rows(fields[number]) for number in sorted(fields) if number != ALWAYS and fields[number])
    return Rows(_rows(fields[ALWAYS]), groups), sorted(problems, key=lambda one: one.place)


def _rows(fields: dict[str, list[Criterion]]) -> tuple[Row, ...]:
    return tuple(Row(path, tuple(criteria)) for path, criteria in fields.items())


def _mistake_of_field(
    path: str, line: Line, group: dict[str, list[Criterion]], always: dict[str, list[Criterion]]
) -> str:
    if not path:
        return (
            translatable("names no field, and there is none above it") if line.is_or else translatable("needs a field")
        )
    if not is_field_name(path):
        return translatable("has no field's name: %(path)s", path=path[:60])
    if line.is_or and not line.field.strip():
        return ""
    if path in group:
        return translatable(
            "asks for %(path)s once more; a pattern can ask for a field once, so add an “or” line to the first",
            path=path,
        )
    if group is not always and path in always:
        return translatable("asks for %(path)s, which is asked for above the groups already", path=path)
    return ""


def _read_criterion(line: Line, path: str) -> tuple[Criterion | None, str]:
    try:
        operator = Operator(line.operator)
    except ValueError:
        return None, translatable("has no such operator: %(operator)s", operator=line.operator[:30])
    takes = MEANINGS[operator].takes
    try:
        values = read_values(line.values, takes=takes, is_text=is_text_field(path))
    except ValueTextError as error:
        return None, str(error)
    if takes is Takes.NUMBER or takes is Takes.BOUNDS:
        low_to_high = all(low <= high for low, high in pairwise(values))
        return (
            (Criterion(operator, values), "") if low_to_high else (None, translatable("needs the lower number first"))
        )
    return Criterion(operator, values), ""
