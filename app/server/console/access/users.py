"""The page Users: users, their roles, sessions and API tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.links import password_code
from app.accounts.roles import Role, require_known_projects, require_role
from app.accounts.sessions import Session, end_session, list_sessions
from app.accounts.tokens import Token, issue_token, list_tokens, revoke_token
from app.accounts.users import (
    User,
    add_user,
    delete_user,
    list_users,
    log_out_everywhere,
    read_user,
    set_disabled,
    set_projects,
    set_role,
)
from app.errors import ConflictError, InvalidInputError, Problem
from app.server.console.access.account import chosen_lifetime
from app.server.console.access.confirmation import with_password
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect


def users_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the page Users."""
    return [
        page_route(console, "/console/users", show_users, Role.ADMIN),
        form_route(console, "/console/users", with_password(add), Role.ADMIN),
        form_route(console, "/console/users/{user_id}/role", with_password(change_role), Role.ADMIN),
        form_route(console, "/console/users/{user_id}/projects", with_password(change_projects), Role.ADMIN),
        form_route(console, "/console/users/{user_id}/disable", disable, Role.ADMIN),
        form_route(console, "/console/users/{user_id}/enable", enable, Role.ADMIN),
        form_route(console, "/console/users/{user_id}/logout", log_out, Role.ADMIN),
        form_route(console, "/console/users/{user_id}/link", with_password(make_link), Role.ADMIN),
        form_route(console, "/console/users/{user_id}/delete", with_password(delete), Role.ADMIN),
        form_route(console, "/console/users/{user_id}/tokens", with_password(make_token), Role.ADMIN),
        page_route(console, "/console/users/{user_id}/sessions", show_sessions, Role.ADMIN),
        form_route(console, "/console/users/{user_id}/sessions/{session_id}/end", end_a_session, Role.ADMIN),
        form_route(console, "/console/tokens/{token_id}/revoke", revoke, Role.ADMIN),
    ]


async def show_users(request: PageRequest) -> Response:
    return await _page(request)


async def add(request: PageRequest) -> Response:
    name, role, now, by = (
        request.field("name").strip(),
        require_role(request.field("role")),
        request.context.now,
        request.signed_in,
    )
    try:
        projects = _projects(request)
        require_known_projects(projects, request.context.project_names)
        user = await request.context.write(lambda c: add_user(c, name, role, by=by.name, now=now, projects=projects))
    except InvalidInputError as error:
        return await _page(request, problems=error.problems, status=422, refused="add")
    except ConflictError as error:
        return await _page(request, problems=[Problem("name", str(error))], status=409, refused="add")
    return await _page(request, link=_link(request, user), link_of=user.name)


async def change_role(request: PageRequest) -> Response:
    user_id, role, now, by = (
        request.path_id("user_id"),
        request.field("role"),
        request.context.now,
        request.signed_in,
    )
    wanted = require_role(role)
    return await _change(request, lambda c: set_role(c, user_id, wanted, by=by.name, now=now))


async def change_projects(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    projects = _projects(request)

    def unit(connection: Connection) -> User:
        own = read_user(connection, user_id).projects or ()
        require_known_projects(projects, {*request.context.project_names, *own})
        return set_projects(connection, user_id, projects, by=by.name, now=now)

    try:
        return await _change(request, unit)
    except InvalidInputError as error:
        return await _page(request, problems=error.problems, status=422, refused=user_id)


def _projects(request: PageRequest) -> list[str] | None:
    """Return the projects in a form, separated by commas; None, all, if the field is empty."""
    return [name.strip() for name in request.field("projects").split(",") if name.strip()] or None


async def disable(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    return await _change(request, lambda c: set_disabled(c, user_id, disabled=True, by=by.name, now=now))


async def enable(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    return await _change(request, lambda c: set_disabled(c, user_id, disabled=False, by=by.name, now=now))


async def log_out(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    return await _change(request, lambda c: log_out_everywhere(c, user_id, by=by.name, now=now))


async def delete(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    return await _change(request, lambda c: delete_user(c, user_id, by=by.name, now=now), "gone")


async def show_sessions(request: PageRequest) -> Response:
    user_id, now, limits = request.path_id("user_id"), request.context.now, request.context.session_limits

    def load(connection: Connection) -> tuple[User, list[Session]]:
        return read_user(connection, user_id), list_sessions(connection, now, limits, user_id)

    owner, sessions = await request.context.read(load)
    mine = request.logged_in_session.id
    return request.page("sessions.html", active="users", owner=owner, sessions=sessions, session_id=mine)


async def end_a_session(request: PageRequest) -> Response:
    user_id, session_id = request.path_id("user_id"), request.path_id("session_id")
    now, by = request.context.now, request.signed_in
    await request.context.write(partial(end_session, session_id=session_id, by=by.name, now=now, user_id=user_id))
    return redirect(f"/console/users/{user_id}/sessions", "session")


async def make_link(request: PageRequest) -> Response:
    user = await request.context.read(lambda c: read_user(c, request.path_id("user_id")))
    return await _page(request, link=_link(request, user), link_of=user.name)


async def make_token(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    name, role = request.field("token_name").strip(), require_role(request.field("role"))
    lifetime = chosen_lifetime(request)
    projects = _projects(request)

    def unit(connection: Connection) -> str:
        if read_user(connection, user_id).projects is None:  # else only the user's own may be named
            require_known_projects(projects, request.context.project_names)
        made = issue_token(connection, user_id, name, role, by=by.name, now=now, lifetime=lifetime, projects=projects)
        return made[1]

    try:
        secret = await request.context.write(unit)
    except InvalidInputError as error:
        return await _page(request, problems=error.problems, status=422, refused="token")
    return await _page(request, secret=secret)


async def revoke(request: PageRequest) -> Response:
    token_id, now, by = request.path_id("token_id"), request.context.now, request.signed_in
    await request.context.write(lambda c: revoke_token(c, token_id, by=by.name, now=now))
    return redirect("/console/users", "revoked")


async def _change(request: PageRequest, unit: Callable[[Connection], User], done: str = "user") -> Response:
    try:
        await request.context.write(unit)
    except ConflictError as error:
        return await _page(request, problems=[Problem("", str(error))], status=409)
    return redirect("/console/users", done)


async def _page(
    request: PageRequest,
    *,
    problems: list[Problem] | None = None,
    secret: str = "",
    link: str = "",
    link_of: str = "",
    status: int = 200,
    refused: str = "",
) -> Response:
    """Return the page; `refused` is the form that was, shown as it was sent: `add`, `token`, or the id of a user."""

    def load(connection: Connection) -> tuple[list[User], list[Token]]:
        return list_users(connection), list_tokens(connection)

    users, tokens = await request.context.read(load)
    return request.page(
        "users.html",
        status=status,
        active="users",
        users=users,
        tokens=tokens,
        roles=list(Role),
        problems=problems or [],
        sent=request.field,
        refused=refused,
        secret=secret,
        link=link,
        link_of=link_of,
        now=request.context.now,
    )


def _link(request: PageRequest, user: User) -> str:
    public_url = request.context.flow_context.settings.public_url
    base = public_url or str(request.http.base_url).rstrip("/")
    return f"{base}/console/password/{password_code(request.context.key, user, request.context.now)}"
