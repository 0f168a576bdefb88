"""The page Queue: who waits for a place with an agent, at which position, and for how long."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import queue_overview
from app.flows.operations.result import why_not_served
from app.server.console.framework import Console, PageRequest, page_route

_LISTED: Final = 200


def queue_routes(console: Console) -> list[BaseRoute]:
    """Return the route of the page Queue."""
    return [page_route(console, "/console/queue", show_queue, shows_people=True, by_project=True)]


async def show_queue(request: PageRequest) -> Response:
    now, projects = request.context.now, request.signed_in.projects
    found = await request.context.read(
        lambda connection: queue_overview(connection, now, limit=_LISTED, projects=projects)
    )
    settings = request.context.flow_context.settings
    unserved = {one.project for one in found.queues if why_not_served(one.project, settings) is not None}
    return request.page("queue.html", active="agents", found=found, unserved=unserved, now=now)
