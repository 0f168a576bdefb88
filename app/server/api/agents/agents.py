"""Agents over the API: their limits, whether they are in service, their queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from app.agents.agent_history import AgentChange, agent_history
from app.agents.edit_agent import change_agent, remove_settings
from app.agents.stored_agents import Agent, list_agents, stored_agent
from app.audit import (
    MAX_WAITING,
    Probe,
    known_agents,
    latest_probes,
    load_of_agents,
    queue_overview,
    unused_agents,
    warnings_about_agents,
)
from app.db.columns.queue_columns import MAX_CALLS, MAX_STARTS_PER_SECOND
from app.db.rule_columns import MAX_AGENT_NAME, MAX_DESCRIPTION
from app.errors import NotFoundError
from app.flows.operations.forget_agent import forget_agent
from app.json_shape import Instant
from app.server.api.framework.endpoint import Answer, ApiRequest, Model, require_object, required_version

_ONE_LINE = r"^[!-~]([ -~]*[!-~])?$"


class AgentDraft(BaseModel):
    """What is set for an agent; what is left out has its default."""

    max_calls: int | None = Field(None, ge=0, le=MAX_CALLS, description="calls at a time in each project")
    starts_per_second: int | None = Field(None, ge=1, le=MAX_STARTS_PER_SECOND, description="in each project")
    out_of_service_until: datetime | None = Field(None, description="not asked before; null or past: in service")
    substitute_agent_name: str | None = Field(
        None, min_length=1, max_length=MAX_AGENT_NAME, pattern=_ONE_LINE, description="asked in its place meanwhile"
    )
    note: str = Field("", max_length=MAX_DESCRIPTION)


class AgentRow(AgentDraft):
    """What a rules file says about an agent."""

    agent_name: str = Field(min_length=1, max_length=MAX_AGENT_NAME, pattern=_ONE_LINE)


class AgentChanges(AgentDraft):
    """Columns of an agent to change; the others stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState(Agent):
    """What is set for an agent, and its current load."""

    in_service: bool
    calls: Annotated[int, Field(description="that it has now, or that are being sent to it")]
    waiting: Annotated[int, Field(description="callers in its queue")]
    warnings: Annotated[
        list[str], Field(description="its name or that of its substitute, if no dispatch has asked for it")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent(AgentState):
    """An agent that dispatches name, probes were made of, or something is set for."""

    name: Annotated[str, Field(description="the same as `agent_name`")]
    last_at: Annotated[Instant | None, Field(description="when the latest dispatch of it was created")]
    latest_probe: Annotated[Probe | None, Field(description="the latest probe with a result")]
    is_unused: Annotated[bool, Field(description="it has never joined, and no rule, agent or dispatch names it")]


class Agents(BaseModel):
    items: list[ListedAgent]


class AgentHistory(BaseModel):
    items: list[AgentChange]
    next_before_version: int | None = Field(description="ask with this as `before_version` for older changes")


class AgentHistoryQuery(Model):
    limit: int = Field(50, ge=1, le=200)
    before_version: int | None = Field(None, ge=0, le=2**53, description="only changes before this version")


class QueueQuery(Model):
    limit: int = Field(200, ge=1, le=MAX_WAITING, description="callers that are listed at most")


async def list_the_agents(request: ApiRequest) -> dict[str, Any]:
    now = request.context.now

    def load(connection: Connection) -> list[dict[str, Any]]:
        stored = {one.agent_name: one for one in list_agents(connection)}
        seen, probed = known_agents(connection), latest_probes(connection)
        last_at = dict.fromkeys([*stored, *probed]) | {one.name: one.last_at for one in seen}
        unused = unused_agents(connection, last_at.keys() - {one.name for one in seen})
        calls, waiting = load_of_agents(connection, now)
        warn = partial(warnings_about_agents, connection, known={*probed, *(one.name for one in seen)})
        return [
            ListedAgent(
                **_state(stored.get(name, Agent(name)), now, (calls, waiting), warn),
                name=name,
                last_at=at,
                latest_probe=probed.get(name),
                is_unused=name in unused,
            ).to_json()
            for name, at in sorted(last_at.items())
        ]

    return {"items": await request.context.read(load)}


async def read_an_agent(request: ApiRequest) -> Answer:
    return await _answer(request)


async def change_an_agent(request: ApiRequest) -> Answer:
    return await _change(request, whole=False)


async def replace_an_agent(request: ApiRequest) -> Answer:
    return await _change(request, whole=True)


async def forget_an_unused_agent(request: ApiRequest) -> dict[str, Any]:
    name, editor, now = request.identifier("agent_name"), request.user.name, request.context.now
    scheduled = request.context.flow_context.settings.canary_names
    before = await request.context.write(
        lambda connection: forget_agent(connection, name, editor, now, scheduled=scheduled)
    )
    return before.to_json()


async def remove_settings_of_an_agent(request: ApiRequest) -> dict[str, Any]:
    expected, name, editor = required_version(request, "agent"), request.identifier("agent_name"), request.user.name
    before = await request.context.write(lambda connection: remove_settings(connection, name, editor, expected))
    return before.to_json()


async def list_changes_of_an_agent(request: ApiRequest) -> dict[str, Any]:
    name, query = request.identifier("agent_name"), request.query
    found = await request.context.read(
        lambda connection: agent_history(connection, name, limit=query.limit + 1, before_version=query.before_version)
    )
    return _history(found, query.limit)


async def list_changes_of_agents(request: ApiRequest) -> dict[str, Any]:
    query = request.query
    found = await request.context.read(
        lambda connection: agent_history(connection, limit=query.limit + 1, before_version=query.before_version)
    )
    return _history(found, query.limit)


async def read_the_queue(request: ApiRequest) -> dict[str, Any]:
    now, limit = request.context.now, request.query.limit
    found = await request.context.read(
        lambda connection: queue_overview(connection, now, limit=limit, projects=request.user.projects)
    )
    return found.to_json()


def _history(found: list[AgentChange], limit: int) -> dict[str, Any]:
    shown = found[:limit]
    return {
        "items": [change.to_json() for change in shown],
        "next_before_version": shown[-1].id if len(found) > limit else None,
    }


async def _change(request: ApiRequest, *, whole: bool) -> Answer:
    expected, columns = required_version(request, "agent"), require_object(request.body)
    name, editor = request.identifier("agent_name"), request.user.name
    await request.context.write(
        lambda connection: change_agent(connection, name, columns, editor, expected, whole=whole)
    )
    return await _answer(request)


async def _answer(request: ApiRequest) -> Answer:
    name, now = request.identifier("agent_name"), request.context.now

    def load(connection: Connection) -> AgentState:
        agent = stored_agent(connection, name)
        known = {one.name for one in known_agents(connection)}
        if not agent.is_stored and name not in known:
            raise NotFoundError(f"nothing is set for an agent {name!r}, and no dispatch has named it")
        warn = partial(warnings_about_agents, connection, known=known)
        return AgentState(**_state(agent, now, load_of_agents(connection, now), warn))

    state = await request.context.read(load)
    return Answer(state.to_json(), {"ETag": state.etag})


def _state(
    agent: Agent, now: datetime, load: tuple[Counter[str], Counter[str]], warn: Callable[[list[str | None]], list[str]]
) -> dict[str, Any]:
    calls, waiting = load
    return {
        **asdict(agent),
        "in_service": not agent.is_out_of_service(now),
        "calls": calls[agent.agent_name],
        "waiting": waiting[agent.agent_name],
        "warnings": warn([agent.agent_name, agent.substitute_agent_name]),
    }
