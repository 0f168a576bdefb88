"""Turns a lookup into the fields of a form, and fields back into a draft with all its problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.errors import Problem
from app.rules.lookups.lookup_check import DEFAULTS, MAX_TIMEOUT_MS, check_lookup
from app.server.formatting import indented
from app.strict_json import JsonError, parse_json
from app.translation import translatable

Fields = dict[str, str]


@dataclass(frozen=True, slots=True)
class LookupField:
    """One field of the form. `kind`: text, number, flag or json."""

    name: str
    label: str
    help: str
    kind: str = "text"
    rows: int = 1


FIELDS: Final = (
    LookupField("name", "Name", "Rules match `lookup.NAME`, templates read `${lookup.NAME.field}`."),
    LookupField("enabled", "Enabled", "A disabled lookup is kept, but not asked.", "flag"),
    LookupField(
        "pattern",
        "Pattern",
        "Which joins it is asked about: a pattern like those of rules. `{}`: every caller.",
        "json",
        6,
    ),
    LookupField("url", "URL", "Gets the prepared webhook with POST, and answers with JSON of at most 64 KiB."),
    LookupField(
        "headers",
        "Headers",
        'A JSON object; `{"authorization": "env:CRM_TOKEN"}` takes the value from an environment variable.',
        "json",
        3,
    ),
    LookupField("timeout_ms", "Milliseconds to wait", f"At most {MAX_TIMEOUT_MS}: the caller waits.", "number"),
    LookupField("cache_s", "Seconds to keep an answer", "For the same caller; 0: it is asked each time.", "number"),
    LookupField("on_error", "Answer if none comes", "JSON that stands for the answer; empty: null.", "json", 3),
)

NEW: Final[Mapping[str, Any]] = {"name": "", "pattern": {}, "url": "", **DEFAULTS}


def fields_of(row: Mapping[str, Any]) -> Fields:
    """Return what the form shows for a lookup; what plain SQL has put in instead of JSON is shown as it is."""
    return {field.name: _shown(field, row.get(field.name)) for field in FIELDS}


def _shown(field: LookupField, value: Any) -> str:
    if field.kind == "flag":
        return "on" if value else ""
    if value is None:
        return ""
    return indented(value) if field.kind == "json" else str(value)


def read_draft(sent: Callable[[str], str]) -> tuple[Fields, dict[str, Any], list[Problem]]:
    """Return the fields as they were sent, the draft they make, and all its problems; `sent` returns one by name."""
    fields = {field.name: sent(field.name) for field in FIELDS}
    draft: dict[str, Any] = {}
    unreadable: list[Problem] = []
    for field in FIELDS:
        try:
            draft[field.name] = _value(field, fields[field.name])
        except JsonError as error:
            unreadable.append(Problem(field.name, translatable("is not JSON: %(error)s", error=error)))
            draft[field.name] = {}
    wrong = {problem.path for problem in unreadable}
    return fields, draft, unreadable + [one for one in check_lookup(draft) if field_of(one) not in wrong]


def field_of(problem: Problem) -> str:
    """Return the name of the field that a problem is about."""
    return problem.path.partition(".")[0].partition("[")[0]


def _value(field: LookupField, text: str) -> Any:
    text = text.strip()
    match field.kind:
        case "flag":
            return bool(text)
        case "number":
            is_whole = text.isascii() and text.isdecimal() and len(text) < 10
            return int(text) if is_whole else text or DEFAULTS[field.name]
        case "json":
            empty: Any = {} if field.name == "pattern" else None
            return parse_json(text) if text else empty
        case _:
            return text
