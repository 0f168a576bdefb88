"""The page Trends: calls, time to agent, no-shows and queues over time, with the changes of rules."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import JSONResponse, Response
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
    """Return the routes of the page Trends and of the figures that its script draws."""
    return [
        page_route(console, "/console/trends", show_trends, by_project=True),
        page_route(console, "/console/trends.json", read_trends, by_project=True),
    ]


async def show_trends(request: PageRequest) -> Response:
    view = _view(request)
    found = await _figures(request, view)
    agents: list[str] = []
    rules: list[str] = []
    if request.signed_in.projects is None:  # the names of all projects
        seen, rules = await request.context.read(lambda connection: (known_agents(connection), known_rules(connection)))
        agents = [one.name for one in seen]
    if view.agent and view.agent not in agents:
        agents.append(view.agent)
    if view.rule and view.rule not in rules:
        rules.append(view.rule)
    points = found.points
    return request.page(
        "trends.html",
        active="trends",
        view=view,
        windows=WINDOWS,
        agents=agents,
        rules=rules,
        found=found,
        sums={
            name: sum(getattr(one, name) for one in points) for name in ("calls", "dispatches", "arrived", "no_shows")
        },
        highest_queue=max(one.queue_length for one in points),
        has_history=request.signed_in.projects is None,
    )


async def read_trends(request: PageRequest) -> Response:
    """Return the figures as `/api/v1/statistics/over-time` does."""
    return JSONResponse((await _figures(request, _view(request))).to_json())


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
