"""Whether a rule may be saved: every mistake in it at once, each with its path and what is allowed instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from app.db.types import OnMatch, Scope
from app.errors import Problem, join_path, nearest
from app.rules.columns import DEFAULTS, REQUIRED, STAMPS, WRITABLE, full_pattern
from app.rules.conditions.hours import check_holidays, check_hours, check_timezone
from app.rules.conditions.rollout import check_rollout_key
from app.rules.language.pattern import check_pattern
from app.rules.templates.template import check_template
from app.strict_json import UNSTORABLE_MESSAGE, is_storable

LONGEST_NAME: Final = 200
LONGEST_AGENT_NAME: Final = 256
LONGEST_DESCRIPTION: Final = 10_000
_DEPTH: Final = 100
_DEPLOYMENT: Final = re.compile(r"[A-Za-z0-9.-]{1,63}")
_TRUE: Final = frozenset({"true", "yes", "on", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "n", "0"})

Check = Callable[[str, Any], list[Problem]]


def check_rule(row: Mapping[str, Any]) -> list[Problem]:
    """Return all problems of one rule; empty when it may be saved. Paths begin with the column.

    Columns that have a default may be left out; `id` and the stamps of a stored row may be there.
    """
    problems = [problem for column in row if (problem := _unknown_column(column)) is not None]
    for column in WRITABLE:
        if column in row:
            problems += _CHECKS[column](column, row[column])
        elif column in REQUIRED:
            problems.append(Problem(column, "is needed"))
    expression, holidays = row.get("active_hours"), row.get("holidays")
    if isinstance(expression, str):
        problems += check_hours(expression, holidays if isinstance(holidays, str) else None)
    return problems + _check_objective(row)


def _check_objective(row: Mapping[str, Any]) -> list[Problem]:
    missing = [column for column in _OBJECTIVE if row.get(column) is None]
    if len(missing) != 1:
        return []
    message = f"is needed with {next(column for column in _OBJECTIVE if column not in missing)}, or neither of them"
    return [Problem(missing[0], message)]


_OBJECTIVE: Final = ("objective_percent", "objective_s")


def _unknown_column(column: Any) -> Problem | None:
    if column in WRITABLE or column in STAMPS or column == "id":
        return None
    if not isinstance(column, str):
        return Problem(str(column)[:100], "is no column of a rule; names are text", found=column)
    message = "is no column of a rule"
    suggestion = _MEANT.get(column) or nearest(column.strip().replace("-", "_").replace(" ", "_"), WRITABLE)
    if suggestion is None:
        message += "; columns are " + ", ".join(WRITABLE)
    return Problem(column[:100] or '""', message, found=column[:100], suggestion=suggestion)


_MEANT: Final = {
    "agent": "agent_name",
    "hours": "active_hours",
    "tz": "timezone",
    "match": "pattern",
    "event_pattern": "pattern",
    "percent": "rollout_percent",
    "rollout": "rollout_percent",
    "timeout": "answer_timeout_s",
    "retries": "max_attempts",
    "fallback": "fallback_agent_name",
    "country": "holidays",
    "objective": "objective_percent",
    "objective_seconds": "objective_s",
}


def _check_text(least: int, most: int, *, one_line: bool = True) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        if not isinstance(value, str):
            return [_wrong_type(column, value, "text")]
        if not least <= len(value) <= most:
            message = f"must have {least} to {most} characters, found {len(value)}"
            return [Problem(column, message, found=value[:100])]
        if one_line and (value != value.strip() or not value.isprintable()):
            message = "must be one line of printable characters without space around it"
            return [Problem(column, message, found=value, suggestion=_printable(value))]
        return _unstorable(column, value)

    return check


def _printable(value: str) -> str | None:
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) or None


def _check_integer(least: int, most: int) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        allowed = f"a whole number from {least} to {most}"
        if isinstance(value, bool) or not isinstance(value, int):
            suggestion = None
            if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,10}\s*%?\s*", value):
                suggestion = value.strip(" %\t\n")
            elif isinstance(value, float) and value.is_integer():
                suggestion = str(int(value))
            return [_wrong_type(column, value, allowed, suggestion)]
        if not least <= value <= most:
            message = f"must be {allowed}"
            return [Problem(column, message, found=value, suggestion=str(min(max(value, least), most)))]
        return []

    return check


def _check_number(allowed: str, is_allowed: Callable[[float], bool]) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            read = re.fullmatch(r"\s*(\d{1,6}(\.\d{1,6})?)\s*[%s]?\s*", value) if isinstance(value, str) else None
            return [_wrong_type(column, value, allowed, read[1] if read else None)]
        return [] if is_allowed(value) else [Problem(column, f"must be {allowed}", found=value)]

    return check


def _check_boolean(column: str, value: Any) -> list[Problem]:
    if isinstance(value, bool):
        return []
    word = str(value).strip().casefold()
    suggestion = "true" if word in _TRUE else "false" if word in _FALSE else None
    return [_wrong_type(column, value, "true or false", suggestion)]


def _check_word(words: type[StrEnum]) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        allowed = [word.value for word in words]
        if isinstance(value, str) and value in allowed:
            return []
        near = nearest(value, allowed) if isinstance(value, str) else None
        return [Problem(column, f"must be {' or '.join(allowed)}", found=value, suggestion=near)]

    return check


def _check_deployment(column: str, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [_wrong_type(column, value, "text")]
    if _DEPLOYMENT.fullmatch(value):
        return []
    mended = re.sub(r"[^A-Za-z0-9.-]+", "-", value.strip())[:63]
    message = "must have 1 to 63 letters, digits, dots and hyphens"
    return [Problem(column, message, found=value[:100], suggestion=mended if _DEPLOYMENT.fullmatch(mended) else None)]


def _check_pattern(column: str, value: Any) -> list[Problem]:
    unstorable = _unstorable(column, value)
    # What is no JSON at all would only be told twice.
    return unstorable or [
        Problem(_below(column, problem.path), problem.message, problem.found, problem.suggestion)
        for problem in check_pattern(full_pattern(value))
    ]


def _below(column: str, path: str) -> str:
    if not path or path == column:
        return column
    if path.startswith((f"{column}.", f"{column}[")):
        return path
    return f"{column}{path}" if path.startswith("[") else f"{column}.{path}"


def _check_template(column: str, value: Any) -> list[Problem]:
    return _unstorable(column, value) or check_template(value, column)


def _check_text_then(check_value: Callable[[str], list[Problem]]) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        return check_value(value) if isinstance(value, str) else [_wrong_type(column, value, "text")]

    return check


def _optional(check_value: Check) -> Check:
    def check(column: str, value: Any) -> list[Problem]:
        return [] if value is None else check_value(column, value)

    return check


def _wrong_type(column: str, value: Any, allowed: str, suggestion: str | None = None) -> Problem:
    if value is None and column in DEFAULTS:
        return Problem(column, f"must be {allowed}; leave it out for the default, {DEFAULTS[column]!r}", found=value)
    return Problem(column, f"must be {allowed}, found {_type_name(value)}", found=value, suggestion=suggestion)


def _type_name(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value)) or ("a number" if isinstance(value, int | float) else type(value).__name__)


def _unstorable(path: str, value: Any, depth: int = 0) -> list[Problem]:
    """Return what in `value` is no JSON, or no JSON that both databases can hold."""
    if depth > _DEPTH:
        return [Problem(path, f"nests deeper than {_DEPTH} levels")]
    if isinstance(value, str):
        return [] if is_storable(value) else [Problem(path, UNSTORABLE_MESSAGE)]
    if isinstance(value, dict):
        problems = []
        for key, item in value.items():
            if isinstance(key, str):
                problems += _unstorable(path, key, depth + 1) + _unstorable(join_path(path, key), item, depth + 1)
            else:
                problems.append(Problem(path, "has a key that is no text; put it in quotes", found=key))
        return problems
    if isinstance(value, list):
        return [
            problem for place, item in enumerate(value) for problem in _unstorable(f"{path}[{place}]", item, depth + 1)
        ]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and value - value == 0):
        return []
    return [Problem(path, f"is no JSON value, but {type(value).__name__}; put it in quotes", found=str(value)[:100])]


_CHECKS: Final[dict[str, Check]] = {
    "name": _check_text(1, LONGEST_NAME),
    "description": _check_text(0, LONGEST_DESCRIPTION, one_line=False),
    "enabled": _check_boolean,
    "priority": _check_integer(-1_000_000, 1_000_000),
    "pattern": _check_pattern,
    "agent_name": _check_text(1, LONGEST_AGENT_NAME),
    "metadata": _check_template,
    "attributes": _check_template,
    "deployment": _optional(_check_deployment),
    "scope": _check_word(Scope),
    "on_match": _check_word(OnMatch),
    "rollout_percent": _check_integer(0, 100),
    "rollout_key": _check_text_then(check_rollout_key),
    "active_hours": _optional(_check_text_then(lambda _expression: [])),
    "timezone": _check_text_then(check_timezone),
    "holidays": _optional(_check_text_then(check_holidays)),
    "answer_timeout_s": _check_integer(1, 3600),
    "max_attempts": _check_integer(1, 100),
    "fallback_agent_name": _optional(_check_text(1, LONGEST_AGENT_NAME)),
    "recover": _check_boolean,
    "withdraw": _check_boolean,
    "objective_percent": _optional(_check_number("a number from 1 to less than 100", lambda value: 1 <= value < 100)),
    "objective_s": _optional(_check_number("a number of seconds from 0.1 to 3600", lambda value: 0.1 <= value <= 3600)),
}
