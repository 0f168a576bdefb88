"""The page Now: who waits, what went wrong, how it all is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit import (
    Call,
    CallFilter,
    CallState,
    Objective,
    Percentiles,
    count_waiting,
    list_calls,
    longest_waiting,
    sweep_heartbeats,
)
from app.server.console.charts import histogram_of
from app.server.console.framework import Front, Visit, page
from app.server.console.remedies import pulses, remedies
from app.server.health import HealthDoor
from app.server.objectives_cache import PATIENCE_S, SHOWN

_TROUBLE: Final = (CallState.NO_SHOW, CallState.FAILED, CallState.ABANDONED, CallState.NO_MATCH)
_LISTED: Final = 8
_WAITING_LISTED: Final = 30


def now_routes(front: Front) -> list[BaseRoute]:
    """Return the routes of the page Now: whole, and the part that renews itself."""
    return [page(front, "/console/", show_now), page(front, "/console/now", renew)]


async def show_now(visit: Visit) -> Response:
    return visit.page("now.html", active="now", **await _facts(visit))


async def renew(visit: Visit) -> Response:
    return visit.fragment("now_part.html", **await _facts(visit))


async def _facts(visit: Visit) -> dict[str, Any]:
    office = visit.office
    now = office.now
    url = str(visit.request.base_url.replace(path="/livekit/webhook"))
    sweeps = office.context.settings.sweep_interval > 0

    def question(connection: Connection) -> tuple[dict[str, Any], list[Any]]:
        facts = {
            "now": now,
            "waiting": longest_waiting(connection, _WAITING_LISTED),
            "waiting_count": count_waiting(connection),
            "trouble": _trouble(connection, now - timedelta(hours=1)),
            "remedies": remedies(connection, office.book(connection), url, now),
            "latest": list_calls(connection, CallFilter(), limit=_LISTED).items,
        }
        return facts, sweep_heartbeats(connection)

    (facts, beats), day, objectives, details = await asyncio.gather(
        office.read(question),
        office.figures.get(24),
        office.objectives.get(SHOWN, patience_s=PATIENCE_S),
        HealthDoor(office.orchestrator, office.readers).details(),
    )
    return {
        **facts,
        "day": day,
        "waits": Percentiles.of(day.overall.seconds_to_agent),
        "histogram": histogram_of(day.overall),
        "objectives": replace(objectives, items=tuple(sorted(objectives.items, key=_urgency)[:_LISTED])),
        "pulses": pulses(beats, now, details, sweeps=sweeps),
    }


def _urgency(objective: Objective) -> tuple[bool, float]:
    burn_rates = (one.burn_rate(objective.percent) or 0.0 for one in objective.attainments)
    return not objective.is_burning, -max(burn_rates, default=0.0)


def _trouble(connection: Connection, since: datetime) -> list[Call]:
    found: list[Call] = []
    for state in _TROUBLE:
        found += list_calls(connection, CallFilter(state=state, since=since), limit=_LISTED).items
    return sorted(found, key=lambda call: call.joined_at, reverse=True)[: 2 * _LISTED]
