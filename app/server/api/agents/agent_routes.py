"""The endpoints about agents and queues."""

from __future__ import annotations

from typing import Final

from app.accounts.roles import Role
from app.agents.stored_agents import Agent
from app.audit import QueueOverview
from app.server.api.agents import agents, probe
from app.server.api.framework.endpoint import Endpoint

_AGENT: Final = "/api/v1/agents/{agent_name}"

AGENT_ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("GET", "/api/v1/agents", agents.list_the_agents,
             "List agents with their limits, their load, their last dispatch and their latest probe", agents.Agents),
    Endpoint("GET", _AGENT, agents.read_an_agent, "Read what is set for an agent", agents.AgentState, etag=True),
    Endpoint("PATCH", _AGENT, agents.change_an_agent, "Change limits of an agent, or take it out of service",
             agents.AgentState, etag=True, if_match=True, body=agents.AgentChanges, problems=(409,),
             example={"max_calls": 20}, body_is_checked_by_handler=True, role=Role.EDITOR),
    Endpoint("PUT", _AGENT, agents.replace_an_agent, "Set everything of an agent", agents.AgentState, etag=True,
             if_match=True, body=agents.AgentDraft, problems=(409,), body_is_checked_by_handler=True,
             example={"max_calls": 20, "substitute_agent_name": "reception"}, role=Role.EDITOR,
             description="An agent for which nothing is set yet is at version 0."),
    Endpoint("DELETE", _AGENT, agents.remove_settings_of_an_agent, "Remove all that is set for an agent", Agent,
             role=Role.EDITOR, if_match=True, problems=(404, 409), description="Its history stays."),
    Endpoint("POST", f"{_AGENT}/forget", agents.forget_an_unused_agent,
             "Forget an agent: delete what is set for it, and its probes", Agent, role=Role.EDITOR, problems=(404, 409),
             description="409, with what names it, while a rule, another agent, a dispatch under way or "
             "USHER_CANARY_AGENTS does. Its history stays."),
    Endpoint("POST", f"{_AGENT}/probe", probe.probe_an_agent,
             "Dispatch an agent into a room of its own, and time its arrival", probe.ProbeOutcome,
             body=probe.ProbeOrder, role=Role.EDITOR, problems=(429,), example={"timeout_s": 10},
             description="Answers once the agent has joined, or the time is over; its room is closed again. The agent "
             'gets `{"usher": {"probe": id}}` as its metadata.'),
    Endpoint("GET", f"{_AGENT}/history", agents.list_changes_of_an_agent, "List the changes of an agent",
             agents.AgentHistory, query=agents.AgentHistoryQuery),
    Endpoint("GET", "/api/v1/agents/history", agents.list_changes_of_agents, "List the changes of all agents",
             agents.AgentHistory, query=agents.AgentHistoryQuery),
    Endpoint("GET", "/api/v1/queue", agents.read_the_queue,
             "List the callers who wait for a place with an agent, with position and expected wait", QueueOverview,
             query=agents.QueueQuery, shows_people=True, by_project=True),
)  # fmt: skip
