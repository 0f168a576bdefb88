"""Rows of `agents` as they are shown and edited, and what is wrong with one that is to be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, RowMapping, func, select

from app.agents.agent_limits import is_before_end, is_indefinite, read_end
from app.db.columns.pause_column import canonical_instant
from app.db.columns.queue_columns import MAX_CALLS, MAX_STARTS_PER_SECOND
from app.db.editing.unreadable_times import unreadable_times
from app.db.rule_columns import MAX_AGENT_NAME, MAX_DESCRIPTION
from app.db.tables import agent_changes, agents
from app.db.tables.agents import END_AS_TEXT, RECORDED_OF_AGENTS
from app.db.types import format_instant, parse_instant
from app.errors import InvalidInputError, Problem, nearest
from app.json_shape import Instant, JsonShape
from app.strict_json import UNSTORABLE_MESSAGE, is_storable

EDITABLE: Final = RECORDED_OF_AGENTS[1:]
"""The columns that people write, besides the name."""
DEFAULTS: Final[Mapping[str, Any]] = {**dict.fromkeys(EDITABLE), "note": ""}


@dataclass(frozen=True, slots=True)
class Agent(JsonShape):
    """What operators have set for an agent; one without a row has the defaults, and version 0."""

    agent_name: str
    max_calls: Annotated[int | None, Field(description="calls at a time in each project; null: no limit")] = None
    starts_per_second: Annotated[int | None, Field(description="in each project; null: no limit")] = None
    out_of_service_until: Annotated[Instant | None, Field(description="not asked before")] = None
    substitute_agent_name: Annotated[str | None, Field(description="asked in its place meanwhile")] = None
    note: str = ""
    updated_at: Instant | None = None
    updated_by: str | None = None
    version: Annotated[int, Field(description="of its latest change; the ETag")] = 0
    problems: Annotated[tuple[str, ...], Field(description="what in its row, written by SQL, cannot be used")] = ()

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    @property
    def is_stored(self) -> bool:
        """Whether it has a row."""
        return self.updated_at is not None

    @property
    def has_settings(self) -> bool:
        """Whether anything but a note is set."""
        return any(getattr(self, name) is not None for name in EDITABLE[:-1])

    def is_out_of_service(self, now: datetime) -> bool:
        """Return whether the agent is not to be asked at `now`."""
        return is_before_end(self.out_of_service_until, now)

    @property
    def is_out_indefinitely(self) -> bool:
        """Whether the agent is out of service until it is put back."""
        return is_indefinite(self.out_of_service_until)


def list_agents(connection: Connection) -> list[Agent]:
    """Return every agent that has a row, by name."""
    latest = select(agent_changes.c.agent_name, func.max(agent_changes.c.id).label("version"))
    found = connection.execute(latest.group_by(agent_changes.c.agent_name))
    versions = {row.agent_name: row.version for row in found}
    rows = connection.execute(_ROWS.order_by(agents.c.agent_name)).mappings().all()
    times = unreadable_times(connection, "agents", "agent_name")
    return [_agent(row, versions.get(row["agent_name"], 0), times) for row in rows]


def stored_agent(connection: Connection, agent_name: str) -> Agent:
    """Return an agent; one without a row has the defaults, and the version of its last change."""
    version = connection.scalar(select(func.max(agent_changes.c.id)).where(agent_changes.c.agent_name == agent_name))
    row = connection.execute(_ROWS.where(agents.c.agent_name == agent_name)).mappings().one_or_none()
    if row is None:
        return Agent(agent_name, version=version or 0)
    return _agent(row, version or 0, unreadable_times(connection, "agents", "agent_name"))


_ROWS = select(*(column for column in agents.c if column.name != "out_of_service_until"), END_AS_TEXT.label("until"))


def _agent(row: RowMapping, version: int, times: Mapping[str, Sequence[Problem]]) -> Agent:
    name, until = row["agent_name"], read_end(row["until"])
    values = {each: row[each] for each in ("agent_name", *EDITABLE) if each != "out_of_service_until"}
    problems = [*check_agent({**values, "out_of_service_until": until}), *times.get(name, ())]
    return Agent(
        name,
        row["max_calls"],
        row["starts_per_second"],
        until,
        row["substitute_agent_name"],
        row["note"],
        row["updated_at"],
        row["updated_by"],
        version,
        tuple(map(str, problems)),
    )


def rows_of_agents(connection: Connection) -> list[dict[str, Any]]:
    """Return what is set for each agent as a row of plain values, with the columns that people write."""
    return [
        {
            "agent_name": agent.agent_name,
            **{name: getattr(agent, name) for name in EDITABLE},
            "out_of_service_until": agent.out_of_service_until and format_instant(agent.out_of_service_until),
        }
        for agent in list_agents(connection)
    ]


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as `rows_of_agents` does, with the defaults of columns that are left out."""
    completed = {"agent_name": row.get("agent_name"), **{name: row.get(name, DEFAULTS[name]) for name in EDITABLE}}
    return {**completed, "out_of_service_until": canonical_instant(completed["out_of_service_until"])}


