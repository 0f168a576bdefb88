"""Logging in and out, the first admin, and choosing a password by a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.access_log import AccessEntry, append_access
from app.accounts.links import require_first_admin, user_of_password_code
from app.accounts.password import check_password
from app.accounts.roles import Role
from app.accounts.sessions import id_token_of, start_session
from app.accounts.sessions import log_out as end_own_session
from app.accounts.users import (
    User,
    add_first_admin,
    check_name,
    count_users,
    find_user,
    record_login,
    set_password,
)
from app.db.types import AccessKind
from app.errors import ConflictError, Problem, TooManyRequestsError
from app.server.access.anonymous_answers import mark_identified
from app.server.access.redirect_targets import MAX_LOGIN_TARGET, short_target
from app.server.console.access.password_checker import Attempt
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.formatting import capitalize_first
from app.translation import translatable

_NO_PAGES: Final = translatable(
    "The role decider has no pages: it is for programs that ask POST /api/v1/decide with a token. To read calls and "
    "rules, ask an admin for the role viewer."
)
_NO_TARGETS: Final = ("/console/login", "/console/oidc/")


def login_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of logging in and out."""
    return [
        page_route(console, "/console/login", show_login, None),
        form_route(console, "/console/login", log_in, None),
        form_route(console, "/console/logout", log_out, Role.VIEWER, by_project=True),
        page_route(console, "/console/welcome/{code}", show_welcome, None),
        form_route(console, "/console/welcome/{code}", make_first_admin, None),
        page_route(console, "/console/password/{code}", show_password, None),
        form_route(console, "/console/password/{code}", choose_password, None),
    ]


async def show_login(request: PageRequest) -> Response:
    if request.user is not None:
        return redirect(target_of(request))
    no_users = await request.context.read(count_users) == 0
    ended = request.field("ended") == "1"
    return request.page(
        "login.html",
        name="",
        next=target_of(request),
        problem="",
        no_users=no_users,
        ended=ended,
        other_account=False,
    )


async def log_in(request: PageRequest) -> Response:
    name, password, target = request.field("name").strip(), request.field("password"), target_of(request)
    user = None
    try:
        if not request.console.cookies.has_device(request.http):
            request.console.passwords.require_attempt_left(request.address)
        user = None if check_name(name) else await request.context.read(partial(find_user, name=name))
        known = "" if user is None else request.console.cookies.device_of(request.http, user)
        stored = None if user is None else user.password_hash
        attempt = Attempt(name[:100], request.address, known and f"device {known}")
        is_right = await request.console.passwords.matches(attempt, password, stored)
    except TooManyRequestsError as error:
        _note(request, AccessKind.LOGIN_THROTTLED, user)
        response = login_again(request, name, f"{capitalize_first(str(error))}.", 429)
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response
    if not is_right or user is None or user.disabled:
        detail = "unknown name" if user is None else "the user is disabled" if user.disabled else "wrong password"
        _note(request, AccessKind.LOGIN_FAILED, user, detail)
        return login_again(request, name, translatable("Name or password is wrong."), 401)
    return await logged_in(request, user, redirect(target))


async def log_out(request: PageRequest) -> Response:
    id_token = ""
    if request.session is not None:
        now, session = request.context.now, request.session
        id_token = await request.context.read(partial(id_token_of, session_id=session.id))
        await request.context.write(partial(end_own_session, session=session, now=now, address=request.address))
    cookie, provider = request.console.cookies.new_anonymous(), request.context.identity_provider
    url = await provider.logout_url(id_token) if provider and request.user and request.user.has_identity else ""
    # A redirect after a form to another host is not allowed by the page's policy, so the provider is a link.
    stranger = replace(request, user=None, session=None, cookie=cookie)
    response = stranger.page("logged_out.html", url=url) if url else redirect("/console/login")
    request.console.cookies.write(request.http, response, cookie)
    return response


async def show_welcome(request: PageRequest) -> Response:
    await _require_first_admin(request)
    return request.page("welcome.html", name="", problems=[])


