"""The fields of a call that a rule can ask for, to choose from when a rule is made from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.rules.rows.lines import Line
from app.rules.rows.operator import Operator, Takes
from app.rules.rows.rows import Rows, is_field_name, is_text_field, rows_of
from app.rules.rows.value_text import write_values
from app.server.console.rule_pages.editor.pattern_form import PatternForm, View, pattern_form
from app.server.console.rule_pages.rule_form import pattern_like

_MOST: Final = 40
_LONGEST: Final = 200
_OF_THE_CALLER: Final = ("participant.metadata.", "participant.attributes.", "participant.phone.")
_OTHERS: Final = (
    "room.name",
    "participant.identity",
    "participant.name",
    "participant.kind",
    "participant.role",
    "project",
)


@dataclass(frozen=True, slots=True)
class CallField:
    """A field with the value of this call, as conditions have it."""

    path: str
    value: str
    is_chosen: bool

    @property
    def line(self) -> Line:
        """The condition that the field has this value."""
        return Line(field=self.path, operator=Operator.IS, values=self.value)


def call_fields(document: Mapping[str, Any], chosen: Collection[str]) -> list[CallField]:
    """Return the fields of a prepared event that say who calls and where; `chosen` are paths."""
    found: dict[str, str] = {}
    for path, value in _leaves(document, ""):
        is_usual = path in _OTHERS or path.startswith(_OF_THE_CALLER)
        if not is_usual or path in found or not is_field_name(path) or len(found) == _MOST:
            continue
        text = write_values([value], takes=Takes.VALUES, is_text=is_text_field(path))
        if value not in ("", None) and len(text) <= _LONGEST:
            found[path] = text
    ordered = sorted(found, key=lambda path: (path in _OTHERS, _OTHERS.index(path) if path in _OTHERS else 0))
    return [CallField(path, found[path], path in chosen) for path in ordered]


def pattern_of_call(document: Mapping[str, Any], chosen: Sequence[str]) -> tuple[PatternForm, list[CallField]]:
    """Return conditions that match callers like that of a prepared event, and its fields to choose from.

    Without a choice the fields are taken that tell such callers apart best.
    """
    if not chosen:
        pattern = pattern_like(document)
        rows = rows_of(pattern)
        asked = [row.field for row in rows.always] if isinstance(rows, Rows) else []
        return pattern_form(pattern), call_fields(document, asked)
    offered = call_fields(document, chosen)
    lines = [one.line for one in offered if one.is_chosen]
    return PatternForm(View.ROWS, "{}", tuple(lines)), offered


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, f"{path}.{name}" if path else str(name))
    elif not isinstance(node, list):
        yield path, node
