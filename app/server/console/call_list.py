"""The page Calls: finding calls, and the list as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.saved_views import MAX_NAME_LENGTH
from app.audit import CallDirection, CallState, ExportFormat, known_agents, known_rules, list_calls
from app.errors import BadRequestError, InvalidInputError
from app.server.call_stream import stream_calls
from app.server.console.call_filters import OUTCOMES, RANGES, CallFilters, read_filters
from app.server.console.framework import Console, PageRequest, page_route
from app.server.console.saved_views.view_tabs import view_tabs
from app.translation import joined, translatable

_LISTED = 40


def call_list_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the list of calls."""
    options: dict[str, Any] = {"shows_people": True, "by_project": True}
    return [
        page_route(console, "/console/calls", show_calls, **options),
        page_route(console, "/console/calls/part", refresh, **options),
        page_route(console, "/console/calls/export", export, **options),
    ]


async def show_calls(
    request: PageRequest, *, status: int = 200, save_form: Mapping[str, Any] | None = None
) -> Response:
    """Return the page; `save_form` is what was typed to save the list as a view, with the problem of it."""
    filters = read_filters(request)

    def load(connection: Connection) -> dict[str, Any]:
        if request.signed_in.projects is not None:  # names of agents and rules are of all projects
            return {"agents": [], "rules": []}
        return {"agents": [one.name for one in known_agents(connection)], "rules": known_rules(connection)}

    facts = await _facts(request, filters)
    names = await request.context.read(load)
    own = request.signed_in.projects
    projects = [one.name for one in request.context.flow_context.settings.projects if own is None or one.name in own]
    views = await view_tabs(request, filters.query)
    return request.page(
        "calls.html",
        status=status,
        active="calls",
        views=views,
        current=next((tab for tab in views if tab.is_current), None),
        save_form={**_SAVE_FORM, **(save_form or {})},
        longest_view_name=MAX_NAME_LENGTH,
        states=list(CallState),
        outcomes=OUTCOMES,
        directions=list(CallDirection),
        ranges=RANGES,
        projects=projects if len(projects) > 1 else [],
        **names,
        **facts,
    )


async def refresh(request: PageRequest) -> Response:
    return request.fragment("calls_part.html", **await _facts(request, read_filters(request)))


async def _facts(request: PageRequest, filters: CallFilters) -> dict[str, Any]:
    cursor, problem, found = request.field("cursor") or None, "", None
    try:
        found = await request.context.read(
            lambda connection: list_calls(connection, filters.chosen, limit=_LISTED, cursor=cursor)
        )
    except InvalidInputError as error:
        problem = joined("; ", error.problems)
    following = found.next_cursor if found else None
    return {
        "filters": filters,
        "chosen": {**dict.fromkeys(_FORM_FIELDS, ""), **filters.given},
        "found": found,
        "problem": problem,
        "next": filters.address(cursor=following) if following else "",
        "is_first": cursor is None,
        "refresh": filters.address("/console/calls/part"),
    }


_SAVE_FORM: Final = {"name": "", "shared": False, "is_taken": False, "problem": ""}
_FORM_FIELDS = ("q", "state", "outcome", "agent", "rule", "direction", "project", "metadata", "range", "from", "to")


async def export(request: PageRequest) -> Response:
    wanted = request.field("format", ExportFormat.CSV)
    if wanted not in set(ExportFormat):
        raise BadRequestError(translatable("the format is csv or jsonl"))
    filters = read_filters(request)
    if filters.problems:  # a file does not say that it has more than was asked for
        raise InvalidInputError(translatable("the list"), list(filters.problems))
    return await stream_calls(request.context, filters.chosen, ExportFormat(wanted))
