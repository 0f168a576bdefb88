"""Results of probes: whether an agent joined a throw-away room, on request or on a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection, func, select

from app.audit.records.record_types import columns_of
from app.audit.statistics.names import names
from app.db.tables import probes
from app.json_shape import Instant, JsonShape


@dataclass(frozen=True, slots=True)
class Probe(JsonShape):
    """One dispatch into a throw-away room, to see whether the agent joins."""

    id: str
    project: str
    agent_name: str
    started_at: Instant
    finished_at: Instant | None
    arrived: Annotated[bool | None, Field(description="null while it is under way, or was never known")]
    milliseconds_to_agent: int | None
    detail: str

    @property
    def seconds_to_agent(self) -> float | None:
        return None if self.milliseconds_to_agent is None else self.milliseconds_to_agent / 1000


_COLUMNS = tuple(probes.c[name] for name in columns_of(Probe))


def probes_of(connection: Connection, agent_name: str, limit: int) -> list[Probe]:
    """Return the latest probes of an agent, newest first."""
    query = select(*_COLUMNS).where(probes.c.agent_name == agent_name).order_by(probes.c.id.desc()).limit(limit)
    return [Probe(*row) for row in connection.execute(query)]


def latest_probes(connection: Connection) -> dict[str, Probe]:
    """Return the latest probe with a result of every agent that was ever probed, by the agent's name."""
    found: dict[str, Probe] = {}
    for agent_name in names(connection, probes.c.agent_name):
        latest = (
            select(func.max(probes.c.id))
            .where(probes.c.agent_name == agent_name, probes.c.arrived.is_not(None))
            .scalar_subquery()
        )
        for row in connection.execute(select(*_COLUMNS).where(probes.c.id == latest)):
            found[agent_name] = Probe(*row)
    return found
