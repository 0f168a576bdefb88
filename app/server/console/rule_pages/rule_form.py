"""Turns a rule into the fields of a form, and fields back into a draft with all its problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from app.db.column_definition import ColumnKind, FormSection, RuleColumn
from app.db.rule_columns import COLUMN, RULE_COLUMNS
from app.errors import Problem
from app.livekit.participant.role import Role
from app.rules.check import check_rule
from app.rules.columns import DEFAULTS, WRITABLE
from app.server.formatting import brief, indented
from app.strict_json import JsonError, parse_json
from app.translation import gettext, translatable

_FIRST: Final = ("name", "pattern", "action", "agent_name", "transfer_to")
_HEADINGS: Final = {
    **{section: section.value for section in FormSection if section is not FormSection.CALLERS},
    FormSection.AGENT: "Data for the agent",
}
_NOTES: Final = ("enabled", "priority", "description")
FOLDED: Final = (
    ("Order and notes", tuple(COLUMN[name] for name in _NOTES)),
    *(
        (heading, tuple(one for one in RULE_COLUMNS if one.section is section and one.name not in _FIRST))
        for section, heading in _HEADINGS.items()
    ),
)
"""The groups of fields that are folded: heading and columns."""
SECTIONS: Final = (("", tuple(COLUMN[name] for name in _FIRST)), *FOLDED)
"""All fields of the form; those of the first group are always visible."""

HINTS: Final = {
    "fallbacks": "Agents that are asked in turn when all attempts have failed, one name a line. As JSON, each may have "
    'its own time and data: `[{"agent_name": "reception", "answer_timeout_s": 10, "max_attempts": 2}]`.',
    "agent_name": "Exactly as the agent's worker registers it.",
}
"""What the form says beside a field in place of the help for programs."""

_DECIMAL: Final = re.compile(r"-?[0-9]{1,9}([.,][0-9]{1,9})?")

Fields = dict[str, str]


def fields_of(row: Mapping[str, Any]) -> Fields:
    """Return what the form shows for a rule; what plain SQL has put in instead of JSON is shown as it is."""
    return {column.name: _shown(column, row.get(column.name, DEFAULTS.get(column.name))) for column in RULE_COLUMNS}


def _shown(column: RuleColumn, value: Any) -> str:
    if column.kind is ColumnKind.FLAG:
        return "on" if value else ""
    if value is None:
        return ""
    if column.kind is ColumnKind.LADDER and isinstance(value, list) and all(isinstance(one, str) for one in value):
        names = "\n".join(value)
        if names and _names_in(names) == value:
            return names
    return indented(value) if column.is_document and not isinstance(value, str) else str(value)


def pattern_like(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pattern that matches callers like this one: by phone line, by metadata, or by the room's name."""
    participant = document.get("participant")
    participant = participant if isinstance(participant, Mapping) else {}
    role, phone = participant.get("role", Role.CALLER), participant.get("phone")
    phone = phone if isinstance(phone, Mapping) else {}
    if role == Role.CALLEE and "caller" in phone:
        return {"participant": {"role": [role], "phone": {"caller": [phone["caller"]]}}}
    if "called" in phone:
        return {"participant": {"phone": {"called": [phone["called"]]}}}
    metadata = participant.get("metadata")
    if isinstance(metadata, Mapping):
        exact = {name: [value] for name, value in metadata.items() if isinstance(value, str | bool | int)}
        if exact:
            return {"participant": {"metadata": exact}}
    room = document.get("room")
    name = room.get("name", "") if isinstance(room, Mapping) else ""
    return {"room": {"name": [name]}}


def read_draft(field: Callable[[str], str]) -> tuple[Fields, dict[str, Any], list[Problem]]:
    """Return the fields as they were sent, the draft they make, and all its problems; `field` returns one by name.

    The pattern is JSON here: see `pattern_form` for its other forms.
    """
    fields = {column: field(column) for column in WRITABLE}
    draft: dict[str, Any] = {}
    unreadable: list[Problem] = []
    for column in RULE_COLUMNS:
        try:
            draft[column.name] = _value(column, fields[column.name])
        except JsonError as error:
            unreadable.append(Problem(column.name, translatable("is not JSON: %(error)s", error=error)))
            draft[column.name] = {}
    # A document that is not JSON has no other problems that are worth reporting.
    wrong = {problem.path for problem in unreadable}
    problems = [problem for problem in check_rule(draft) if problem.path.partition(".")[0] not in wrong]
    return fields, draft, unreadable + problems


def problems_by_field(problems: list[Problem]) -> dict[str, list[Problem]]:
    """Return the problems by the field that they are shown at."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        field = problem.path.partition(".")[0].partition("[")[0]
        found.setdefault(field if field in WRITABLE else "", []).append(problem)
    return found


def _value(column: RuleColumn, text: str) -> Any:
    """Return the value of a field; JsonError if it must be JSON and is not.

    Text that is not a number stays text, for the check to report.
    """
    match column.kind:
        case ColumnKind.FLAG:
            return bool(text)
        case ColumnKind.INTEGER:
            if not text.strip() and not column.is_required:
                return column.default
            return int(text) if _is_integer(text) else text
        case ColumnKind.NUMBER:
            return _read_number(text.strip())
        case ColumnKind.LADDER if (names := _names_in(text)) is not None:
            return names
        case ColumnKind.LADDER | ColumnKind.PATTERN | ColumnKind.TEMPLATE:
            empty: Any = None if column.is_nullable else {}
            return parse_json(text) if text.strip() else empty
        case ColumnKind.CHOICE:
            return text.strip() or column.default  # a form from before the column was there lacks it
        case ColumnKind.TEXT | ColumnKind.AGENT | ColumnKind.INSTANT:
            if column.rows > 1:
                return text.replace("\r\n", "\n")
            return text.strip() or (None if column.is_nullable else "")
        case unknown:
            assert_never(unknown)


def _names_in(text: str) -> list[str] | None:
    """Return the agents of a ladder that is written with one name a line, or commas; None if it is meant as JSON."""
    text = text.strip()
    if not text or text[0] in '[{"':
        return None
    try:
        parse_json(text)
    except JsonError:
        return [name.strip() for name in re.split(r"[,\n]", text) if name.strip()]
    return None


def changed_values(fields: Fields, columns: tuple[RuleColumn, ...]) -> list[str]:
    """Return what of these fields is not the default, as texts such as `Attempts: 1`.

    Active hours mean little without their time zone, which is shown with them even if it is the default.
    """
    shown_anyway = "timezone" if fields["active_hours"].strip() else ""
    found = []
    for column in columns:
        value, default = fields[column.name].strip(), _shown(column, DEFAULTS.get(column.name))
        if value == default and column.name != shown_anyway:
            continue
        if column.kind is ColumnKind.FLAG:
            found.append(f"{gettext(column.label)}: {gettext('yes') if value else gettext('no')}")
        else:
            shown = gettext(dict(column.options).get(value, value))
            found.append(f"{gettext(column.label)}: {brief(' '.join(shown.split()), 40)}")
    return found


def _read_number(text: str) -> float | str | None:
    if not _DECIMAL.fullmatch(text):
        return text or None
    number = float(text.replace(",", "."))
    return int(number) if number.is_integer() else number


def _is_integer(text: str) -> bool:
    digits = text.strip().removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) <= 12
