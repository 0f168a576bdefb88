"""The page Simulate: a draft of the rules, tried on past traffic."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role, read_projects
from app.errors import InvalidInputError, Problem, TooManyRequestsError, TooMuchWorkError
from app.rules.editing.rules_file import export_rules
from app.rules.editing.stored_rules import read_rules
from app.rules.rule_projects import may_match
from app.rules.simulation.simulate import Simulation
from app.server.console.framework import Console, PageRequest, form_route, page_route
from app.server.workers.rule_jobs import MAX_EVENTS, simulate_text

WINDOWS: Final = {"1": "last hour", "24": "last 24 hours", "168": "last 7 days"}
_MAX_RULES_SHOWN: Final = 300
"""With more rules, the page starts with an empty draft, which is merged with the rules by name."""


def simulate_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Simulate."""
    return [
        page_route(console, "/console/simulate", show_simulate, by_project=True),
        form_route(console, "/console/simulate", run, Role.VIEWER, by_project=True),
    ]


async def show_simulate(request: PageRequest) -> Response:
    projects = read_projects(request.signed_in.projects)
    rows = [row for row in await request.context.read(read_rules) if may_match(row["pattern"], projects)]
    text = export_rules(rows) if len(rows) <= _MAX_RULES_SHOWN else "rules:\n"
    return _page(request, text=text, hours="24", delete=len(rows) <= _MAX_RULES_SHOWN)


async def run(request: PageRequest) -> Response:
    text, hours = request.field("rules").replace("\r\n", "\n"), request.field("hours")
    hours = hours if hours in WINDOWS else "24"
    delete = bool(request.field("delete"))
    since = request.context.now - timedelta(hours=int(hours))
    try:
        user = request.signed_in
        projects = read_projects(user.projects)
        workers = request.context.workers
        found = await workers.run(user.id, simulate_text, text, delete, since, projects, in_turn=True)
    except InvalidInputError as error:
        return _page(request, text=text, hours=hours, delete=delete, problems=error.problems, status=422)
    except (TooManyRequestsError, TooMuchWorkError) as error:
        problems = [Problem("", str(error))]
        return _page(request, text=text, hours=hours, delete=delete, problems=problems, status=error.status)
    if found.groups:
        await request.note_read("/console/simulate")
    return _page(request, text=text, hours=hours, delete=delete, found=found)


def _page(
    request: PageRequest,
    *,
    text: str,
    hours: str,
    delete: bool,
    problems: list[Problem] | None = None,
    found: Simulation | None = None,
    status: int = 200,
) -> Response:
    values: dict[str, Any] = {"problems": problems or [], "found": found, "is_cut": False}
    if found is not None:
        values["is_cut"] = found.events >= MAX_EVENTS
    return request.page(
        "simulate.html",
        status=status,
        active="simulate",
        text=text,
        hours=hours,
        delete=delete,
        windows=WINDOWS,
        **values,
    )
