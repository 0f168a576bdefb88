"""Logging in and out, the first admin, and choosing a password."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.links import require_first_admin, user_of_password_code
from app.accounts.password import check_password, hash_password, verify_password
from app.accounts.roles import Role
from app.accounts.tokens import issue_token, list_tokens, revoke_token
from app.accounts.users import (
    User,
    add_user,
    check_name,
    count_users,
    find_user,
    log_out_everywhere,
    read_user,
    set_password,
)
from app.errors import InvalidInputError, Problem, TooManyRequestsError
from app.server.api.accounts import require_role
from app.server.console.framework import Front, Visit, form, go, page


def login_routes(front: Front) -> list[BaseRoute]:
    """Return the routes that need no role, and those of one's own account."""
    return [
        page(front, "/console/login", show_login, None),
        form(front, "/console/login", log_in, None),
        form(front, "/console/logout", log_out, None),
        page(front, "/console/welcome/{code}", show_welcome, None),
        form(front, "/console/welcome/{code}", make_first_admin, None),
        page(front, "/console/password/{code}", show_password, None),
        form(front, "/console/password/{code}", choose_password, None),
        page(front, "/console/account", show_account),
        form(front, "/console/account/password", change_password, Role.VIEWER),
        form(front, "/console/account/logout", end_my_sessions, Role.VIEWER),
        form(front, "/console/account/tokens", make_my_token, Role.VIEWER),
        form(front, "/console/account/tokens/{token_id}/revoke", revoke_my_token, Role.VIEWER),
    ]


async def show_login(visit: Visit) -> Response:
    if visit.user is not None:
        return go(_target(visit))
    nobody_yet = await visit.office.read(count_users) == 0
    return visit.page("login.html", name="", next=_target(visit), problem="", nobody_yet=nobody_yet)


async def log_in(visit: Visit) -> Response:
    name, password, target = visit.field("name").strip(), visit.field("password"), _target(visit)
    address = visit.request.client.host if visit.request.client else ""
    try:
        visit.front.login_limiter.count(name, address)
    except TooManyRequestsError as error:
        response = visit.page(
            "login.html", status=429, name=name, next=target, problem=f"{error}.".capitalize(), nobody_yet=False
        )
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    user = await visit.office.read(lambda connection: find_user(connection, name)) if not check_name(name) else None
    stored = user.password_hash if user is not None else None
    if not await asyncio.to_thread(verify_password, password, stored) or user is None or user.disabled:
        return visit.page(
            "login.html",
            status=401,
            name=name,
            next=target,
            problem="That name and password do not belong together.",
            nobody_yet=False,
        )
    visit.front.login_limiter.forget(name)
    return _with_session(visit, user, go(target))


async def log_out(visit: Visit) -> Response:
    response = go("/console/login")
    visit.front.sessions.write(visit.request, response, visit.front.sessions.begin())
    return response


async def show_welcome(visit: Visit) -> Response:
    code = visit.request.path_params["code"]
    await visit.office.read(lambda connection: require_first_admin(connection, visit.office.key, code))
    return visit.page("welcome.html", name="", problems=[])


async def make_first_admin(visit: Visit) -> Response:
    code, name, password = visit.request.path_params["code"], visit.field("name").strip(), visit.field("password")
    if problems := check_name(name) + check_password(password, name=name) + _repeated(visit):
        return visit.page("welcome.html", status=422, name=name, problems=problems)
    stored, now = await asyncio.to_thread(hash_password, password), visit.office.now

    def unit(connection: Connection) -> User:
        require_first_admin(connection, visit.office.key, code)
        return add_user(connection, name, Role.ADMIN, by="the first-start link", now=now, password_hash=stored)

    return _with_session(visit, await visit.office.write(unit), go("/console/"))


async def show_password(visit: Visit) -> Response:
    code = visit.request.path_params["code"]
    user = await visit.office.read(partial(user_of_password_code, key=visit.office.key, code=code))
    return visit.page("password.html", name=user.name, problems=[])


