"""Incidents over the API: list, read, mute."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from app.audit import Page
from app.db.types import IncidentKind
from app.errors import InvalidInputError, Problem
from app.incidents import LONGEST_MUTE, Incident, IncidentFilter, get_incident, list_incidents, mute_incident
from app.server.api.framework.endpoint import ApiRequest, Model, Text

IncidentPage = Annotated[Page[Incident], Field(title="IncidentPage")]


class IncidentsQuery(Model):
    state: Literal["open", "closed", "all"] = Field("all", description="whether they still last")
    kind: list[IncidentKind] = Field([], description="may be repeated")
    subject: Text | None = Field(None, description="the agent, rule, replica or subscription")
    limit: int = Field(50, ge=1, le=1000)
    cursor: Text | None = None


class MuteOrder(Model):
    minutes: float | None = Field(None, gt=0, le=LONGEST_MUTE / timedelta(minutes=1), description="from now on")
    until: datetime | None = Field(None, description="or until this instant, with its time zone")


async def list_the_incidents(request: ApiRequest) -> Any:
    query: IncidentsQuery = request.query
    is_open = {"open": True, "closed": False, "all": None}[query.state]
    wanted = IncidentFilter(is_open, tuple(query.kind), query.subject, request.user.projects)
    return await request.context.read(partial(list_incidents, wanted=wanted, limit=query.limit, cursor=query.cursor))


async def read_incident(request: ApiRequest) -> Any:
    get = partial(get_incident, incident_id=request.identifier("incident_id"), projects=request.user.projects)
    return (await request.context.read(get)).to_json()


async def mute_an_incident(request: ApiRequest) -> Any:
    return await _mute(request, _until(request.body, request.context.now))


async def unmute_an_incident(request: ApiRequest) -> Any:
    return await _mute(request, None)


async def _mute(request: ApiRequest, until: datetime | None) -> Any:
    mute = partial(
        mute_incident,
        incident_id=request.identifier("incident_id"),
        until=until,
        by=request.user.name,
        now=request.context.now,
        projects=request.user.projects,
    )
    return (await request.context.write(mute)).to_json()


def _until(order: MuteOrder, now: datetime) -> datetime:
    if (order.minutes is None) == (order.until is None):
        raise InvalidInputError("body", [Problem("", "must have either minutes or until")])
    if order.minutes is not None:
        return now + timedelta(minutes=order.minutes)
    until = order.until
    if until is None or until.tzinfo is None:
        raise InvalidInputError("body", [Problem("until", "must have a time zone, such as 2026-11-26T18:00:00Z")])
    if not now < until <= now + LONGEST_MUTE:
        raise InvalidInputError("body", [Problem("until", "must be in the future, and within ten years")])
    return until
