"""The page Agents: how soon each comes, how often not."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import (
    CallFilter,
    Figures,
    LastUse,
    Percentiles,
    Probe,
    known_agents,
    latest_probes,
    list_calls,
    probes_of,
)
from app.server.console.charts import histogram_of
from app.server.console.framework import Front, Visit, page
from app.server.objectives_cache import PATIENCE_S, SHOWN

WINDOWS: Final = {"1": "last hour", "24": "last 24 hours", "168": "last 7 days", "720": "last 30 days"}
_PROBES_SHOWN: Final = 10


def agents_routes(front: Front) -> list[BaseRoute]:
    """Return the routes of the page Agents."""
    return [
        page(front, "/console/agents", show_agents),
        page(front, "/console/agents/{name:path}", show_agent),
    ]


async def show_agents(visit: Visit) -> Response:
    hours, office = _hours(visit), visit.office
    found, objectives, (seen, probed) = await asyncio.gather(
        office.figures.get(int(hours)),
        office.objectives.get((*SHOWN, int(hours)), patience_s=PATIENCE_S),
        office.read(lambda connection: (known_agents(connection), latest_probes(connection))),
    )
    seen += [LastUse(name, None) for name in probed if name not in {one.name for one in seen}]
    lines = [_line(one, found.by_agent.get(one.name, Figures()), probed.get(one.name)) for one in seen]
    lines.sort(key=lambda line: -line["figures"].dispatches)
    facts: dict[str, Any] = {
        "lines": lines,
        "found": found,
        "objectives": objectives,
        "hours": hours,
        "windows": WINDOWS,
    }
    return visit.page("agents.html", active="agents", **facts)


async def show_agent(visit: Visit) -> Response:
    name, hours, office = visit.request.path_params["name"], _hours(visit), visit.office

    def question(connection: Connection) -> dict[str, Any]:
        return {
            "calls": list_calls(connection, CallFilter(agent=name), limit=20).items,
            "probes": probes_of(connection, name, _PROBES_SHOWN),
        }

    facts, found, objectives = await asyncio.gather(
        office.read(question),
        office.figures.get(int(hours), agent=name),
        office.objectives.get((*SHOWN, int(hours)), agent=name, patience_s=PATIENCE_S),
    )
    facts |= {
        "found": found,
        "figures": found.overall,
        "waits": Percentiles.of(found.overall.seconds_to_agent),
        "given_up": Percentiles.of(found.overall.seconds_given_up),
        "histogram": histogram_of(found.overall),
        "objectives": objectives,
    }
    return visit.page("agent.html", active="agents", name=name, hours=hours, windows=WINDOWS, **facts)


def _hours(visit: Visit) -> str:
    hours = visit.field("hours", "24")
    return hours if hours in WINDOWS else "24"


def _line(seen: LastUse, figures: Figures, probe: Probe | None) -> dict[str, Any]:
    return {
        "probe": probe,
        "name": seen.name,
        "last_at": seen.last_at,
        "figures": figures,
        "waits": Percentiles.of(figures.seconds_to_agent),
        "no_show_share": figures.share(figures.no_shows),
        "abandoned_share": figures.share(figures.abandoned),
    }
