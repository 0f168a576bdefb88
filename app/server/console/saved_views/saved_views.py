"""Saving the list of calls as a view, and the page Saved views: renaming, sharing and deleting them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.accounts.saved_views import MAX_NAME_LENGTH, change_view, delete_view, save_view
from app.errors import ConflictError, InvalidInputError, Problem
from app.server.console.call_list import show_calls
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.console.saved_views.view_tabs import view_tabs, view_user
from app.server.formatting import capitalize_first
from app.translation import joined


def saved_views_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of saved views, which every user may have."""
    options: dict[str, Any] = {"role": Role.VIEWER, "by_project": True}
    return [
        page_route(console, "/console/views", show_views, **options),
        form_route(console, "/console/views", save, **options),
        form_route(console, "/console/views/{view_id}", change, **options),
        form_route(console, "/console/views/{view_id}/delete", delete, **options),
    ]


async def show_views(request: PageRequest) -> Response:
    return await _page(request)


async def save(request: PageRequest) -> Response:
    """Save the filters in the form under its name; what cannot be saved stands above the list."""
    name, query = request.field("name").strip(), request.field("query")
    shared, replaces = bool(request.field("shared")), bool(request.field("replace"))
    user, now = view_user(request), request.context.now
    typed = {"name": name, "shared": shared}
    try:
        view = await request.context.write(
            partial(save_view, user=user, name=name, query=query, now=now, shared=shared, replace=replaces)
        )
    except InvalidInputError as error:
        return await _again(request, query, typed, joined("; ", (problem.message for problem in error.problems)), 422)
    except ConflictError as error:
        return await _again(request, query, {**typed, "is_taken": True}, f"{capitalize_first(str(error))}.", 409)
    address = f"/console/calls?{view.query}"
    if "range=" in view.query:  # a range such as today is one of the viewer's time zone
        address += "&" + urlencode({"tz": request.field("tz"), "zone": request.field("zone")})
    return redirect(address, "view-saved")


async def _again(request: PageRequest, query: str, typed: dict[str, Any], problem: str, status: int) -> Response:
    fields = {name: [value] for name, value in parse_qsl(query)}
    return await show_calls(
        replace(request, form={**fields, "tz": [request.field("tz")], "zone": [request.field("zone")]}),
        status=status,
        save_form={**typed, "problem": problem},
    )


async def change(request: PageRequest) -> Response:
    view_id, name, shared = request.path_id("view_id"), request.field("name").strip(), bool(request.field("shared"))
    user, now = view_user(request), request.context.now
    try:
        await request.context.write(partial(change_view, view_id=view_id, user=user, now=now, name=name, shared=shared))
    except InvalidInputError as error:
        return await _page(request, error.problems, 422, view_id)
    except ConflictError as error:
        return await _page(request, [Problem("name", str(error))], 409, view_id)
    return redirect("/console/views", "view-changed")


async def delete(request: PageRequest) -> Response:
    view_id, user, now = request.path_id("view_id"), view_user(request), request.context.now
    await request.context.write(partial(delete_view, view_id=view_id, user=user, now=now))
    return redirect("/console/views", "view-deleted")


async def _page(
    request: PageRequest, problems: list[Problem] | None = None, status: int = 200, refused: str = ""
) -> Response:
    """Return the page; `refused` is the id of the view whose change was."""
    tabs, user = await view_tabs(request), view_user(request)
    return request.page(
        "views.html",
        status=status,
        active="calls",
        mine=[(tab, True) for tab in tabs if tab.is_own],
        others=[(tab, tab.view.may_change(user)) for tab in tabs if not tab.is_own],
        longest=MAX_NAME_LENGTH,
        problems=problems or [],
        refused=refused,
    )
