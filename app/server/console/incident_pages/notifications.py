"""The page Notifications: channels of people, webhooks to programs, tests, and the attempts of deliveries."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.roles import Role
from app.db.types import IncidentKind, OutgoingEvent
from app.errors import ConflictError, InvalidInputError, Problem
from app.incidents.messages.channel import (
    add_notification,
    channels_of_settings,
    delete_notification,
    get_channel,
    list_notifications,
    shown_target,
)
from app.incidents.messages.delivery import list_deliveries, resend
from app.incidents.messages.subscription import (
    add_subscription,
    delete_subscription,
    get_endpoint,
    get_subscription,
    list_subscriptions,
    resume_subscription,
)
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.request_text import ANY_NAME

_PATH: Final = "/console/notifications"
_LISTED: Final = 50


def notifications_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Notifications."""
    channel = f"{_PATH}/people/{{name:{ANY_NAME}}}"
    program = f"{_PATH}/programs/{{subscription_id}}"
    forms = {
        f"{_PATH}/people": add_channel,
        f"{channel}/test": test_channel,
        f"{channel}/delete": delete_channel,
        f"{_PATH}/programs": add_program,
        f"{program}/test": test_program,
        f"{program}/resume": resume_program,
        f"{program}/delete": delete_program,
        f"{program}/deliveries/{{delivery_id}}/resend": resend_to_program,
    }
    return [
        page_route(console, _PATH, show_notifications, Role.ADMIN),
        page_route(console, program, show_program, Role.ADMIN),
        *(form_route(console, path, handler, Role.ADMIN) for path, handler in forms.items()),
    ]


async def show_notifications(request: PageRequest) -> Response:
    return await _page(request)


async def _page(request: PageRequest, **more: Any) -> Response:
    def load(connection: Connection) -> dict[str, Any]:
        return {"channels": list_notifications(connection), "programs": list_subscriptions(connection)}

    fixed = channels_of_settings(request.context.flow_context.settings.notify_channels)
    return request.page(
        "notifications.html",
        active="incidents",
        of_settings=[(one.name, shown_target(one.url)) for one in fixed],
        kinds=list(IncidentKind),
        events=list(OutgoingEvent),
        **await request.context.read(load),
        **{"secret": "", "secret_of": "", "tested": "", "outcome": None, "refused": "", "problems": [], **more},
        sent=request.field,
        chosen=[*request.form.get("kinds", ()), *request.form.get("events", ())],
    )


async def _refused(request: PageRequest, form: str, error: InvalidInputError | ConflictError) -> Response:
    """Return the page with the form as it was sent, and what is wrong with it."""
    problems = error.problems if isinstance(error, InvalidInputError) else [Problem("name", str(error))]
    return await _page(request, status=error.status, refused=form, problems=problems)


async def add_channel(request: PageRequest) -> Response:
    values = {
        "name": request.field("name").strip(),
        "url": request.field("url").strip(),
        "kinds": list(request.form.get("kinds", ())) or None,
        "quiet_hours": request.field("quiet_hours").strip() or None,
        "timezone": request.field("timezone").strip() or "UTC",
    }
    try:
        await request.context.write(partial(add_notification, values=values, **_who(request)))
    except (InvalidInputError, ConflictError) as error:
        return await _refused(request, "people", error)
    return redirect(_PATH, "channel-added")


async def test_channel(request: PageRequest) -> Response:
    name = request.path_id("name")
    channel = await request.context.read(partial(get_channel, name=name))
    return await _page(request, tested=name, outcome=await request.context.orchestrator.messages.try_channel(channel))


async def delete_channel(request: PageRequest) -> Response:
    await request.context.write(partial(delete_notification, name=request.path_id("name"), **_who(request)))
    return redirect(_PATH, "channel-deleted")


async def add_program(request: PageRequest) -> Response:
    values = {
        "name": request.field("name").strip(),
        "url": request.field("url").strip(),
        "events": list(request.form.get("events", ())) or None,
    }
    try:
        made, secret = await request.context.write(partial(add_subscription, values=values, **_who(request)))
    except (InvalidInputError, ConflictError) as error:
        return await _refused(request, "programs", error)
    return await _page(request, secret=secret, secret_of=made.name)


async def show_program(request: PageRequest) -> Response:
    subscription_id = request.path_id("subscription_id")

    def load(connection: Connection) -> dict[str, Any]:
        return {
            "program": get_subscription(connection, subscription_id),
            "deliveries": list_deliveries(connection, subscription_id, limit=_LISTED),
        }

    return request.page("program.html", active="incidents", **await request.context.read(load))


async def test_program(request: PageRequest) -> Response:
    endpoint = await request.context.read(partial(get_endpoint, subscription_id=request.path_id("subscription_id")))
    outcome = await request.context.orchestrator.messages.try_endpoint(endpoint)
    return await _page(request, tested=endpoint.name, outcome=outcome)


async def resume_program(request: PageRequest) -> Response:
    await request.context.write(partial(resume_subscription, **_program(request)))
    return redirect(f"{_PATH}/programs/{request.path_id('subscription_id')}", "program-resumed")


async def delete_program(request: PageRequest) -> Response:
    await request.context.write(partial(delete_subscription, **_program(request)))
    return redirect(_PATH, "program-deleted")


async def resend_to_program(request: PageRequest) -> Response:
    again = partial(resend, delivery_id=request.path_id("delivery_id"), **_who(request))
    subscription_id = await request.context.write(again)
    return redirect(f"{_PATH}/programs/{subscription_id}", "resent")


def _who(request: PageRequest) -> dict[str, Any]:
    return {"by": request.signed_in.name, "now": request.context.now}


def _program(request: PageRequest) -> dict[str, Any]:
    return {"subscription_id": request.path_id("subscription_id"), **_who(request)}
