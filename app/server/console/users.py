"""The page Users: people, their roles, their tokens."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.links import password_code
from app.accounts.roles import Role
from app.accounts.tokens import Token, issue_token, list_tokens, revoke_token
from app.accounts.users import User, add_user, list_users, log_out_everywhere, read_user, set_disabled, set_role
from app.errors import ConflictError, InvalidInputError, Problem
from app.server.api.accounts import require_role
from app.server.console.framework import Front, Visit, form, go, page
from app.server.console.login import expiry


def users_routes(front: Front) -> list[BaseRoute]:
    """Return the routes of the page Users."""
    return [
        page(front, "/console/users", show_users, Role.ADMIN),
        form(front, "/console/users", add, Role.ADMIN),
        form(front, "/console/users/{user_id}/role", change_role, Role.ADMIN),
        form(front, "/console/users/{user_id}/disable", disable, Role.ADMIN),
        form(front, "/console/users/{user_id}/enable", enable, Role.ADMIN),
        form(front, "/console/users/{user_id}/logout", log_out, Role.ADMIN),
        form(front, "/console/users/{user_id}/link", make_link, Role.ADMIN),
        form(front, "/console/users/{user_id}/tokens", make_token, Role.ADMIN),
        form(front, "/console/tokens/{token_id}/revoke", revoke, Role.ADMIN),
    ]


async def show_users(visit: Visit) -> Response:
    return await _page(visit)


async def add(visit: Visit) -> Response:
    name, role, now, by = visit.field("name").strip(), require_role(visit.field("role")), visit.office.now, visit.who
    try:
        user = await visit.office.write(lambda c: add_user(c, name, role, by=by.name, now=now))
    except InvalidInputError as error:
        return await _page(visit, problems=error.problems, status=422)
    except ConflictError as error:
        return await _page(visit, problems=[Problem("name", str(error))], status=409)
    return await _page(visit, link=_link(visit, user), link_of=user.name)


async def change_role(visit: Visit) -> Response:
    user_id, role, now, by = visit.request.path_params["user_id"], visit.field("role"), visit.office.now, visit.who
    wanted = require_role(role)
    return await _change(visit, lambda c: set_role(c, user_id, wanted, by=by.name, now=now))


async def disable(visit: Visit) -> Response:
    user_id, now, by = visit.request.path_params["user_id"], visit.office.now, visit.who
    return await _change(visit, lambda c: set_disabled(c, user_id, disabled=True, by=by.name, now=now))


async def enable(visit: Visit) -> Response:
    user_id, now, by = visit.request.path_params["user_id"], visit.office.now, visit.who
    return await _change(visit, lambda c: set_disabled(c, user_id, disabled=False, by=by.name, now=now))


async def log_out(visit: Visit) -> Response:
    user_id, now, by = visit.request.path_params["user_id"], visit.office.now, visit.who
    return await _change(visit, lambda c: log_out_everywhere(c, user_id, by=by.name, now=now))


async def make_link(visit: Visit) -> Response:
    user = await visit.office.read(lambda c: read_user(c, visit.request.path_params["user_id"]))
    return await _page(visit, link=_link(visit, user), link_of=user.name)


async def make_token(visit: Visit) -> Response:
    user_id, now, by = visit.request.path_params["user_id"], visit.office.now, visit.who
    name, role, expires_at = visit.field("token_name").strip(), require_role(visit.field("role")), expiry(visit)
    try:
        _, secret = await visit.office.write(
            lambda c: issue_token(c, user_id, name, role, by=by.name, now=now, expires_at=expires_at)
        )
    except InvalidInputError as error:
        return await _page(visit, problems=error.problems, status=422)
    return await _page(visit, secret=secret)


async def revoke(visit: Visit) -> Response:
    token_id, now, by = visit.request.path_params["token_id"], visit.office.now, visit.who
    await visit.office.write(lambda c: revoke_token(c, token_id, by=by.name, now=now))
    return go("/console/users", "revoked")


async def _change(visit: Visit, unit: Callable[[Connection], User]) -> Response:
    try:
        await visit.office.write(unit)
    except ConflictError as error:
        return await _page(visit, problems=[Problem("", str(error))], status=409)
    return go("/console/users", "user")


async def _page(
    visit: Visit,
    *,
    problems: list[Problem] | None = None,
    secret: str = "",
    link: str = "",
    link_of: str = "",
    status: int = 200,
) -> Response:
    def question(connection: Connection) -> tuple[list[User], list[Token]]:
        return list_users(connection), list_tokens(connection)

    people, tokens = await visit.office.read(question)
    return visit.page(
        "users.html",
        status=status,
        active="users",
        people=people,
        tokens=tokens,
        roles=list(Role),
        problems=problems or [],
        secret=secret,
        link=link,
        link_of=link_of,
        now=visit.office.now,
    )


def _link(visit: Visit, user: User) -> str:
    base = visit.request.base_url
    return str(base.replace(path=f"/console/password/{password_code(visit.office.key, user)}"))
