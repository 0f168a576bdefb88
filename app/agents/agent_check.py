"""Checks what is to be set for an agent, and reports everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from app.db.columns.agent_columns import RECORDED_OF_AGENTS
from app.db.columns.pause_column import canonical_instant
from app.db.columns.queue_columns import MAX_CALLS, MAX_STARTS_PER_SECOND
from app.db.rule_columns import MAX_AGENT_NAME, MAX_DESCRIPTION
from app.db.types import parse_instant
from app.errors import InvalidInputError, Problem, nearest
from app.strict_json import UNSTORABLE_MESSAGE, is_storable
from app.translation import translatable

EDITABLE: Final = RECORDED_OF_AGENTS[1:]
"""The columns that people write, besides the name."""
DEFAULTS: Final[Mapping[str, Any]] = {**dict.fromkeys(EDITABLE), "note": ""}


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as `rows_of_agents` does, with the defaults of columns that are left out."""
    completed = {"agent_name": row.get("agent_name"), **{name: row.get(name, DEFAULTS[name]) for name in EDITABLE}}
    return {**completed, "out_of_service_until": canonical_instant(completed["out_of_service_until"])}


def check_agent(row: Mapping[str, Any]) -> list[Problem]:
    """Return all problems of what is to be set for an agent; empty when it may be saved."""
    values = {name: value for name, value in row.items() if name != "agent_name"}
    if "agent_name" not in row:
        return [Problem("agent_name", translatable("is required")), *_read(None, values)[1]]
    return [*check_agent_name(row["agent_name"]), *_read(row["agent_name"], values)[1]]


def checked(agent_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to store for these columns; raises InvalidInputError with every problem."""
    stored, problems = _read(agent_name, values)
    problems = check_agent_name(agent_name) + problems
    if problems:
        raise InvalidInputError(translatable("this agent cannot be saved"), problems)
    return stored


def _read(agent_name: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return what to store for these columns of the agent, and what is wrong with them."""
    problems: list[Problem] = []
    stored: dict[str, Any] = {}
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            message = translatable("is no field of an agent; fields are %(names)s", names=", ".join(EDITABLE))
            problems.append(Problem(name[:100] or '""', message, suggestion=nearest(name, EDITABLE)))
            continue
        found = [] if value is None and name != "note" else check(name, value)
        problems += found
        if not found:
            stored[name] = _read_instant(value) if name == "out_of_service_until" else value
    substitute = stored.get("substitute_agent_name")
    if substitute is not None and substitute == agent_name:
        problems.append(Problem("substitute_agent_name", translatable("must be another agent"), substitute))
    return stored, problems


def check_agent_name(agent_name: Any) -> list[Problem]:
    """Return what is wrong with the name of an agent; empty for one that a worker can be registered under."""
    return _check_name("agent_name", agent_name)


def _check_name(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [Problem(path, translatable("must be the name of an agent"), value)]
    if not 1 <= len(value) <= MAX_AGENT_NAME or not value.isprintable() or value != value.strip():
        return [
            Problem(
                path,
                translatable(
                    "must have 1 to %(most)s printable characters, none of them white space at the ends",
                    most=MAX_AGENT_NAME,
                ),
                value[:100],
            )
        ]
    return []


def _whole_number(least: int, most: int) -> Callable[[str, Any], list[Problem]]:
    def check(path: str, value: Any) -> list[Problem]:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return []
        return [
            Problem(
                path,
                translatable("must be a whole number from %(least)s to %(most)s, or null", least=least, most=most),
                value,
            )
        ]

    return check


def _check_instant(path: str, value: Any) -> list[Problem]:
    try:
        instant = _read_instant(value)
    except (ValueError, TypeError, OverflowError):
        instant = None
    if instant is None or not 1970 <= instant.year <= 9999:
        return [Problem(path, translatable("must be a time such as 2026-11-26T18:00:00Z, or null"), str(value)[:100])]
    return []


def _read_instant(value: Any) -> datetime | None:
    if isinstance(value, str):
        return parse_instant(value)
    return value if isinstance(value, datetime) else None


def _check_note(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION:
        return [Problem(path, translatable("must be text of at most %(most)s characters", most=MAX_DESCRIPTION))]
    return [] if is_storable(value) else [Problem(path, UNSTORABLE_MESSAGE)]


_CHECKS: Final[Mapping[str, Callable[[str, Any], list[Problem]]]] = {
    "max_calls": _whole_number(0, MAX_CALLS),
    "starts_per_second": _whole_number(1, MAX_STARTS_PER_SECOND),
    "out_of_service_until": _check_instant,
    "substitute_agent_name": _check_name,
    "note": _check_note,
}
