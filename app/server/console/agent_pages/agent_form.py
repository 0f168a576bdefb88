"""The form of an agent: its limits, and its service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.agents.agent_limits import FOREVER
from app.agents.stored_agents import Agent
from app.errors import Problem
from app.translation import translatable

PAUSES: Final = (
    ("", "in service"),
    ("15m", "out of service for 15 minutes"),
    ("1h", "out of service for an hour"),
    ("8h", "out of service for 8 hours"),
    ("forever", "out of service until it is put back"),
    ("at", "out of service until …"),
)
_SPANS: Final[Mapping[str, timedelta]] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "8h": timedelta(hours=8),
}
LABELS: Final[Mapping[str, str]] = {
    "max_calls": translatable("Calls at a time"),
    "starts_per_second": translatable("Starts per second"),
    "out_of_service_until": translatable("Out of service"),
    "substitute_agent_name": translatable("Substitute"),
    "note": translatable("Note"),
}
"""What the columns of an agent are called in the history of its changes."""
FIELDS: Final = ("max_calls", "starts_per_second", "service", "until", "substitute_agent_name", "note", "version")


def fields_of(agent: Agent, now: datetime) -> dict[str, str]:
    """Return the texts of the form for an agent."""
    service, until = "", ""
    if agent.is_out_of_service(now) and agent.out_of_service_until is not None:
        service = "forever" if agent.is_out_indefinitely else "at"
        until = "" if agent.is_out_indefinitely else agent.out_of_service_until.strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "max_calls": "" if agent.max_calls is None else str(agent.max_calls),
        "starts_per_second": "" if agent.starts_per_second is None else str(agent.starts_per_second),
        "service": service,
        "until": until,
        "substitute_agent_name": agent.substitute_agent_name or "",
        "note": agent.note,
        "version": str(agent.version),
    }


def read_fields(field: Callable[[str], str], now: datetime) -> tuple[dict[str, str], dict[str, Any], list[Problem]]:
    """Return the texts that were sent, the columns that they make, and what cannot be read."""
    fields = {name: field(name) for name in FIELDS}
    problems: list[Problem] = []
    columns: dict[str, Any] = {
        "max_calls": _number(fields["max_calls"]),
        "starts_per_second": _number(fields["starts_per_second"]),
        "substitute_agent_name": fields["substitute_agent_name"].strip() or None,
        "note": fields["note"].replace("\r\n", "\n").strip(),
        "out_of_service_until": None,
    }
    match fields["service"]:
        case "":
            pass
        case "forever":
            columns["out_of_service_until"] = FOREVER
        case "at":
            columns["out_of_service_until"] = _instant(fields["until"], problems)
        case span if span in _SPANS:
            columns["out_of_service_until"] = now + _SPANS[span]
        case unknown:
            problems.append(Problem("service", translatable("must be one of the choices"), unknown[:50]))
    return fields, columns, problems


def by_field(problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    """Return the problems by the field that they are shown at."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        name = "until" if problem.path == "out_of_service_until" else problem.path
        found.setdefault(name if name in FIELDS else "", []).append(problem)
    return found


def _number(text: str) -> int | str | None:
    text = text.strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def _instant(text: str, problems: list[Problem]) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        problems.append(Problem("until", translatable("must be a time such as 2026-11-27T18:00 (UTC)"), text[:50]))
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
