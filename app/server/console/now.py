"""The page Now: waiting callers, failures, and the state of the service."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import (
    CallFilter,
    CallOutcome,
    CallState,
    Objective,
    count_waiting_calls,
    list_calls,
    longest_waiting,
    queue_lengths,
)
from app.incidents import open_incidents
from app.server.caches.objectives_cache import PAGE_WAIT_S, PAGE_WINDOWS
from app.server.console.figures.histogram import histogram_of
from app.server.console.framework import Console, PageRequest, page_route, redirect
from app.server.console.setup_advice import component_statuses, setup_advice

_TROUBLE: Final = (CallState.NO_SHOW, CallState.FAILED, CallState.ABANDONED, CallState.NO_MATCH)
_LISTED: Final = 8
_WAITING_LISTED: Final = 30
_BANNERS: Final = 10


def now_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Now and of its part that the script refreshes."""
    return [
        page_route(console, "/console/", show_now, shows_people=True, by_project=True),
        page_route(console, "/console/now", refresh, shows_people=True),
    ]


async def show_now(request: PageRequest) -> Response:
    if request.signed_in.projects is not None:  # its figures are of all projects
        return redirect("/console/calls")
    return request.page("now.html", active="now", **await _facts(request))


async def refresh(request: PageRequest) -> Response:
    return request.fragment("now_part.html", **await _facts(request))


async def _facts(request: PageRequest) -> dict[str, Any]:
    context = request.context
    now = context.now
    url = str(request.http.base_url.replace(path="/livekit/webhook"))
    sweeps = context.flow_context.settings.sweep_interval > 0

    def load(connection: Connection) -> dict[str, Any]:
        return {
            "now": now,
            "waiting": longest_waiting(connection, _WAITING_LISTED),
            "waiting_count": count_waiting_calls(connection),
            "queued_count": sum(one.length for one in queue_lengths(connection, now)),
            **_trouble(connection, now - timedelta(hours=1)),
            **_banners(connection, now),
            "setup_advice": setup_advice(connection, context.book(connection), url),
            "latest": list_calls(connection, CallFilter(), limit=_LISTED).items,
        }

    facts, day, objectives, health = await asyncio.gather(
        context.read(load),
        context.statistics.get(24),
        context.objectives.get(PAGE_WINDOWS, wait_at_most_s=PAGE_WAIT_S),
        context.health.read(),
    )
    return {
        **facts,
        "day": day,
        "waits": day.overall.seconds_to_agent,
        "histogram": histogram_of(day.overall),
        "objectives": replace(objectives, items=tuple(sorted(objectives.items, key=_urgency)[:_LISTED])),
        "component_statuses": component_statuses(health, now, sweeps=sweeps),
    }


def _banners(connection: Connection, now: datetime) -> dict[str, Any]:
    """Return the banners: open incidents that are not muted, the worst first; and how many are left out."""
    found = [one for one in open_incidents(connection) if not one.is_muted(now)]
    found.sort(key=lambda one: (not one.is_error, -one.count))
    return {"incidents": found[:_BANNERS], "more_incidents": len(found[_BANNERS:])}


def _urgency(objective: Objective) -> tuple[bool, float]:
    burn_rates = (one.burn_rate or 0.0 for one in objective.windows)
    return not objective.is_burning, -max(burn_rates, default=0.0)


def _trouble(connection: Connection, since: datetime) -> dict[str, Any]:
    """Return the calls that went wrong, the latest first, and whether there are more of them."""
    filters = [CallFilter(states={state}, since=since) for state in _TROUBLE]
    filters += [CallFilter(outcome=outcome, since=since) for outcome in (CallOutcome.FALLBACK, CallOutcome.LEFT_EARLY)]
    pages = [list_calls(connection, one, limit=_LISTED) for one in filters]
    calls = {call.event_id: call for page in pages for call in page.items}
    found = sorted(calls.values(), key=lambda call: call.joined_at, reverse=True)
    is_cut = len(found) > 2 * _LISTED or any(page.next_cursor is not None for page in pages)
    return {"trouble": found[: 2 * _LISTED], "trouble_is_cut": is_cut}
