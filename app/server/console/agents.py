"""The page Agents: how soon each agent joins, and how often it does not."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import (
    NO_FIGURES,
    CallFilter,
    Figures,
    Probe,
    Seen,
    known_agents,
    latest_probes,
    list_calls,
    probes_of,
)
from app.server.caches.objectives_cache import PAGE_WAIT_S, PAGE_WINDOWS
from app.server.console.framework import Console, PageRequest, page_route
from app.server.console.histogram import histogram_of

WINDOWS: Final = {"1": "last hour", "24": "last 24 hours", "168": "last 7 days", "720": "last 30 days"}
_PROBES_SHOWN: Final = 10


def agents_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Agents."""
    return [
        page_route(console, "/console/agents", show_agents),
        page_route(console, "/console/agents/{name:path}", show_agent, shows_people=True),
    ]


async def show_agents(request: PageRequest) -> Response:
    hours, context = _hours(request), request.context
    found, objectives, (seen, probed) = await asyncio.gather(
        context.statistics.get(int(hours)),
        context.objectives.get((*PAGE_WINDOWS, int(hours)), wait_at_most_s=PAGE_WAIT_S),
        context.read(lambda connection: (known_agents(connection), latest_probes(connection))),
    )
    seen += [Seen(name, None) for name in probed if name not in {one.name for one in seen}]
    figures: dict[str, Figures] = {one.agent: one for one in found.agents}
    lines = [_line(one, figures.get(one.name, NO_FIGURES), probed.get(one.name)) for one in seen]
    lines.sort(key=lambda line: -line["figures"].dispatches)
    facts: dict[str, Any] = {
        "lines": lines,
        "found": found,
        "objectives": objectives,
        "hours": hours,
        "windows": WINDOWS,
    }
    return request.page("agents.html", active="agents", **facts)


async def show_agent(request: PageRequest) -> Response:
    name, hours, context = request.http.path_params["name"], _hours(request), request.context

    def load(connection: Connection) -> dict[str, Any]:
        return {
            "calls": list_calls(connection, CallFilter(agent=name), limit=20).items,
            "probes": probes_of(connection, name, _PROBES_SHOWN),
        }

    facts, found, objectives = await asyncio.gather(
        context.read(load),
        context.statistics.get(int(hours), agent=name),
        context.objectives.get((*PAGE_WINDOWS, int(hours)), agent=name, wait_at_most_s=PAGE_WAIT_S),
    )
    facts |= {
        "found": found,
        "figures": found.overall,
        "waits": found.overall.seconds_to_agent,
        "given_up": found.overall.seconds_given_up,
        "histogram": histogram_of(found.overall),
        "objectives": objectives,
    }
    return request.page("agent.html", active="agents", name=name, hours=hours, windows=WINDOWS, **facts)


def _hours(request: PageRequest) -> str:
    hours = request.field("hours", "24")
    return hours if hours in WINDOWS else "24"


def _line(seen: Seen, figures: Figures, probe: Probe | None) -> dict[str, Any]:
    return {
        "probe": probe,
        "name": seen.name,
        "last_at": seen.last_at,
        "figures": figures,
        "waits": figures.seconds_to_agent,
        "no_show_share": figures.no_show_share,
        "abandoned_share": figures.abandoned_share,
    }
