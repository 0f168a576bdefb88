"""The page Now: who waits, what went wrong, how it all is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.audit.call import Call, CallState
from app.audit.call_listing import CallFilter, list_calls
from app.audit.objectives import Objective
from app.audit.statistics import Percentiles
from app.server.console.charts import bars_of
from app.server.console.door import Front, Visit, page
from app.server.console.remedies import pulses, remedies, waiting
from app.server.health import HealthDoor

_TROUBLE: Final = (CallState.NO_SHOW, CallState.FAILED, CallState.ABANDONED, CallState.NO_MATCH)
_SHOWN: Final = 8


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
    details = await HealthDoor(office.desk, office.readers).details()
    url = str(visit.request.base_url.replace(path="/livekit/webhook"))
    sweeps = office.context.settings.sweep_interval > 0

    day = await office.figures.get(24)

    def question(connection: Connection) -> dict[str, Any]:
        people, count = waiting(connection)
        return {
            "now": now,
            "waiting": people,
            "waiting_count": count,
            "trouble": _trouble(connection, now - timedelta(hours=1)),
            "day": day,
            "objectives": sorted(day.objectives, key=_urgency)[:_SHOWN],
            "waits": Percentiles.of(day.overall.seconds_to_agent),
            "bars": bars_of(day.overall),
            "remedies": remedies(connection, office.book(connection), url, now),
            "pulses": pulses(connection, now, details, sweeps=sweeps),
            "latest": list_calls(connection, CallFilter(), limit=_SHOWN).items,
        }

    return await office.read(question)


def _urgency(objective: Objective) -> tuple[bool, float]:
    burn_rates = (one.burn_rate(objective.percent) or 0.0 for one in objective.attainments)
    return not objective.is_burning, -max(burn_rates)


def _trouble(connection: Connection, since: datetime) -> list[Call]:
    found: list[Call] = []
    for state in _TROUBLE:
        found += list_calls(connection, CallFilter(state=state, since=since), limit=_SHOWN).items
    return sorted(found, key=lambda call: call.joined_at, reverse=True)[: 2 * _SHOWN]
