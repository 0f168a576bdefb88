"""Lookups over the API."""

from __future__ import annotations

from typing import Any

from app.clock import new_id
from app.db.types import EventSource
from app.errors import InvalidInputError, Problem, UnreadableWebhookError
from app.rules.lookups.edit_lookup import (
    StoredLookup,
    delete_lookup,
    find_lookup,
    list_stored_lookups,
    put_lookup,
    read_stored_lookup,
)
from app.server.api.framework.endpoint import Answer, ApiRequest, require_object, required_version
from app.server.api.lookups.lookup_shapes import LookupTestOrder
from app.server.problems import problem_json
from app.settings import chosen_project
from app.webhook.event import Event
from app.webhook.event_store import stored_event
from app.webhook.parse import build_event


async def list_the_lookups(request: ApiRequest) -> dict[str, Any]:
    stored = await request.context.read(list_stored_lookups)
    return {"items": [_shown(request, one) for one in stored]}


async def read_a_lookup(request: ApiRequest) -> Answer:
    name = request.identifier("name")
    return _answer(request, await request.context.read(lambda connection: read_stored_lookup(connection, name)))


async def put_a_lookup(request: ApiRequest) -> Answer:
    name, editor = request.identifier("name"), request.user.name
    columns = require_object(request.body)
    exists = await request.context.read(lambda connection: find_lookup(connection, name)) is not None
    only_new = not exists and "if-match" not in request.http.headers
    expected = None if only_new else required_version(request, "lookup that exists")
    stored = await request.context.write(
        lambda connection: put_lookup(connection, name, columns, editor, expected, only_new=only_new)
    )
    return _answer(request, stored)


async def delete_a_lookup(request: ApiRequest) -> dict[str, Any]:
    expected, name, editor = required_version(request, "lookup"), request.identifier("name"), request.user.name
    stored = await request.context.write(lambda connection: delete_lookup(connection, name, editor, expected))
    return _shown(request, stored)


async def try_a_lookup(request: ApiRequest) -> dict[str, Any]:
    name, order = request.identifier("name"), request.body
    event = _given_event(request, order) if order.event is not None else None
    if (event is None) == (order.event_id is None):
        raise InvalidInputError("body", [Problem("event", "give either `event_id` or `event`")])
    stored = await request.context.read(lambda connection: read_stored_lookup(connection, name))
    if stored.usable is None:
        raise InvalidInputError("this lookup cannot be used", list(stored.problems))
    if event is None:
        event = await request.context.read(lambda connection: stored_event(connection, str(order.event_id)))
    return await request.context.orchestrator.lookups.tested(stored.usable, event)


def _given_event(request: ApiRequest, order: LookupTestOrder) -> Event:
    settings = request.context.flow_context.settings
    projects = [project.name for project in settings.projects]
    project = chosen_project(order.project, projects)
    if isinstance(project, Problem):
        raise InvalidInputError("body", [project])
    try:
        return build_event(
            order.event or {},
            project=project,
            source=EventSource.WEBHOOK,
            received_at=request.context.now,
            event_id=new_id(),
            redact=settings.redact_of(project),
        )
    except UnreadableWebhookError as error:
        raise InvalidInputError("body", [Problem("event", str(error))]) from error


def _answer(request: ApiRequest, stored: StoredLookup) -> Answer:
    return Answer(_shown(request, stored), {"ETag": stored.etag})


def _shown(request: ApiRequest, stored: StoredLookup) -> dict[str, Any]:
    missing = request.context.orchestrator.lookups.missing_variables(stored.usable)
    return {
        **stored.to_json(),
        "problems": [problem_json(problem) for problem in stored.problems],
        "missing_variables": missing,
    }
