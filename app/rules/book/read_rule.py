"""From a row of `routing_rules` to a usable rule, or to all that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from app.db.types import OnMatch, Scope
from app.errors import Problem
from app.rules.check import check_rule
from app.rules.columns import DEFAULTS, REQUIRED, full_pattern
from app.rules.language.pattern import Pattern, PatternError, read_pattern
from app.rules.rule import BadRule, Rule
from app.rules.templates.template import check_template
from app.strict_json import parse_json


class JsonText(str):
    """A JSON column as the database holds it: text that was not parsed yet, and may not be JSON at all."""

    __slots__ = ()


def read_rule(row: Mapping[str, Any]) -> tuple[Rule, Pattern] | BadRule:
    """Return what a row says, or why it cannot be used.

    Columns that are left out have the database's defaults. JSON columns hold parsed JSON or, as `JsonText`, the text.
    """
    problems: list[Problem] = []
    pattern_text, document = _read_document("pattern", row.get("pattern"), problems)
    metadata_text, _ = _read_document("metadata", row.get("metadata"), problems)
    attributes_text, _ = _read_document("attributes", row.get("attributes"), problems)
    pattern = None
    if not problems:
        pattern = _read_pattern(document, problems)
        problems += _check_template("metadata", metadata_text)
        problems += _check_template("attributes", attributes_text)
    settings = _read_settings(row)
    if problems or pattern is None or not isinstance(settings, dict):
        return _bad_rule(row, problems if isinstance(settings, dict) else [*problems, *settings])
    rule = Rule(
        id=row["id"],
        name=str(row["name"]),
        description=_shared(row.get("description")) or "",
        pattern_text=pattern_text or "",
        metadata_text=_shared(metadata_text),
        attributes_text=_shared(attributes_text),
        **settings,
    )
    return rule, pattern


_SETTINGS: Final = (
    "enabled",
    "priority",
    "agent_name",
    "deployment",
    "scope",
    "on_match",
    "rollout_percent",
    "rollout_key",
    "active_hours",
    "timezone",
    "holidays",
    "answer_timeout_s",
    "max_attempts",
    "fallback_agent_name",
    "recover",
    "withdraw",
    "objective_percent",
    "objective_s",
)
_FLAGS: Final = ("enabled", "recover", "withdraw")
_LONG_TEMPLATE: Final = 8_192
_SECRET: Final = "turnPassword"  # noqa: S105 - the name of a secret field, not a secret


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _read_document(column: str, value: Any, problems: list[Problem]) -> tuple[str | None, Any]:
    """Return the compact text and the parsed form of a JSON column."""
    try:
        if isinstance(value, JsonText):
            value = parse_json(value)
        if value is None and column not in REQUIRED:
            return None, None
        return _compact(value), value
    except (ValueError, TypeError, RecursionError) as error:
        problems.append(Problem(column, f"is not JSON: {error}", str(value)[:200]))
        return None, None


def _read_pattern(value: Any, problems: list[Problem]) -> Pattern | None:
    try:
        return read_pattern(full_pattern(value))
    except PatternError as error:
        problems += [
            Problem(
                f"pattern.{problem.path}" if problem.path else "pattern",
                problem.message,
                problem.found,
                problem.suggestion,
            )
            for problem in error.problems
        ]
        return None


def _check_template(column: str, text: str | None) -> tuple[Problem, ...]:
    if text is None:
        return ()
    if len(text) > _LONG_TEMPLATE or _SECRET in text:
        return tuple(check_template(json.loads(text), column))
    return _check_skeleton(column, _compact(_skeleton(json.loads(text))))


@lru_cache(maxsize=4096)
def _check_skeleton(column: str, text: str) -> tuple[Problem, ...]:
    return tuple(check_template(json.loads(text), column))


def _skeleton(template: Any) -> Any:
    """Return the template without the literals that tell rules apart: checking one of a kind checks them all.

    Checking takes 0.2 ms, and a hundred thousand rules often have templates that differ by a name only. Whatever
    stands within an operator is kept, for there a literal may be an expression.
    """
    if isinstance(template, str):
        return template if "$" in template else "text"
    if isinstance(template, list):
        return [_skeleton(element) for element in template]
    if isinstance(template, dict) and not any(key.startswith("$") or "${" in key for key in template):
        return {key: _skeleton(value) for key, value in template.items()}
    return template


def _read_settings(row: Mapping[str, Any]) -> dict[str, Any] | tuple[Problem, ...]:
    """Return the columns that rules repeat from each other, ready for `Rule`, or what is wrong with them."""
    settings = [row[name] if name in row else DEFAULTS.get(name) for name in _SETTINGS]
    try:
        return _known_settings(*settings)
    except TypeError:  # a list or an object, which no cache can hold, where a text should be
        return _known_settings.__wrapped__(*settings)


@lru_cache(maxsize=4096, typed=True)
def _known_settings(*settings: Any) -> dict[str, Any] | tuple[Problem, ...]:
    values = dict(zip(_SETTINGS, settings, strict=True))
    for flag in _FLAGS:
        if values[flag] in (0, 1):
            values[flag] = bool(values[flag])
    # Only what makes the row unusable; a blemish such as a space after an agent's name does not.
    checked = {name: value for name, value in values.items() if not name.endswith("agent_name")}
    problems = [problem for problem in check_rule(checked) if problem.path not in REQUIRED]
    for name in ("agent_name", "fallback_agent_name"):
        value = values[name]
        if not (isinstance(value, str) and value) and not (value is None and name in DEFAULTS):
            problems.append(Problem(name, "must be the name of an agent", value))
    if problems:
        return tuple(problems)
    return values | {"scope": Scope(values["scope"]), "on_match": OnMatch(values["on_match"])}


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
