"""Rows of `agents` as they are shown and edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, RowMapping, func, select

from app.agents.agent_check import EDITABLE, check_agent
from app.agents.agent_limits import is_before_end, is_indefinite, read_end, read_number
from app.db.editing.effects import with_effects
from app.db.editing.unreadable_times import unreadable_times
from app.db.tables import agent_changes, agents
from app.db.tables.agents import END_AS_TEXT
from app.db.types import format_instant
from app.errors import Problem
from app.json_shape import Instant, JsonShape
from app.translation import translatable


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


_EFFECTS: Final = {
    "out_of_service_until": translatable("the agent is in service"),
    "substitute_agent_name": translatable("it is asked by the name as it is written"),
    "updated_at": translatable("the rest of the row is used"),
}


def _agent(row: RowMapping, version: int, times: Mapping[str, Sequence[Problem]]) -> Agent:
    name, until = row["agent_name"], read_end(row["until"])
    values = {each: row[each] for each in ("agent_name", *EDITABLE) if each != "out_of_service_until"}
    problems = [*check_agent({**values, "out_of_service_until": until}), *times.get(name, ())]
    most, rate = read_number(row["max_calls"]), read_number(row["starts_per_second"])
    effects = {
        **_EFFECTS,
        "max_calls": translatable("%(value)s is used", value=most),
        "starts_per_second": translatable("%(value)s is used", value=rate),
    }
    return Agent(
        name,
        most,
        rate,
        until,
        row["substitute_agent_name"],
        row["note"],
        row["updated_at"],
        row["updated_by"],
        version,
        tuple(with_effects(problems, effects)),
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
