"""The pattern in the form of a rule: rows, JSON or YAML, converted from one to another without a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from app.errors import Problem
from app.rules.editing.yaml_text import parse_yaml, write_yaml
from app.rules.rows.lines import ALWAYS, Line, LineProblem, lines_of, read_lines
from app.rules.rows.operator import Operator
from app.rules.rows.rows import BeyondRows, pattern_of, rows_of, same_meaning
from app.server.formatting import indented
from app.server.request_text import whole_number
from app.strict_json import JsonError, parse_json
from app.translation import joined, translatable

MOST_LINES: Final = 60
_LONGEST_AS_ROWS: Final = 16 * 1024  # characters of JSON, which are converted within 10 ms


class View(StrEnum):
    """How the form shows the pattern."""

    ROWS = "rows"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True, slots=True)
class SentPattern:
    """The pattern as a form sends it: `text` in JSON or YAML; of rows, `text` is the JSON that they were made from."""

    view: View
    text: str
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class PatternForm:
    """The pattern as a page shows it. `beyond`: why there are no rows, after they were asked for."""

    view: View
    text: str
    lines: tuple[Line, ...] = ()
    beyond: str = ""
    problems: tuple[LineProblem, ...] = ()

    @property
    def groups(self) -> list[list[tuple[int, Line]]]:
        """The lines by group with their places; first the group of those that must all hold."""
        found: dict[int, list[tuple[int, Line]]] = {ALWAYS: []}
        for place, line in enumerate(self.lines):
            found.setdefault(line.group, []).append((place, line))
        return [found[number] for number in sorted(found)]

    @property
    def unfinished(self) -> list[str]:
        """What is still empty in the lines, as texts such as `condition 1 needs a field`."""
        return [one.text for one in self.problems if one.is_unfinished]

    def problems_at(self, place: int) -> list[str]:
        """Return the mistakes in one line."""
        return [one.message for one in self.problems if one.place == place]


def sent_pattern(first: Callable[[str], str], every: Callable[[str], Sequence[str]]) -> SentPattern:
    """Return the pattern of a form; `first` and `every` return the value and all values of a field by name."""
    view = next((one for one in View if one == first("pattern_as")), View.JSON)
    columns = [every(f"line-{name}") for name in ("group", "field", "operator", "values", "or")]
    lines = [
        Line(min(whole_number(group) or ALWAYS, MOST_LINES), field, operator, values, bool(is_or))
        for group, field, operator, values, is_or in zip(*columns, strict=False)
    ]
    lines.sort(key=lambda line: line.group)
    return SentPattern(view, first("pattern"), tuple(lines))


def json_of(sent: SentPattern) -> tuple[str, list[Problem], list[LineProblem]]:
    """Return the JSON of a pattern that was sent, and the mistakes of its YAML or of its lines.

    The spelling of JSON is kept as long as rows mean the same.
    """
    match sent.view:
        case View.JSON:
            return sent.text, [], []
        case View.YAML:
            parsed = parse_yaml(sent.text)
            problems = [Problem("pattern", joined(": ", (one.path, one.message)) if one.path else one.message)
                        for one in parsed.problems]  # fmt: skip
            return ("" if problems or parsed.value is None else indented(parsed.value)), problems, []
        case View.ROWS:
            if len(sent.lines) > MOST_LINES:
                return (
                    "",
                    [
                        Problem(
                            "pattern",
                            translatable("has more than %(most)s conditions; write it as JSON", most=MOST_LINES),
                        )
                    ],
                    [],
                )
            rows, mistakes = read_lines(sent.lines)
            pattern = pattern_of(rows)
            problems = [Problem("pattern", one.text) for one in mistakes]
            before = _parsed(sent.text)
            kept = not mistakes and before is not None and same_meaning(before, pattern)
            return sent.text if kept else indented(pattern), problems, mistakes


def pattern_form(pattern: Any) -> PatternForm:
    """Return the form of a pattern as rows; as JSON with the reason if rows cannot show it."""
    text = indented(pattern) if not isinstance(pattern, str) else pattern
    return _shown(text, pattern, View.ROWS)


def form_as_sent(sent: SentPattern) -> PatternForm:
    """Return the form with what was typed and the mistakes in its lines."""
    text, _, mistakes = json_of(sent)
    kept = text if sent.view is View.ROWS else sent.text
    return PatternForm(sent.view, kept, sent.lines, problems=tuple(mistakes))


def changed_form(sent: SentPattern, part: str) -> tuple[PatternForm, list[Problem]]:
    """Return the form after a button: another view, or a line or a group more or less.

    With mistakes the view stays, and they are returned.
    """
    name, _, number = part.partition("-")
    place = whole_number(number) or 0
    if name in set(View):
        return _converted(sent, View(name))
    lines = list(sent.lines)
    match name:
        case "add" if len(lines) < MOST_LINES:
            lines.append(Line(min(place, MOST_LINES)))
        case "group" if len(lines) < MOST_LINES:
            highest = max((line.group for line in lines), default=ALWAYS)
            lines += [Line(highest + 1)] if highest > ALWAYS else [Line(1), Line(2)]
        case "or" if len(lines) < MOST_LINES and place < len(lines):
            end = place + 1
            while end < len(lines) and lines[end].is_or and lines[end].group == lines[place].group:
                end += 1
            lines.insert(end, Line(lines[place].group, operator=Operator.BEGINS, is_or=True))
        case "remove" if place < len(lines):
            lines = _without(lines, place)
    lines.sort(key=lambda line: line.group)
    return form_as_sent(replace(sent, lines=tuple(lines))), []


def _without(lines: list[Line], place: int) -> list[Line]:
    """Return the lines without one; if it names the field of an `or` line below, that one takes its place."""
    gone, rest = lines[place], [*lines[:place], *lines[place + 1 :]]
    if place < len(rest) and rest[place].is_or and not gone.is_or and rest[place].group == gone.group:
        rest[place] = replace(rest[place], field=gone.field, is_or=False)
    return rest


def _converted(sent: SentPattern, view: View) -> tuple[PatternForm, list[Problem]]:
    if view is sent.view:
        return form_as_sent(sent), []
    text, problems, _ = json_of(sent)
    if problems:
        return form_as_sent(sent), problems
    try:
        pattern = parse_json(text) if text.strip() else {}
    except JsonError as error:
        return form_as_sent(sent), [Problem("pattern", translatable("is not JSON: %(error)s", error=error))]
    form = _shown(text or "{}", pattern, view)
    return (replace(form, view=sent.view, text=sent.text) if form.beyond else form), []


def _shown(text: str, pattern: Any, view: View) -> PatternForm:
    match view:
        case View.JSON:
            return PatternForm(View.JSON, text)
        case View.YAML:
            return PatternForm(View.YAML, write_yaml(pattern) if pattern else "{}\n")
        case View.ROWS:
            found = BeyondRows(translatable("it is too long")) if len(text) > _LONGEST_AS_ROWS else rows_of(pattern)
            if isinstance(found, BeyondRows):
                return PatternForm(View.JSON, text, beyond=found.reason)
            lines = tuple(lines_of(found))
            if len(lines) > MOST_LINES:
                return PatternForm(
                    View.JSON, text, beyond=translatable("it has more than %(most)s conditions", most=MOST_LINES)
                )
            return PatternForm(View.ROWS, text, lines)


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except JsonError:
        return None
