"""Statistics over the API: time to agent, objectives, agents and their probes, use of rules."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.audit import (
    MAX_OBJECTIVES,
    DispatchStatistics,
    Objective,
    Probe,
    Seen,
    last_hits,
    probes_of,
)
from app.server.access.own_projects import own_rules
from app.server.api.framework.endpoint import ApiRequest, Model, Text
from app.server.caches.objectives_cache import PAGE_WINDOWS

MAX_HOURS: Final = 24 * 31
"""How far back a request may ask: a month."""


class WindowQuery(Model):
    hours: float = Field(24, gt=0, le=MAX_HOURS, description="how far back")
    agent: Text | None = None
    rule: Text | None = Field(None, description="name of the rule")


@dataclass(frozen=True, slots=True)
class Statistics(DispatchStatistics):
    """Figures of dispatches, and how objectives were kept."""

    objectives: Annotated[
        tuple[Objective, ...],
        Field(
            description=f"of enabled rules that have one, in matching order; of the first {MAX_OBJECTIVES} such rules"
        ),
    ]
    objectives_are_cut: Annotated[bool, Field(description="whether more rules have an objective")]


class SeenRules(BaseModel):
    items: list[Seen]


class Probes(BaseModel):
    items: list[Probe]


class ProbesQuery(Model):
    agent: Text
    limit: int = Field(20, ge=1, le=200)


async def read_statistics(request: ApiRequest) -> dict[str, Any]:
    query: WindowQuery = request.query
    found, kept = await asyncio.gather(
        request.context.statistics.get(query.hours, agent=query.agent, rule=query.rule, projects=request.user.projects),
        request.context.objectives.get((*PAGE_WINDOWS, query.hours), agent=query.agent, rule=query.rule),
    )
    own = await own_rules(request.context, request.user.projects)
    objectives = [one.to_json() for one in kept.items if own is None or one.rule_id in own]
    return {**found.to_json(), "objectives": objectives, "objectives_are_cut": kept.is_cut}


async def list_probes(request: ApiRequest) -> dict[str, Any]:
    query: ProbesQuery = request.query
    found = await request.context.read(lambda connection: probes_of(connection, query.agent, query.limit))
    return {"items": [probe.to_json() for probe in found]}


async def list_rule_hits(request: ApiRequest) -> dict[str, Any]:
    def load(connection: Connection) -> dict[str, datetime | None]:
        return last_hits(connection, [rule.name for rule in request.context.book(connection).rules[:500]])

    found = await request.context.read(load)
    return {"items": [Seen(name, at).to_json() for name, at in found.items()]}