async def make_first_admin(request: PageRequest) -> Response:
    name, password = request.field("name").strip(), request.field("password")
    await _require_first_admin(request)
    if problems := check_name(name) + check_password(password, name=name) + repeated(request):
        return request.page("welcome.html", status=422, name=name, problems=problems)
    stored, now = await request.console.passwords.hashed(password), request.context.now

    def unit(connection: Connection) -> User:
        user = add_first_admin(connection, name, stored, by="the first-start link", now=now)
        if user is None:
            raise ConflictError(translatable("there are users already; ask an admin to add you"))
        return user

    return await logged_in(request, await request.context.write(unit), redirect("/console/"))


async def show_password(request: PageRequest) -> Response:
    user = await request.context.read(_user_of_link(request))
    return request.page("password.html", name=user.name, problems=[])


async def choose_password(request: PageRequest) -> Response:
    password, user_of_link = request.field("password"), _user_of_link(request)
    user = await request.context.read(user_of_link)
    if problems := check_password(password, name=user.name) + repeated(request):
        return request.page("password.html", status=422, name=user.name, problems=problems)
    stored, now = await request.console.passwords.hashed(password), request.context.now

    def unit(connection: Connection) -> User:
        owner = user_of_link(connection)  # it may have been used meanwhile
        return set_password(connection, owner.id, stored, by=owner.name, now=now)

    return await logged_in(request, await request.context.write(unit), redirect("/console/"), "by a password link")


async def _require_first_admin(request: PageRequest) -> None:
    code, context = request.http.path_params["code"], request.context
    await context.read(partial(require_first_admin, key=context.key, code=code, now=context.now))


def _user_of_link(request: PageRequest) -> Callable[[Connection], User]:
    code, context = request.http.path_params["code"], request.context
    return partial(user_of_password_code, key=context.key, code=code, now=context.now)


async def logged_in(
    request: PageRequest,
    user: User,
    response: Response,
    detail: str = "",
    *,
    confirmed_at: datetime | None = None,
    id_token: str = "",
) -> Response:
    """Start a session of a user, with a new cookie, and return `response`; the last two: as of `start_session`.

    A session that the browser had ends: nobody could log out of it any more.
    A user with a role that has no pages gets the login page, which says what the role is for.
    """
    if not user.role.includes(Role.VIEWER):
        _note(request, AccessKind.LOGIN_FAILED, user, f"the role {user.role} has no pages")
        return login_again(request, user.name, _NO_PAGES, 403)
    now, limits = request.context.now, request.context.session_limits

    def unit(connection: Connection) -> str:
        if request.session is not None:
            end_own_session(connection, request.session, now, request.address)
        _, secret = start_session(
            connection,
            user,
            now=now,
            limits=limits,
            address=request.address,
            user_agent=request.user_agent,
            confirmed_at=confirmed_at,
            id_token=id_token,
        )
        record_login(connection, user.id, now)
        entry = AccessEntry(AccessKind.LOGIN, user.name, request.address, request.user_agent, detail)
        append_access(connection, [entry], now)
        return secret

    mark_identified(request.http)
    secret = await request.context.write(unit)
    request.console.cookies.write(request.http, response, secret, limits.lifetime)
    request.console.cookies.remember_device(request.http, response, user)
    return response


def repeated(request: PageRequest) -> list[Problem]:
    """Return a problem if the two new passwords of a form differ."""
    same = request.field("password") == request.field("repeated")
    return [] if same else [Problem("password", translatable("must be the same in both fields"))]


def login_again(
    request: PageRequest, name: str, problem: str, status: int, *, target: str = "", other_account: bool = False
) -> Response:
    """Return the login page, which says what is wrong; `other_account`: and offers another account at the provider."""
    return request.page(
        "login.html",
        status=status,
        name=name,
        next=target or target_of(request),
        problem=problem,
        no_users=False,
        ended=False,
        other_account=other_account,
    )


def _note(request: PageRequest, kind: AccessKind, user: User | None, detail: str = "") -> None:
    name = "" if user is None else user.name
    request.context.access.note(AccessEntry(kind, name, request.address, request.user_agent, detail))


def target_of(request: PageRequest) -> str:
    """Return the page of the console to go to after the login."""
    target = request.field("next", "/console/")
    # Only pages of the console: `//host` and `\\\\host` would lead to another host.
    is_ours = target.startswith("/console/") and "\\" not in target and not target.startswith(_NO_TARGETS)
    return short_target(target, MAX_LOGIN_TARGET) if is_ours else "/console/"
