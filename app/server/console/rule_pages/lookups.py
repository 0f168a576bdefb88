"""The page Lookups: the list, and the form with its test on a stored call."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.audit import CallFilter, list_calls
from app.errors import ConflictError, EditedMeanwhileError, NotFoundError, Problem, UsherError
from app.rules.lookups.edit_lookup import (
    StoredLookup,
    delete_lookup,
    list_stored_lookups,
    put_lookup,
    read_stored_lookup,
)
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.console.rule_pages.lookup_form import FIELDS, NEW, Fields, field_of, fields_of, read_draft
from app.server.request_text import ANY_NAME, whole_number
from app.translation import translatable
from app.webhook.event_store import stored_event

_CALLS_OFFERED = 20


def lookups_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Lookups."""
    one = f"/console/lookups/{{name:{ANY_NAME}}}"
    return [
        page_route(console, "/console/lookups", show_lookups),
        page_route(console, "/console/new-lookup", show_new, Role.EDITOR),
        form_route(console, "/console/new-lookup", save_new, Role.EDITOR),
        form_route(console, f"{one}/test", ask, Role.EDITOR),
        form_route(console, f"{one}/delete", delete, Role.EDITOR),
        page_route(console, one, show_lookup),
        form_route(console, one, save_lookup, Role.EDITOR),
    ]


async def show_lookups(request: PageRequest) -> Response:
    stored = await request.context.read(list_stored_lookups)
    lines = [(one, _missing(request, one)) for one in stored]
    return request.page("lookups.html", active="rules", lines=lines)


async def show_new(request: PageRequest) -> Response:
    return await _editor(request, fields_of(NEW))


async def save_new(request: PageRequest) -> Response:
    fields, draft, problems = read_draft(request.field)
    if problems:
        return await _editor(request, fields, problems=problems, status=422)
    name, editor = draft["name"], request.signed_in.name
    try:
        await request.context.write(lambda c: put_lookup(c, name, draft, editor, None, only_new=True))
    except ConflictError as error:
        return await _editor(request, fields, problems=[Problem("name", str(error))], status=409)
    return redirect(f"/console/lookups/{name}", "lookup-saved")


async def show_lookup(request: PageRequest) -> Response:
    stored = await _stored(request)
    return await _editor(request, fields_of(stored.row), stored)


async def save_lookup(request: PageRequest) -> Response:
    stored, editor = await _stored(request), request.signed_in.name
    fields, draft, problems = read_draft(request.field)
    if problems:
        return await _editor(request, fields, stored, problems=problems, status=422)
    version = whole_number(request.field("version"))
    expected = -1 if version is None else version
    try:
        saved = await request.context.write(lambda c: put_lookup(c, stored.name, draft, editor, expected))
    except EditedMeanwhileError as error:
        return await _editor(request, fields, await _stored(request), conflict=str(error), status=409)
    except ConflictError as error:
        return await _editor(request, fields, stored, problems=[Problem("name", str(error))], status=409)
    return redirect(f"/console/lookups/{saved.name}", "lookup-saved")


async def delete(request: PageRequest) -> Response:
    name, editor = request.path_id("name"), request.signed_in.name
    await request.context.write(lambda c: delete_lookup(c, name, editor, None))
    return redirect("/console/lookups", "lookup-deleted")


async def ask(request: PageRequest) -> Response:
    """Ask the saved lookup about the call that was chosen, and show what came of it."""
    stored, event_id = await _stored(request), request.field("event").strip()
    tested: dict[str, Any] | None = None
    trouble = ""
    if stored.usable is None:
        trouble = translatable("it cannot be used")
    else:
        try:
            event = await request.context.read(lambda c: stored_event(c, event_id))
            tested = await request.context.orchestrator.lookups.tested(stored.usable, event)
            await request.note_read("/console/lookups/")
        except NotFoundError as error:
            trouble = str(error)
        except UsherError as error:
            trouble = translatable("no test was made: %(error)s", error=error)
    return await _editor(request, fields_of(stored.row), stored, tested=tested, trouble=trouble)


async def _stored(request: PageRequest) -> StoredLookup:
    name = request.path_id("name")
    return await request.context.read(lambda connection: read_stored_lookup(connection, name))


def _missing(request: PageRequest, stored: StoredLookup) -> list[str]:
    return request.context.orchestrator.lookups.missing_variables(stored.usable)


async def _editor(
    request: PageRequest,
    fields: Fields,
    stored: StoredLookup | None = None,
    *,
    problems: list[Problem] | None = None,
    conflict: str = "",
    tested: dict[str, Any] | None = None,
    trouble: str = "",
    status: int = 200,
) -> Response:
    calls: Any = ()
    if stored is not None and request.may(Role.EDITOR):
        page = await request.context.read(lambda c: list_calls(c, CallFilter(), limit=_CALLS_OFFERED))
        calls = page.items
    shown = problems if problems is not None else list(stored.problems) if stored else []
    by_field: dict[str, list[Problem]] = {}
    for problem in shown:
        by_field.setdefault(field_of(problem), []).append(problem)
    return request.page(
        "lookup.html",
        status=status,
        active="rules",
        fields=fields,
        columns=FIELDS,
        lookup=stored,
        missing=_missing(request, stored) if stored else [],
        problems=shown,
        by_field=by_field,
        conflict=conflict,
        calls=calls,
        asked=request.field("event"),
        tested=tested,
        trouble=trouble,
    )
