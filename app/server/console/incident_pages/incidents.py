"""The page Incidents: what is wrong now, and what was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import Page
from app.incidents import Incident, IncidentFilter, list_incidents, mute_incident, open_incidents
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect

MUTES: Final = {"60": "1 hour", "480": "8 hours", "1440": "1 day", "10080": "1 week"}
_LISTED: Final = 30


def incidents_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Incidents."""
    return [
        page_route(console, "/console/incidents", show_incidents, by_project=True),
        form_route(console, "/console/incidents/{incident_id}/mute", mute, by_project=True),
        form_route(console, "/console/incidents/{incident_id}/unmute", unmute, by_project=True),
    ]


async def show_incidents(request: PageRequest) -> Response:
    cursor, projects = request.field("cursor") or None, request.signed_in.projects

    def load(connection: Connection) -> tuple[Sequence[Incident], Page[Incident]]:
        wanted = IncidentFilter(is_open=False, projects=projects)
        closed = list_incidents(connection, wanted, limit=_LISTED, cursor=cursor)
        return open_incidents(connection, projects), closed

    lasting, closed = await request.context.read(load)
    return request.page(
        "incidents.html", active="incidents", lasting=lasting, closed=closed, mutes=MUTES, now=request.context.now
    )


async def mute(request: PageRequest) -> Response:
    minutes = request.field("minutes")
    return await _mute(request, int(minutes) if minutes in MUTES else 60)


async def unmute(request: PageRequest) -> Response:
    return await _mute(request, None)


async def _mute(request: PageRequest, minutes: int | None) -> Response:
    now = request.context.now
    unit = partial(
        mute_incident,
        incident_id=request.path_id("incident_id"),
        until=None if minutes is None else now + timedelta(minutes=minutes),
        by=request.signed_in.name,
        now=now,
        projects=request.signed_in.projects,
    )
    await request.context.write(unit)
    return redirect("/console/incidents", "unmuted" if minutes is None else "muted")
