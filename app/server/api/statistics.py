"""Figures over the API: time to agent, objectives, agents and their probes, uses of rules."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.audit import MAX_OBJECTIVES, known_agents, last_hits, latest_probes, probes_of
from app.db.types import format_instant
from app.server.api.endpoint import ApiRequest, Model, Text
from app.server.caches.objectives_cache import PAGE_WINDOWS

MAX_HOURS: Final = 24 * 31
"""How far back a request may ask: a month."""


class WindowQuery(Model):
    hours: float = Field(24, gt=0, le=MAX_HOURS, description="how far back")
    agent: Text | None = None
    rule: Text | None = Field(None, description="name of the rule")


class Waits(BaseModel):
    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Column(BaseModel):
    up_to_seconds: float | None
    count: int


class Figures(BaseModel):
    dispatches: int
    waiting: int
    arrived: int
    no_shows: int
    failed: int
    abandoned: int = Field(description="the caller left before an agent came")
    cancelled: int
    fallbacks: int
    no_show_share: float | None
    abandoned_share: float | None
    fallback_share: float | None
    seconds_to_agent: Waits
    seconds_given_up: Waits
    histogram: list[Column]


class AgentFigures(Figures):
    agent: str


class RuleFigures(Figures):
    rule: str


class ObjectiveWindow(BaseModel):
    hours: float = Field(description="until now: 1, 24, and the hours asked for")
    calls: int = Field(description="that count: an agent came or nobody did, or they waited longer than `seconds`")
    missed: int
    share: float | None = Field(description="that had their agent in time; null without calls")
    burn_rate: float | None = Field(description="missed share ÷ share that may miss; above 1 the objective is missed")
    is_cut: bool = Field(description="whether only the latest dispatches were counted")
    counted_at: datetime = Field(
        description="counts are kept for some seconds; long windows, where counting them takes long, for minutes"
    )


class Objective(BaseModel):
    rule_id: int
    rule: str
    agent: str
    percent: float
    seconds: float
    windows: list[ObjectiveWindow] = Field(description="the shortest first")


class Statistics(BaseModel):
    since: datetime
    as_of: datetime = Field(description="when the figures were looked up; they are kept for some seconds")
    is_cut: bool = Field(description="whether only the latest dispatches were counted")
    overall: Figures
    agents: list[AgentFigures]
    rules: list[RuleFigures]
    objectives: list[Objective] = Field(
        description=f"of enabled rules that have one, in matching order; of the first {MAX_OBJECTIVES} such rules"
    )
    objectives_are_cut: bool = Field(description="whether more rules have an objective")


class Seen(BaseModel):
    name: str
    last_at: datetime | None


class SeenRules(BaseModel):
    items: list[Seen]


class Probe(BaseModel):
    id: str
    project: str
    agent_name: str
    started_at: datetime
    finished_at: datetime | None
    arrived: bool | None = Field(description="null while it is under way, or was never known")
    milliseconds_to_agent: int | None
    detail: str


class Probes(BaseModel):
    items: list[Probe]


class SeenAgent(Seen):
    latest_probe: Probe | None = Field(description="the latest with a result")


class SeenAgents(BaseModel):
    items: list[SeenAgent]


class ProbesQuery(Model):
    agent: Text
    limit: int = Field(20, ge=1, le=200)


async def read_statistics(request: ApiRequest) -> dict[str, Any]:
    query: WindowQuery = request.query
    found, kept = await asyncio.gather(
        request.context.statistics.get(query.hours, agent=query.agent, rule=query.rule),
        request.context.objectives.get((*PAGE_WINDOWS, query.hours), agent=query.agent, rule=query.rule),
    )
    objectives = [one.to_json() for one in kept.items]
    return {**found.to_json(), "objectives": objectives, "objectives_are_cut": kept.is_cut}


async def list_agents(request: ApiRequest) -> dict[str, Any]:
    seen, probed = await request.context.read(lambda connection: (known_agents(connection), latest_probes(connection)))
    last_at = dict.fromkeys(probed) | {one.name: one.last_at for one in seen}
    return {
        "items": [
            {**_seen_json(name, at), "latest_probe": probed[name].to_json() if name in probed else None}
            for name, at in sorted(last_at.items())
        ]
    }


async def list_probes(request: ApiRequest) -> dict[str, Any]:
    query: ProbesQuery = request.query
    found = await request.context.read(lambda connection: probes_of(connection, query.agent, query.limit))
    return {"items": [probe.to_json() for probe in found]}


async def list_rule_hits(request: ApiRequest) -> dict[str, Any]:
    def load(connection: Connection) -> dict[str, datetime | None]:
        return last_hits(connection, [rule.name for rule in request.context.book(connection).rules[:500]])

    found = await request.context.read(load)
    return {"items": [_seen_json(name, at) for name, at in found.items()]}


def _seen_json(name: str, last_at: datetime | None) -> dict[str, Any]:
    return {"name": name, "last_at": None if last_at is None else format_instant(last_at)}
