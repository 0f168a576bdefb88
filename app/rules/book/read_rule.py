"""Reads a row of `routing_rules`: returns a usable rule, or all its problems."""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from app.db.column_definition import ColumnKind
from app.db.rule_columns import COLUMN, RULE_COLUMNS
from app.db.types import JsonText, parse_instant
from app.errors import Problem
from app.rules.check import check_rule, check_value
from app.rules.columns import DEFAULTS, DOCUMENTS, FLAGS, REQUIRED
from app.rules.conditions.hours import parse_hours
from app.rules.language.pattern import Pattern, PatternError, full_pattern, read_pattern
from app.rules.rule import SETTINGS, BadRule, Rule
from app.rules.templates.jsone.budget import DEEPEST
from app.rules.templates.template import check_template
from app.strict_json import parse_json, without_halves
from app.translation import translatable
from app.webhook.redaction import SECRET_FIELD


def read_rule(row: Mapping[str, Any]) -> tuple[Rule, Pattern] | BadRule:
    """Return the rule of a row, or the problems that make it unusable.

    Columns that are left out have the database's defaults. JSON columns hold parsed JSON or, as `JsonText`, the text.
    """
    problems: list[Problem] = []
    texts, documents = _read_documents(row, problems)
    pattern = None
    if not problems:
        pattern = _read_pattern(documents["pattern"], problems)
        for column in _TEMPLATES:
            problems += _check_template(column, documents[column], texts[column])
        if documents["fallbacks"] is not None:
            problems += check_value(COLUMN["fallbacks"], documents["fallbacks"])
    settings, wrong = _read_settings(row)
    problems += wrong
    if problems or pattern is None:
        return _bad_rule(row, problems)
    rule = Rule(  # by place: names would take 2 µs more
        row["id"],
        str(row["name"]),
        _shared(row.get("description")) or "",
        texts["pattern"] or "",
        _shared(texts["metadata"]),
        _shared(texts["attributes"]),
        _shared(texts["fallbacks"]),
        *settings,
    )
    return rule, pattern


_TEMPLATES: Final = tuple(column.name for column in RULE_COLUMNS if column.kind is ColumnKind.TEMPLATE)
_NOT_CACHED: Final = ("name", "description")  # hardly two rules have the same
_SETTINGS: Final = tuple(column for column in RULE_COLUMNS if not column.is_document and column.name not in _NOT_CACHED)
_settings_of: Final = itemgetter(*(column.name for column in _SETTINGS))
_LONG_TEMPLATE: Final = 8_192
_NO_REFERENCES: Final = 0
"""The version of `marshal` whose bytes are the same for equal values. They are made in a fourth of the time of JSON."""


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _read_documents(row: Mapping[str, Any], problems: list[Problem]) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Return the texts and the parsed values of the JSON columns, by column. That of the pattern is compact."""
    texts: dict[str, str | None] = {}
    values: dict[str, Any] = {}
    for column in DOCUMENTS:
        value = row.get(column)
        if value is None and column not in REQUIRED:
            texts[column] = values[column] = None
            continue
        try:
            text = None
            if isinstance(value, JsonText):
                text = str(value)
                value = without_halves(parse_json(text), text)  # as events have it
            if text is None or column == "pattern":  # people look for rules by the texts of patterns
                text = _compact(value)
            is_null = value is None and column not in REQUIRED
            texts[column], values[column] = None if is_null else text, value
        except (ValueError, TypeError, RecursionError) as error:
            problems.append(Problem(column, translatable("is not JSON: %(error)s", error=error), str(value)[:200]))
    return texts, values


def _read_pattern(value: Any, problems: list[Problem]) -> Pattern | None:
    try:
        return read_pattern(full_pattern(value))
    except PatternError as error:
        problems += [problem.below("pattern") for problem in error.problems]
        return None


def _check_template(column: str, template: Any, text: str | None) -> tuple[Problem, ...]:
    if text is None:
        return ()
    if len(text) <= _LONG_TEMPLATE and _is_right(column, marshal.dumps(_skeleton(template, DEEPEST), _NO_REFERENCES)):
        return ()
    return tuple(check_template(template, column))


@lru_cache(maxsize=4096)
def _is_right(column: str, skeleton: bytes) -> bool:
    return not check_template(marshal.loads(skeleton), column)  # noqa: S302 - what was written in this process


def _skeleton(template: Any, levels: int) -> Any:
    """Return the template without literals: templates that differ in nothing else are checked once.

    Checking takes 0.2 ms, and a hundred thousand rules often have templates that differ by a name only. Whatever
    stands within an operator is kept, for there a literal may be an expression, and so is what is below `levels`.
    """
    if not levels:
        return template
    if isinstance(template, str):
        return template if "$" in template or SECRET_FIELD in template else "text"
    if isinstance(template, list):
        return [_skeleton(element, levels - 1) for element in template]
    if isinstance(template, dict) and not any(key.startswith("$") or "${" in key for key in template):
        return {key: _skeleton(value, levels - 1) for key, value in template.items()}
    return template


def _read_settings(row: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[Problem, ...]]:
    """Return the columns whose values many rules share, as the last fields of `Rule`, and what is wrong with them."""
    try:
        settings = _settings_of(row)
    except KeyError:
        settings = _settings_of({**DEFAULTS, **row})
    try:
        return _known_settings(*settings)
    except TypeError:  # a list or an object, which no cache can hold, where a text should be
        return _known_settings.__wrapped__(*settings)


@lru_cache(maxsize=4096, typed=True)
def _known_settings(*settings: Any) -> tuple[tuple[Any, ...], tuple[Problem, ...]]:
    values = {column.name: value for column, value in zip(_SETTINGS, settings, strict=True)}
    values |= {flag: bool(values[flag]) for flag in FLAGS if values[flag] in (0, 1)}
    # Only what makes the row unusable counts: a space after an agent's name, say, does not.
    agent = values["agent_name"]
    is_usable = agent is None or (isinstance(agent, str) and agent != "")
    checked = {**values, "agent_name": "agent" if agent is not None else None}
    problems = [problem for problem in check_rule(checked) if problem.path not in REQUIRED]
    if not is_usable:
        problems.append(Problem("agent_name", translatable("must be the name of an agent"), agent))
    if problems:
        return (), tuple(problems)
    expression = values["active_hours"]
    values["hours"] = None if expression is None else parse_hours(expression, values["timezone"], values["holidays"])
    values["resumes_at"] = None if values["paused_until"] is None else parse_instant(values["paused_until"])
    values |= {column.name: column.choices(values[column.name]) for column in _SETTINGS if column.choices}
    return tuple(values[name] for name in SETTINGS), ()


@lru_cache(maxsize=4096)
def _shared(text: str | None) -> str | None:
    """Return one object for all equal texts: rules repeat each other's settings."""
    return text


def _bad_rule(row: Mapping[str, Any], problems: list[Problem]) -> BadRule:
    priority, enabled = row.get("priority", DEFAULTS["priority"]), row.get("enabled", True)
    return BadRule(
        row["id"],
        str(row.get("name")),
        priority if isinstance(priority, int) else DEFAULTS["priority"],
        bool(enabled),
        tuple(problems),
    )
