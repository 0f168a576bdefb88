"""Statistics, health, simulation and the token server's question over the API."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.audit.probes import latest_probes, probes_of
from app.audit.statistics import known_agents, last_hits
from app.db.types import format_instant
from app.errors import InvalidInputError, Problem
from app.pipeline.decide import Promise, decide
from app.plan.promise import Expected
from app.rules.file import read_rules_file
from app.server.api.endpoint import Call, Model, Text, require_object
from app.server.dry_runs import simulate_draft
from app.server.health import HealthDoor

MOST_HOURS = 24 * 31


class WindowQuery(Model):
    hours: float = Field(24, gt=0, le=MOST_HOURS, description="how far back")
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


class Objective(BaseModel):
    rule_id: int
    rule: str
    agent: str
    percent: float
    seconds: float
    windows: list[ObjectiveWindow] = Field(description="the shortest first")


class Statistics(BaseModel):
    since: datetime
    is_cut: bool = Field(description="whether only the latest dispatches were counted")
    overall: Figures
    agents: list[AgentFigures]
    rules: list[RuleFigures]
    objectives: list[Objective] = Field(description="of enabled rules that have one, in matching order")


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


class Example(BaseModel):
    event_id: str
    occurred_at: datetime
    room_name: str
    participant_identity: str
    why: str


class Group(BaseModel):
    effect: str
    agents_before: list[str]
    agents_after: list[str]
    rules_before: list[str]
    rules_after: list[str]
    events: int
    examples: list[Example]


class Simulation(BaseModel):
    events: int
    changes: int
    effects: dict[str, int]
    groups: list[Group]


class Room(Model):
    name: Text = Field(min_length=1, max_length=256)
    metadata: Text | dict[str, Any] = Field("", description="the text of the room's metadata, or the object in it")


class Participant(Model):
    identity: Text = Field(min_length=1, max_length=256)
    name: Text = ""
    kind: str = Field("STANDARD", pattern="^(STANDARD|SIP|CONNECTOR|BRIDGE)$")
    metadata: Text | dict[str, Any] = Field("", description="the text of the metadata, or the object in it")
    attributes: dict[Text, Text] = Field({})


class DecideOrder(Model):
    """A participant for whom an access token is being made."""

    participant: Participant
    room: Room
    project: Text | None = Field(None, description="LiveKit project; needed only when there are several")


class PromisedAgent(BaseModel):
    id: str = Field(description="of the dispatch to come; it rides in the attributes")
    rule: str
    agent_name: str
    metadata: str
    attributes: dict[str, str]
    deployment: str | None
    failure: str | None = Field(description="why this agent cannot be sent; leave it out of the token")


class Decided(BaseModel):
    rules_version: int
    agents: list[PromisedAgent] = Field(description="for `RoomConfiguration.agents` of the access token")


class Health(BaseModel):
    status: str
    database: dict[str, Any]
    rules: dict[str, Any]
    writer_backlog: int


async def read_statistics(call: Call) -> dict[str, Any]:
    query: WindowQuery = call.query
    found = await call.office.figures.get(query.hours, agent=query.agent, rule=query.rule)
    return found.to_json()


async def list_agents(call: Call) -> dict[str, Any]:
    seen, probed = await call.office.read(lambda connection: (known_agents(connection), latest_probes(connection)))
    last_at = dict.fromkeys(probed) | {one.name: one.last_at for one in seen}
    return {
        "items": [
            {**_seen_json(name, at), "latest_probe": probed[name].to_json() if name in probed else None}
            for name, at in sorted(last_at.items())
        ]
    }


async def list_probes(call: Call) -> dict[str, Any]:
    query: ProbesQuery = call.query
    found = await call.office.read(lambda connection: probes_of(connection, query.agent, query.limit))
    return {"items": [probe.to_json() for probe in found]}


async def list_rule_hits(call: Call) -> dict[str, Any]:
    def question(connection: Connection) -> dict[str, datetime | None]:
        return last_hits(connection, [rule.name for rule in call.office.book(connection).rules[:500]])

    found = await call.office.read(question)
    return {"items": [_seen_json(name, at) for name, at in found.items()]}


async def simulate_rules(call: Call) -> dict[str, Any]:
    order = require_object(call.body)
    known = {"rules", "delete", "hours"}
    problems = [Problem(name, "is not known here") for name in order if name not in known]
    hours, delete = order.get("hours", 24), order.get("delete", False)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MOST_HOURS:
        problems.append(Problem("hours", f"must be a number of hours up to {MOST_HOURS}", hours))
    if not isinstance(delete, bool):
        problems.append(Problem("delete", "must be true or false", delete))
    if problems:
        raise InvalidInputError("body", problems)
    wanted = read_rules_file(json.dumps({"rules": order.get("rules")}), format_="json").rules
    return (await simulate_draft(call.office, wanted, delete=delete, hours=hours)).to_json()


async def decide_for_a_token(call: Call) -> dict[str, Any]:
    order: DecideOrder = call.body
    office = call.office
    projects = [project.name for project in office.context.settings.projects]
    project = order.project if order.project is not None or len(projects) != 1 else projects[0]
    if project not in projects:
        message = "is none of the LiveKit projects: " + ", ".join(projects)
        raise InvalidInputError("body", [Problem("project", message, order.project)])
    participant = order.participant
    expected = Expected(
        project=project,
        room_name=order.room.name,
        room_metadata=_metadata(order.room.metadata),
        identity=participant.identity,
        name=participant.name,
        kind=participant.kind,
        metadata=_metadata(participant.metadata),
        attributes=participant.attributes,
    )
    book = await office.read(office.book)
    promises = await decide(office.context, book, expected)
    return {"rules_version": book.version, "agents": [_promise_json(one) for one in promises]}


async def read_health(call: Call) -> Any:
    door = HealthDoor(call.office.desk, call.office.readers)
    return await door.details()


def _promise_json(promise: Promise) -> dict[str, Any]:
    return {
        "id": promise.id,
        "rule": promise.rule,
        "agent_name": promise.agent_name,
        "metadata": promise.metadata,
        "attributes": dict(promise.attributes),
        "deployment": promise.deployment,
        "failure": promise.failure,
    }


def _metadata(given: str | dict[str, Any]) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def _seen_json(name: str, last_at: datetime | None) -> dict[str, Any]:
    return {"name": name, "last_at": None if last_at is None else format_instant(last_at)}
