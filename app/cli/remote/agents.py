"""Agents over the API: list, change, history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.agents.agent_check import checked
from app.agents.agent_history import AgentChange
from app.agents.stored_agents import Agent
from app.cli.remote.server import ANY_VERSION, Server, path_of, read_as
from app.db.types import format_instant
from app.errors import NotFoundError


def list_agents(server: Server) -> tuple[list[Agent], Counter[str], Counter[str], set[str]]:
    """Return the agents by name, how many calls each has, how many callers wait for it, and the unused ones."""
    items = server.get("/agents")["items"]
    calls = Counter({one["agent_name"]: one["calls"] for one in items})
    waiting = Counter({one["agent_name"]: one["waiting"] for one in items})
    unused = {one["agent_name"] for one in items if one.get("is_unused")}
    return [read_as(Agent, one) for one in items], calls, waiting, unused


def read_agent(server: Server, agent_name: str) -> Agent:
    """Return what is set for an agent; the defaults for one that is not known."""
    try:
        return read_as(Agent, server.get(path_of("agents", agent_name)))
    except NotFoundError:
        return Agent(agent_name)


def change_agent(server: Server, agent_name: str, columns: Mapping[str, Any]) -> tuple[Agent, list[str]]:
    """Change columns of an agent; return what is set then, and warnings. InvalidInputError as for the database."""
    checked(agent_name, columns)
    body = {name: format_instant(value) if isinstance(value, datetime) else value for name, value in columns.items()}
    answer = server.send("PATCH", path_of("agents", agent_name), body, if_match=ANY_VERSION)
    return read_as(Agent, answer), [str(one) for one in answer.get("warnings", ())]


def forget_agent(server: Server, agent_name: str) -> Agent:
    """Forget an agent, and return what was set for it; ConflictError with what names it."""
    return read_as(Agent, server.send("POST", path_of("agents", agent_name, "forget")))


def agent_history(server: Server, agent_name: str | None, limit: int) -> list[AgentChange]:
    """Return the latest changes of an agent, or of all."""
    path = "/agents/history" if agent_name is None else path_of("agents", agent_name, "history")
    return server.history(path, AgentChange, limit)