def check_agent(row: Mapping[str, Any]) -> list[Problem]:
    """Return all problems of what is to be set for an agent; empty when it may be saved."""
    values = {name: value for name, value in row.items() if name != "agent_name"}
    if "agent_name" not in row:
        return [Problem("agent_name", "is required"), *_read(None, values)[1]]
    return [*_check_name("agent_name", row["agent_name"]), *_read(row["agent_name"], values)[1]]


def checked(agent_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values to store for these columns; raises InvalidInputError with every problem."""
    stored, problems = _read(agent_name, values)
    problems = _check_name("agent_name", agent_name) + problems
    if problems:
        raise InvalidInputError("this agent cannot be saved", problems)
    return stored


def _read(agent_name: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return what to store for these columns of the agent, and what is wrong with them."""
    problems: list[Problem] = []
    stored: dict[str, Any] = {}
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            message = "is no field of an agent; fields are " + ", ".join(EDITABLE)
            problems.append(Problem(name[:100] or '""', message, suggestion=nearest(name, EDITABLE)))
            continue
        found = [] if value is None and name != "note" else check(name, value)
        problems += found
        if not found:
            stored[name] = _read_instant(value) if name == "out_of_service_until" else value
    substitute = stored.get("substitute_agent_name")
    if substitute is not None and substitute == agent_name:
        problems.append(Problem("substitute_agent_name", "must be another agent", substitute))
    return stored, problems


def _check_name(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [Problem(path, "must be the name of an agent", value)]
    if not 1 <= len(value) <= MAX_AGENT_NAME or not value.isprintable() or value != value.strip():
        return [
            Problem(
                path,
                f"must have 1 to {MAX_AGENT_NAME} printable characters, none of them white space at the ends",
                value[:100],
            )
        ]
    return []


def _whole_number(least: int, most: int) -> Callable[[str, Any], list[Problem]]:
    def check(path: str, value: Any) -> list[Problem]:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return []
        return [Problem(path, f"must be a whole number from {least} to {most}, or null", value)]

    return check


def _check_instant(path: str, value: Any) -> list[Problem]:
    try:
        instant = _read_instant(value)
    except (ValueError, TypeError, OverflowError):
        instant = None
    if instant is None or not 1970 <= instant.year <= 9999:
        return [Problem(path, "must be a time such as 2026-11-26T18:00:00Z, or null", str(value)[:100])]
    return []


def _read_instant(value: Any) -> datetime | None:
    if isinstance(value, str):
        return parse_instant(value)
    return value if isinstance(value, datetime) else None


def _check_note(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION:
        return [Problem(path, f"must be text of at most {MAX_DESCRIPTION} characters")]
    return [] if is_storable(value) else [Problem(path, UNSTORABLE_MESSAGE)]


_CHECKS: Final[Mapping[str, Callable[[str, Any], list[Problem]]]] = {
    "max_calls": _whole_number(0, MAX_CALLS),
    "starts_per_second": _whole_number(1, MAX_STARTS_PER_SECOND),
    "out_of_service_until": _check_instant,
    "substitute_agent_name": _check_name,
    "note": _check_note,
}
