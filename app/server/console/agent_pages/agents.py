"""The page Agents: how soon each agent joins, how often it does not, and what it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.agents.agent_check import check_agent
from app.agents.agent_history import agent_history
from app.agents.edit_agent import change_agent
from app.agents.stored_agents import Agent, list_agents, stored_agent
from app.audit import (
    NO_FIGURES,
    CallFilter,
    Figures,
    Probe,
    Seen,
    known_agents,
    latest_probes,
    list_calls,
    load_of_agents,
    probes_of,
    unused_agents,
    warnings_about_agents,
)
from app.errors import ConflictError, EditedMeanwhileError, InvalidInputError, Problem
from app.flows.operations.forget_agent import forget_agent
from app.server.caches.objectives_cache import PAGE_WAIT_S, PAGE_WINDOWS
from app.server.console.agent_pages.agent_form import LABELS, PAUSES, by_field, fields_of, read_fields
from app.server.console.figures.histogram import histogram_of
from app.server.console.figures.sparkline import sparkline_of
from app.server.console.figures.time_windows import WINDOWS, hours_of
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.request_text import ANY_NAME, whole_number

_PROBES_SHOWN: Final = 10
_CHANGES_SHOWN: Final = 20


def agents_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Agents."""
    return [
        page_route(console, "/console/agents", show_agents),
        page_route(console, f"/console/agents/{{name:{ANY_NAME}}}", show_agent, shows_people=True),
        form_route(console, f"/console/agents/{{name:{ANY_NAME}}}", save_agent),
        form_route(console, "/console/forget-agent", forget, Role.EDITOR),
    ]


async def show_agents(request: PageRequest) -> Response:
    hours, context = hours_of(request), request.context
    found, trends, objectives, (seen, probed) = await asyncio.gather(
        context.statistics.get(int(hours)),
        context.over_time.trends(int(hours)),
        context.objectives.get((*PAGE_WINDOWS, int(hours)), wait_at_most_s=PAGE_WAIT_S),
        context.read(lambda connection: (known_agents(connection), latest_probes(connection))),
    )
    now = context.now
    stored, (calls, _) = await context.read(
        lambda connection: (list_agents(connection), load_of_agents(connection, now))
    )
    settings = {one.agent_name: one for one in stored}
    unseen = {*settings, *probed} - {one.name for one in seen}
    unused = await context.read(lambda connection: unused_agents(connection, unseen)) if unseen else set[str]()
    seen += [Seen(name, None) for name in sorted(unseen)]
    figures: dict[str, Figures] = {one.agent: one for one in found.agents}
    lines = [
        {
            **_line(one, figures.get(one.name, NO_FIGURES), probed.get(one.name)),
            "spark": sparkline_of(trends.get(one.name)),
            "agent": settings.get(one.name, Agent(one.name)),
            "calls": calls[one.name],
            "is_unused": one.name in unused,
        }
        for one in seen
    ]
    lines.sort(key=lambda line: -line["figures"].dispatches)
    facts: dict[str, Any] = {
        "lines": lines,
        "found": found,
        "objectives": objectives,
        "hours": hours,
        "windows": WINDOWS,
        "projects": context.probes.projects,
        "now": now,
    }
    return request.page("agents.html", active="agents", **facts)


async def show_agent(request: PageRequest) -> Response:
    return await _agent_page(request)


async def save_agent(request: PageRequest) -> Response:
    """Set what the form says; a refused form is shown again with its problems."""
    name, editor, now = request.http.path_params["name"], request.signed_in.name, request.context.now
    fields, columns, problems = read_fields(request.field, now)
    expected = whole_number(fields["version"]) or 0
    if problems:
        problems += check_agent({"agent_name": name, **columns})
    else:
        try:
            await request.context.write(
                lambda connection: change_agent(connection, name, columns, editor, expected, whole=True)
            )
        except InvalidInputError as error:
            problems = list(error.problems)
        except EditedMeanwhileError as error:
            return await _agent_page(request, fields, conflict=str(error), status=409)
    if problems:
        return await _agent_page(request, fields, problems=problems, status=422)
    return redirect(f"/console/agents/{quote(name)}", "agent-saved")


async def forget(request: PageRequest) -> Response:
    """Forget the agent in the form; what names it is shown on its page."""
    name, editor, now = request.field("agent_name"), request.signed_in.name, request.context.now
    scheduled = request.context.flow_context.settings.canary_names
    try:
        await request.context.write(lambda connection: forget_agent(connection, name, editor, now, scheduled=scheduled))
    except ConflictError as error:
        return await _agent_page(request, name=name, problems=[Problem("", str(error))], status=409)
    return redirect("/console/agents", "agent-forgotten")


async def _agent_page(
    request: PageRequest,
    fields: Mapping[str, str] | None = None,
    *,
    name: str = "",
    problems: Sequence[Problem] = (),
    conflict: str = "",
    status: int = 200,
) -> Response:
    name, hours, context = name or request.http.path_params["name"], hours_of(request), request.context
    now = context.now

    def load(connection: Connection) -> dict[str, Any]:
        calls, waiting = load_of_agents(connection, now)
        agent, probes = stored_agent(connection, name), probes_of(connection, name, _PROBES_SHOWN)
        named = [agent.substitute_agent_name, name if agent.has_settings and not probes else None]
        return {
            "warnings": warnings_about_agents(connection, named),
            "calls": list_calls(connection, CallFilter(agent=name), limit=20).items,
            "probes": probes,
            "agent": agent,
            "calls_now": calls[name],
            "waiting_now": waiting[name],
            "changes": agent_history(connection, name, limit=_CHANGES_SHOWN),
            "is_known": agent.is_stored or bool(probes),
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
        "fields": fields or fields_of(facts["agent"], now),
        "pauses": PAUSES,
        "labels": LABELS,
        "problems": problems,
        "by_field": by_field(problems),
        "conflict": conflict,
        "projects": context.probes.projects,
        "now": now,
    }
    return request.page("agent.html", status=status, active="agents", name=name, hours=hours, windows=WINDOWS, **facts)


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
