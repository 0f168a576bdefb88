"""Checks whether a rule may be saved, and reports everything that is wrong with it at once.

Every problem has the path of what is wrong, what is allowed there, and the nearest valid spelling if one is near.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from app.db.column_definition import ColumnKind, RuleColumn
from app.db.rule_columns import COLUMN, MAX_FALLBACKS, RULE_COLUMNS
from app.errors import Problem, join_path, nearest
from app.rules.check_action import check_action, check_instant, check_transfer_to, needs_agent
from app.rules.check_json import json_problems, type_name
from app.rules.columns import DEFAULTS, STAMPS, WRITABLE
from app.rules.conditions.hours import check_holidays, check_hours, check_timezone
from app.rules.conditions.rollout import check_rollout_key
from app.rules.language.pattern import check_pattern, full_pattern
from app.rules.templates.template import check_template
from app.translation import joined, translatable

_LONGEST_SHOWN: Final = 100
_LONGEST_INTEGER: Final = 10  # digits; no column takes a larger number
_TRUE: Final = frozenset({"true", "yes", "on", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "n", "0"})

MAX_UNKNOWN: Final = 100
"""Columns that do not exist which are reported of one rule."""

Check = Callable[[RuleColumn, Any], list[Problem]]


def check_rule(row: Mapping[str, Any]) -> list[Problem]:
    """Return all problems of one rule; empty when it may be saved. Paths begin with the column.

    Columns that have a default may be left out; `id` and the stamps of a stored row may be there.
    """
    unknown = (problem for name in row if (problem := _unknown_column(name)) is not None)
    problems = list(islice(unknown, MAX_UNKNOWN))  # each costs a search for what was meant
    for column in RULE_COLUMNS:
        if column.name in row and not _lacks_agent(column, row):
            problems += check_value(column, row[column.name])
        elif column.is_required or _lacks_agent(column, row):
            problems.append(Problem(column.name, translatable("is required")))
    expression, holidays = row.get("active_hours"), row.get("holidays")
    if isinstance(expression, str):
        problems += check_hours(expression, holidays if isinstance(holidays, str) else None)
    return problems + _check_objective(row) + check_action(row)


def _lacks_agent(column: RuleColumn, row: Mapping[str, Any]) -> bool:
    return column.kind is ColumnKind.AGENT and row.get(column.name) is None and needs_agent(row)


def check_value(column: RuleColumn, value: Any) -> list[Problem]:
    """Return what is wrong with the value of one column, by itself."""
    if value is None and column.is_nullable:
        return []
    check = SPECIAL_CHECKS.get(column.name) or _CHECKS[column.kind]
    return check(column, value)


def _check_objective(row: Mapping[str, Any]) -> list[Problem]:
    """Return a problem if one half of the objective is given without the other."""
    missing = [name for name in _OBJECTIVE if row.get(name) is None]
    if len(missing) != 1:
        return []
    given = next(name for name in _OBJECTIVE if name not in missing)
    return [Problem(missing[0], translatable("is required with %(given)s; give both or neither", given=given))]


_OBJECTIVE: Final = ("objective_percent", "objective_s")


def _unknown_column(name: Any) -> Problem | None:
    if name in COLUMN or name in STAMPS or name == "id":
        return None
    if not isinstance(name, str):
        return Problem(
            str(name)[:_LONGEST_SHOWN], translatable("is not a column of a rule; names are text"), found=name
        )
    message = translatable("is not a column of a rule")
    suggestion = _MEANT.get(name) or nearest(name.strip().replace("-", "_").replace(" ", "_"), WRITABLE)
    if suggestion is None:
        message = translatable("is not a column of a rule; columns are %(names)s", names=", ".join(WRITABLE))
    shown = name[:_LONGEST_SHOWN]
    return Problem(shown or '""', message, found=shown, suggestion=suggestion)


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
    "transfer": "transfer_to",
    "fallback": "fallbacks",
    "fallback_agent_name": "fallbacks",
    "country": "holidays",
    "objective": "objective_percent",
    "objective_seconds": "objective_s",
}


def _check_text(column: RuleColumn, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [_wrong_type(column, value, translatable("text"))]
    if not (column.least or 0) <= len(value) <= (column.most if column.most is not None else len(value)):
        message = translatable(
            "must have %(least)s to %(most)s characters, found %(count)s",
            least=column.least,
            most=column.most,
            count=len(value),
        )
        return [Problem(column.name, message, found=value[:_LONGEST_SHOWN])]
    if column.rows == 1 and (value != value.strip() or not value.isprintable()):
        message = translatable("must be one line of printable characters, with no space before or after")
        return [Problem(column.name, message, found=value, suggestion=_printable(value))]
    return json_problems(column.name, value)


def _printable(value: str) -> str | None:
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) or None


def _check_integer(column: RuleColumn, value: Any) -> list[Problem]:
    allowed = translatable("a whole number from %(least)s to %(most)s", least=column.least, most=column.most)
    if isinstance(value, bool) or not isinstance(value, int):
        suggestion = None
        if isinstance(value, str) and re.fullmatch(rf"\s*-?[0-9]{{1,{_LONGEST_INTEGER}}}\s*%?\s*", value):
            suggestion = value.strip(" %\t\n")
        elif isinstance(value, float) and value.is_integer():
            suggestion = str(int(value))
        return [_wrong_type(column, value, allowed, suggestion)]
    least, most = int(column.least or 0), int(column.most or 0)
    if not least <= value <= most:
        suggestion = str(min(max(value, least), most))
        message = translatable("must be %(allowed)s", allowed=allowed)
        return [Problem(column.name, message, found=value, suggestion=suggestion)]
    return []


def _check_number(column: RuleColumn, value: Any) -> list[Problem]:
    unit = translatable(" of %(unit)s", unit=column.unit) if column.unit else ""
    end = translatable("less than %(below)s", below=column.below) if column.below is not None else column.most
    allowed = translatable("a number%(unit)s from %(least)s to %(end)s", unit=unit, least=column.least, end=end)
    if isinstance(value, bool) or not isinstance(value, int | float):
        number = re.fullmatch(r"\s*([0-9]{1,6}(\.[0-9]{1,6})?)\s*[%s]?\s*", value) if isinstance(value, str) else None
        return [_wrong_type(column, value, allowed, number[1] if number else None)]
    above = column.least is None or value >= column.least
    under = (column.most is None or value <= column.most) and (column.below is None or value < column.below)
    message = translatable("must be %(allowed)s", allowed=allowed)
    return [] if above and under else [Problem(column.name, message, found=value)]


def _check_flag(column: RuleColumn, value: Any) -> list[Problem]:
    if isinstance(value, bool):
        return []
    text = str(value).strip().casefold()
    suggestion = "true" if text in _TRUE else "false" if text in _FALSE else None
    return [_wrong_type(column, value, translatable("true or false"), suggestion)]


def _check_choice(column: RuleColumn, value: Any) -> list[Problem]:
    allowed = [choice.value for choice in column.choices or ()]
    if isinstance(value, str) and value in allowed:
        return []
    suggestion = nearest(value, allowed) if isinstance(value, str) else None
    message = translatable("must be %(allowed)s", allowed=joined(translatable(" or "), allowed))
    return [Problem(column.name, message, found=value, suggestion=suggestion)]


def _check_deployment(column: RuleColumn, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [_wrong_type(column, value, translatable("text"))]
    is_valid = re.compile(column.pattern or "").fullmatch
    if is_valid(value):
        return []
    corrected = re.sub(r"[^A-Za-z0-9.-]+", "-", value.strip())[:63]
    message = translatable("must have 1 to 63 letters, digits, dots and hyphens")
    suggestion = corrected if is_valid(corrected) else None
    return [Problem(column.name, message, found=value[:_LONGEST_SHOWN], suggestion=suggestion)]


def _check_pattern(column: RuleColumn, value: Any) -> list[Problem]:
    # Reading a pattern that is not JSON would report the same again.
    return json_problems(column.name, value) or [
        problem.below(column.name) for problem in check_pattern(full_pattern(value))
    ]


def _check_template(column: RuleColumn, value: Any) -> list[Problem]:
    return json_problems(column.name, value) or check_template(value, column.name)


def _check_fallbacks(column: RuleColumn, value: Any) -> list[Problem]:
    if not isinstance(value, list):
        suggestion = f'["{value}"]' if isinstance(value, str) and value.isprintable() else None
        return [_wrong_type(column, value, translatable("a list of agents"), suggestion)]
    if len(value) > MAX_FALLBACKS:
        message = translatable(
            "must have at most %(most)s agents, found %(count)s", most=MAX_FALLBACKS, count=len(value)
        )
        return [Problem(column.name, message)]
    return [
        problem for index, entry in enumerate(value) for problem in _check_fallback(f"{column.name}[{index}]", entry)
    ]


def _check_fallback(path: str, entry: Any) -> list[Problem]:
    if isinstance(entry, str):
        entry = {"agent_name": entry}
        by_name = {"agent_name": path}
    elif isinstance(entry, Mapping):
        by_name = {name: join_path(path, str(name)) for name in entry}
    else:
        message = translatable("must be the name of an agent or an object, found %(type)s", type=type_name(entry))
        return [Problem(path, message, found=entry)]
    problems = [] if "agent_name" in entry else [Problem(join_path(path, "agent_name"), translatable("is required"))]
    for name, value in entry.items():
        if name not in _FALLBACK_FIELDS:
            message = translatable(
                "is not a field of a fallback; fields are %(names)s", names=", ".join(_FALLBACK_FIELDS)
            )
            suggestion = nearest(name, _FALLBACK_FIELDS) if isinstance(name, str) else None
            problems.append(Problem(by_name[name], message, found=name, suggestion=suggestion))
        elif value is not None or name == "agent_name":
            found = check_value(COLUMN[name], value)
            problems += [replace(one, path=by_name[name] + one.path.removeprefix(name)) for one in found]
    return problems


_FALLBACK_FIELDS: Final = ("agent_name", "answer_timeout_s", "max_attempts", "metadata")


def _check_transfer_to(column: RuleColumn, value: Any) -> list[Problem]:
    return _check_text(column, value) or check_transfer_to(column, value)


def _check_text_with(check_text: Callable[[str], list[Problem]]) -> Check:
    def check(column: RuleColumn, value: Any) -> list[Problem]:
        return check_text(value) if isinstance(value, str) else [_wrong_type(column, value, translatable("text"))]

    return check


def _wrong_type(column: RuleColumn, value: Any, allowed: str, suggestion: str | None = None) -> Problem:
    if value is None and column.name in DEFAULTS:
        message = translatable(
            "must be %(allowed)s; leave it out for the default, %(default)s",
            allowed=allowed,
            default=repr(column.default),
        )
        return Problem(column.name, message, found=value)
    message = translatable("must be %(allowed)s, found %(type)s", allowed=allowed, type=type_name(value))
    return Problem(column.name, message, found=value, suggestion=suggestion)


_CHECKS: Final[Mapping[ColumnKind, Check]] = {
    ColumnKind.TEXT: _check_text,
    ColumnKind.AGENT: _check_text,
    ColumnKind.CHOICE: _check_choice,
    ColumnKind.FLAG: _check_flag,
    ColumnKind.INSTANT: lambda column, value: _check_text(column, value) or check_instant(column, value),
    ColumnKind.INTEGER: _check_integer,
    ColumnKind.NUMBER: _check_number,
    ColumnKind.LADDER: _check_fallbacks,
    ColumnKind.PATTERN: _check_pattern,
    ColumnKind.TEMPLATE: _check_template,
}

SPECIAL_CHECKS: Final[Mapping[str, Check]] = {
    "deployment": _check_deployment,
    "rollout_key": _check_text_with(check_rollout_key),
    "active_hours": _check_text_with(lambda _expression: []),  # with the holidays, in check_rule
    "timezone": _check_text_with(check_timezone),
    "holidays": _check_text_with(check_holidays),
    "transfer_to": _check_transfer_to,
}
"""Columns whose kind does not say all that is allowed."""
