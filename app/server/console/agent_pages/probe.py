"""The button that probes an agent, beside its name: starts the probe and shows its result."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.errors import InvalidInputError, TooManyRequestsError, UsherError
from app.server.console.framework import Console, PageRequest, form_route
from app.translation import joined


def probe_routes(console: Console) -> list[BaseRoute]:
    """Return the route of the form that starts a probe."""
    return [form_route(console, "/console/probe", probe, Role.EDITOR)]


async def probe(request: PageRequest) -> Response:
    """Probe the agent in the form, and answer once it has joined or the time is over; a fragment for the script."""
    agent, project = request.field("probe") or request.field("agent_name").strip(), request.field("project") or None
    values: dict[str, Any] = {
        "agent": agent,
        "result": None,
        "problem": "",
        "projects": request.context.probes.projects,
        "several": len(request.context.probes.projects) > 1,
    }
    status, headers = 200, dict[str, str]()
    try:
        values["result"] = await request.context.probes.probe(agent, user=request.signed_in.id, project=project)
    except InvalidInputError as error:
        values["problem"], status = joined("; ", error.problems), error.status
    except TooManyRequestsError as error:
        values["problem"], status, headers = str(error), error.status, {"Retry-After": str(error.retry_after_s)}
    except UsherError as error:
        values["problem"], status = str(error), error.status
    if request.http.headers.get("x-fragment"):
        response = request.fragment("probe_result.html", **values)
        response.status_code = status
        response.headers["X-Probe"] = "done"
    else:
        response = request.page("probe.html", status=status, active="agents", **values)
    response.headers.update(headers)
    return response
