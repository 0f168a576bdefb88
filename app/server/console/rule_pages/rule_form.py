"""A rule as a form: from a row to fields, and from fields back to a draft with every mistake named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from app.errors import Problem
from app.rules.check import check_rule
from app.rules.columns import DEFAULTS, DOCUMENTS, WRITABLE
from app.server.console.framework import PageRequest
from app.server.formatting import laid_out
from app.strict_json import JsonError, parse_json

INTEGERS: Final = ("priority", "rollout_percent", "answer_timeout_s", "max_attempts")
NUMBERS: Final = ("objective_percent", "objective_s")
"""They may have decimals, or be left empty."""
FLAGS: Final = ("enabled", "recover", "withdraw")
OPTIONAL: Final = ("deployment", "active_hours", "holidays", "fallback_agent_name")

_FIRST_PATTERN: Final = {"participant": {"metadata": {"language": ["es"]}}}

_DECIMAL: Final = re.compile(r"-?[0-9]{1,9}([.,][0-9]{1,9})?")

Fields = dict[str, str]


def fields_of(row: Mapping[str, Any]) -> Fields:
    """Return what the form shows for a rule; what plain SQL has put in instead of JSON is shown as it is."""
    fields: Fields = {}
    for column in WRITABLE:
        value = row.get(column, DEFAULTS.get(column))
        if column in DOCUMENTS:
            fields[column] = "" if value is None else (value if isinstance(value, str) else laid_out(value))
        elif column in FLAGS:
            fields[column] = "on" if value else ""
        else:
            fields[column] = "" if value is None else str(value)
    return fields


def new_fields(event: Mapping[str, Any] | None = None) -> Fields:
    """Return the form of a new rule: for callers like the one of `event` (a prepared document), if one is given."""
    if event is None:
        return fields_of({"name": "", "agent_name": "", "pattern": _FIRST_PATTERN})
    return fields_of({"name": "", "agent_name": "", "pattern": pattern_like(event)})


def pattern_like(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pattern that matches callers like this one: by dialled number, by metadata, or by the room's name."""
    participant = document.get("participant")
    participant = participant if isinstance(participant, Mapping) else {}
    attributes = participant.get("attributes")
    dialled = attributes.get("sip.trunkPhoneNumber") if isinstance(attributes, Mapping) else None
    if isinstance(dialled, str):
        return {"participant": {"kind": ["SIP"], "attributes": {"sip.trunkPhoneNumber": [dialled]}}}
    metadata = participant.get("metadata")
    if isinstance(metadata, Mapping):
        exact = {name: [value] for name, value in metadata.items() if isinstance(value, str | bool | int)}
        if exact:
            return {"participant": {"metadata": exact}}
    room = document.get("room")
    name = room.get("name", "") if isinstance(room, Mapping) else ""
    return {"room": {"name": [name]}}


def read_draft(request: PageRequest) -> tuple[Fields, dict[str, Any], list[Problem]]:
    """Return the fields as they were sent, the draft they make, and everything that is wrong with it."""
    fields = {column: request.field(column) for column in WRITABLE}
    draft: dict[str, Any] = {}
    unreadable: list[Problem] = []
    for column, text in fields.items():
        if column in DOCUMENTS:
            _read_document(column, text, draft, unreadable)
        elif column in FLAGS:
            draft[column] = bool(text)
        elif column in INTEGERS:
            draft[column] = int(text) if _is_integer(text) else text
        elif column in NUMBERS:
            draft[column] = _read_number(text.strip())
        elif column in OPTIONAL:
            draft[column] = text.strip() or None
        elif column == "description":
            draft[column] = text.replace("\r\n", "\n")
        else:
            draft[column] = text.strip()
    # Of a document that is not JSON nothing else is worth saying.
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


def _read_document(column: str, text: str, draft: dict[str, Any], unreadable: list[Problem]) -> None:
    if not text.strip():
        draft[column] = {} if column == "pattern" else None
        return
    try:
        draft[column] = parse_json(text)
    except JsonError as error:
        unreadable.append(Problem(column, f"is not JSON: {error}"))
        draft[column] = {}


def _read_number(text: str) -> float | str | None:
    if not _DECIMAL.fullmatch(text):
        return text or None
    number = float(text.replace(",", "."))
    return int(number) if number.is_integer() else number


def _is_integer(text: str) -> bool:
    digits = text.strip().removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) <= 12