async def choose_password(visit: Visit) -> Response:
    code, password = visit.request.path_params["code"], visit.field("password")
    user = await visit.office.read(partial(user_of_password_code, key=visit.office.key, code=code))
    if problems := check_password(password, name=user.name) + _repeated(visit):
        return visit.page("password.html", status=422, name=user.name, problems=problems)
    stored, now = await asyncio.to_thread(hash_password, password), visit.office.now

    def unit(connection: Connection) -> User:
        owner = user_of_password_code(connection, visit.office.key, code)  # it may have been used meanwhile
        return set_password(connection, owner.id, stored, by=owner.name, now=now)

    return _with_session(visit, await visit.office.write(unit), go("/console/"))


async def show_account(visit: Visit) -> Response:
    return await _account(visit)


async def change_password(visit: Visit) -> Response:
    old, password = visit.field("old"), visit.field("password")
    visit.front.login_limiter.count(visit.who.name, "account")
    user = await visit.office.read(partial(read_user, user_id=visit.who.id))
    problems = check_password(password, name=user.name) + _repeated(visit)
    if not await asyncio.to_thread(verify_password, old, user.password_hash):
        problems.append(Problem("old", "is not your password"))
    if problems:
        return await _account(visit, problems=problems, status=422)
    stored, now = await asyncio.to_thread(hash_password, password), visit.office.now
    changed = await visit.office.write(lambda c: set_password(c, user.id, stored, by=user.name, now=now))
    return _with_session(visit, changed, go("/console/account", "password"))


async def end_my_sessions(visit: Visit) -> Response:
    now, user = visit.office.now, visit.who
    changed = await visit.office.write(lambda c: log_out_everywhere(c, user.id, by=user.name, now=now))
    return _with_session(visit, changed, go("/console/account", "logged-out"))


async def make_my_token(visit: Visit) -> Response:
    now, user = visit.office.now, visit.who
    name, role, expires_at = visit.field("token_name").strip(), require_role(visit.field("role")), expiry(visit)
    try:
        _, secret = await visit.office.write(
            lambda c: issue_token(c, user.id, name, role, by=user.name, now=now, expires_at=expires_at)
        )
    except InvalidInputError as error:
        return await _account(visit, problems=error.problems, status=422)
    return await _account(visit, secret=secret)


async def revoke_my_token(visit: Visit) -> Response:
    token_id, now, user = visit.request.path_params["token_id"], visit.office.now, visit.who

    def unit(connection: Connection) -> None:
        if any(token.id == token_id for token in list_tokens(connection, user.id)):
            revoke_token(connection, token_id, by=user.name, now=now)

    await visit.office.write(unit)
    return go("/console/account", "revoked")


async def _account(
    visit: Visit, *, problems: list[Problem] | None = None, secret: str = "", status: int = 200
) -> Response:
    user = visit.who
    tokens = await visit.office.read(partial(list_tokens, user_id=user.id))
    roles = [role for role in Role if user.role.includes(role)]
    return visit.page(
        "account.html",
        status=status,
        tokens=tokens,
        roles=roles,
        problems=problems or [],
        secret=secret,
        now=visit.office.now,
    )


def expiry(visit: Visit) -> datetime | None:
    """Return when a token that a form asks for is to expire."""
    days = visit.field("days")
    return visit.office.now + timedelta(days=int(days)) if days in {"7", "30", "90", "365"} else None


def _repeated(visit: Visit) -> list[Problem]:
    same = visit.field("password") == visit.field("repeated")
    return [] if same else [Problem("repeated", "is not the same as the password")]


def _with_session(visit: Visit, user: User, response: Response) -> Response:
    visit.front.sessions.write(visit.request, response, visit.front.sessions.begin(user))
    return response


def _target(visit: Visit) -> str:
    target = visit.field("next", "/console/")
    # Only our own pages: `//elsewhere` and `\\\\elsewhere` would lead to another host.
    is_ours = target.startswith("/console/") and "\\" not in target and not target.startswith("/console/login")
    return target if is_ours else "/console/"
