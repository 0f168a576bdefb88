"""Logging in and out, the first admin, choosing a password, and the own account."""

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
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect


def login_routes(console: Console) -> list[BaseRoute]:
    """Return the routes that need no login, and those of the own account."""
    return [
        page_route(console, "/console/login", show_login, None),
        form_route(console, "/console/login", log_in, None),
        form_route(console, "/console/logout", log_out, None),
        page_route(console, "/console/welcome/{code}", show_welcome, None),
        form_route(console, "/console/welcome/{code}", make_first_admin, None),
        page_route(console, "/console/password/{code}", show_password, None),
        form_route(console, "/console/password/{code}", choose_password, None),
        page_route(console, "/console/account", show_account),
        form_route(console, "/console/account/password", change_password, Role.VIEWER),
        form_route(console, "/console/account/logout", end_my_sessions, Role.VIEWER),
        form_route(console, "/console/account/tokens", make_my_token, Role.VIEWER),
        form_route(console, "/console/account/tokens/{token_id}/revoke", revoke_my_token, Role.VIEWER),
    ]


async def show_login(request: PageRequest) -> Response:
    if request.user is not None:
        return redirect(_target(request))
    no_users = await request.context.read(count_users) == 0
    return request.page("login.html", name="", next=_target(request), problem="", no_users=no_users)


async def log_in(request: PageRequest) -> Response:
    name, password, target = request.field("name").strip(), request.field("password"), _target(request)
    address = request.http.client.host if request.http.client else ""
    try:
        request.console.login_limiter.count(name, address)
    except TooManyRequestsError as error:
        response = request.page(
            "login.html", status=429, name=name, next=target, problem=f"{error}.".capitalize(), no_users=False
        )
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    user = await request.context.read(lambda connection: find_user(connection, name)) if not check_name(name) else None
    stored = user.password_hash if user is not None else None
    if not await asyncio.to_thread(verify_password, password, stored) or user is None or user.disabled:
        return request.page(
            "login.html",
            status=401,
            name=name,
            next=target,
            problem="Name or password is wrong.",
            no_users=False,
        )
    request.console.login_limiter.forget(name)
    return _with_session(request, user, redirect(target))


async def log_out(request: PageRequest) -> Response:
    response = redirect("/console/login")
    request.console.sessions.write(request.http, response, request.console.sessions.begin())
    return response


async def show_welcome(request: PageRequest) -> Response:
    code = request.http.path_params["code"]
    await request.context.read(lambda connection: require_first_admin(connection, request.context.key, code))
    return request.page("welcome.html", name="", problems=[])


async def make_first_admin(request: PageRequest) -> Response:
    code, name, password = request.http.path_params["code"], request.field("name").strip(), request.field("password")
    if problems := check_name(name) + check_password(password, name=name) + _repeated(request):
        return request.page("welcome.html", status=422, name=name, problems=problems)
    stored, now = await asyncio.to_thread(hash_password, password), request.context.now

    def unit(connection: Connection) -> User:
        require_first_admin(connection, request.context.key, code)
        return add_user(connection, name, Role.ADMIN, by="the first-start link", now=now, password_hash=stored)

    return _with_session(request, await request.context.write(unit), redirect("/console/"))


async def show_password(request: PageRequest) -> Response:
    code = request.http.path_params["code"]
    user = await request.context.read(partial(user_of_password_code, key=request.context.key, code=code))
    return request.page("password.html", name=user.name, problems=[])


async def choose_password(request: PageRequest) -> Response:
    code, password = request.http.path_params["code"], request.field("password")
    user = await request.context.read(partial(user_of_password_code, key=request.context.key, code=code))
    if problems := check_password(password, name=user.name) + _repeated(request):
        return request.page("password.html", status=422, name=user.name, problems=problems)
    stored, now = await asyncio.to_thread(hash_password, password), request.context.now

    def unit(connection: Connection) -> User:
        owner = user_of_password_code(connection, request.context.key, code)  # it may have been used meanwhile
        return set_password(connection, owner.id, stored, by=owner.name, now=now)

    return _with_session(request, await request.context.write(unit), redirect("/console/"))


async def show_account(request: PageRequest) -> Response:
    return await _account(request)


async def change_password(request: PageRequest) -> Response:
    old, password = request.field("old"), request.field("password")
    request.console.login_limiter.count(request.signed_in.name, "account")
    user = await request.context.read(partial(read_user, user_id=request.signed_in.id))
    problems = check_password(password, name=user.name) + _repeated(request)
    if not await asyncio.to_thread(verify_password, old, user.password_hash):
        problems.append(Problem("old", "is not your password"))
    if problems:
        return await _account(request, problems=problems, status=422)
    stored, now = await asyncio.to_thread(hash_password, password), request.context.now
    changed = await request.context.write(lambda c: set_password(c, user.id, stored, by=user.name, now=now))
    return _with_session(request, changed, redirect("/console/account", "password"))


async def end_my_sessions(request: PageRequest) -> Response:
    now, user = request.context.now, request.signed_in
    changed = await request.context.write(lambda c: log_out_everywhere(c, user.id, by=user.name, now=now))
    return _with_session(request, changed, redirect("/console/account", "logged-out"))


async def make_my_token(request: PageRequest) -> Response:
    now, user = request.context.now, request.signed_in
    name, role, expires_at = request.field("token_name").strip(), require_role(request.field("role")), expiry(request)
    try:
        _, secret = await request.context.write(
            lambda c: issue_token(c, user.id, name, role, by=user.name, now=now, expires_at=expires_at)
        )
    except InvalidInputError as error:
        return await _account(request, problems=error.problems, status=422)
    return await _account(request, secret=secret)


async def revoke_my_token(request: PageRequest) -> Response:
    token_id, now, user = request.http.path_params["token_id"], request.context.now, request.signed_in

    def unit(connection: Connection) -> None:
        if any(token.id == token_id for token in list_tokens(connection, user.id)):
            revoke_token(connection, token_id, by=user.name, now=now)

    await request.context.write(unit)
    return redirect("/console/account", "revoked")


async def _account(
    request: PageRequest, *, problems: list[Problem] | None = None, secret: str = "", status: int = 200
) -> Response:
    user = request.signed_in
    tokens = await request.context.read(partial(list_tokens, user_id=user.id))
    roles = [role for role in Role if user.role.includes(role)]
    return request.page(
        "account.html",
        status=status,
        tokens=tokens,
        roles=roles,
        problems=problems or [],
        secret=secret,
        now=request.context.now,
    )


def expiry(request: PageRequest) -> datetime | None:
    """Return the expiry chosen in a token form; None for never."""
    days = request.field("days")
    return request.context.now + timedelta(days=int(days)) if days in {"7", "30", "90", "365"} else None


def _repeated(request: PageRequest) -> list[Problem]:
    same = request.field("password") == request.field("repeated")
    return [] if same else [Problem("repeated", "must be the same as the password")]


def _with_session(request: PageRequest, user: User, response: Response) -> Response:
    request.console.sessions.write(request.http, response, request.console.sessions.begin(user))
    return response


def _target(request: PageRequest) -> str:
    target = request.field("next", "/console/")
    # Only pages of the console: `//host` and `\\\\host` would lead to another host.
    is_ours = target.startswith("/console/") and "\\" not in target and not target.startswith("/console/login")
    return target if is_ours else "/console/"
