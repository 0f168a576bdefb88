"""The page Trends: calls, time to agent, no-shows and queues over time, with the changes of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import OverTime, known_agents, known_rules
from app.server.access.own_projects import own_rules
from app.server.console.figures.time_windows import WINDOWS, hours_of
from app.server.console.framework import Console, PageRequest, page_route


@dataclass(frozen=True, slots=True)
class _View:
    """What the page is asked to show; empty: all agents, all rules."""

    hours: str
    agent: str
    rule: str


def trends_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Trends and of its part that the script refreshes."""
    return [
        page_route(console, "/console/trends", show_trends, by_project=True),
        page_route(console, "/console/trends/part", refresh, by_project=True),
    ]


async def show_trends(request: PageRequest) -> Response:
    view = _view(request)
    facts = await _facts(request, view)
    agents: list[str] = []
    rules: list[str] = []
    if request.signed_in.projects is None:  # the names of all projects
        seen, rules = await request.context.read(lambda connection: (known_agents(connection), known_rules(connection)))
        agents = [one.name for one in seen]
    if view.agent and view.agent not in agents:
        agents.append(view.agent)
    if view.rule and view.rule not in rules:
        rules.append(view.rule)
    return request.page("trends.html", active="trends", agents=agents, rules=rules, **facts)


async def refresh(request: PageRequest) -> Response:
    return request.fragment("trends_part.html", **await _facts(request, _view(request)))


async def _facts(request: PageRequest, view: _View) -> dict[str, Any]:
    found = await _figures(request, view)
    points = found.points
    return {
        "view": view,
        "windows": WINDOWS,
        "found": found,
        "figures": found.to_json(),
        "sums": {
            name: sum(getattr(one, name) for one in points) for name in ("calls", "dispatches", "arrived", "no_shows")
        },
        "highest_queue": max(one.queue_length for one in points),
        "has_history": request.signed_in.projects is None,
    }


async def _figures(request: PageRequest, view: _View) -> OverTime:
    projects = request.signed_in.projects
    allowed = None if projects is None else frozenset(projects)
    return await request.context.over_time.get(
        int(view.hours),
        agent=view.agent or None,
        rule=view.rule or None,
        projects=allowed,
        rule_ids=await own_rules(request.context, allowed),
    )


def _view(request: PageRequest) -> _View:
    names = (request.field(name).strip()[:256] for name in ("agent", "rule"))
    return _View(hours_of(request), *names)
