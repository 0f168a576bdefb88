"""The page of one's own account: password, sessions, API tokens."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.accounts.password import check_password
from app.accounts.roles import Role, require_role
from app.accounts.sessions import Session, end_session, list_sessions
from app.accounts.tokens import LIFETIME, Token, issue_token, list_tokens, revoke_token
from app.accounts.users import log_out_everywhere, read_user, set_password
from app.errors import InvalidInputError, Problem
from app.server.console.access.confirmation import password_is_right, with_password
from app.server.console.access.login import logged_in, repeated
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.server.translations.catalogues import languages
from app.translation import translatable

LIFETIMES = {"7": timedelta(days=7), "30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}


def account_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of the own account."""
    return [
        page_route(console, "/console/account", show_account, by_project=True),
        form_route(console, "/console/account/password", change_password, Role.VIEWER, by_project=True),
        form_route(console, "/console/account/language", choose_language, Role.VIEWER, by_project=True),
        form_route(console, "/console/account/logout", end_my_other_sessions, Role.VIEWER, by_project=True),
        form_route(console, "/console/account/sessions/{session_id}/end", end_my_session, Role.VIEWER, by_project=True),
        form_route(console, "/console/account/tokens", with_password(make_my_token), Role.VIEWER, by_project=True),
        form_route(console, "/console/account/tokens/{token_id}/revoke", revoke_my_token, Role.VIEWER, by_project=True),
    ]


async def show_account(request: PageRequest) -> Response:
    return await _account(request)


async def change_password(request: PageRequest) -> Response:
    old, password = request.field("old"), request.field("password")
    user = await request.context.read(partial(read_user, user_id=request.signed_in.id))
    problems = check_password(password, name=user.name) + repeated(request)
    if not await password_is_right(request, old):
        problems.append(Problem("", translatable("the current password is not right")))
    if problems:
        return await _account(request, problems=problems, status=422, refused="password")
    stored, now = await request.console.passwords.hashed(password), request.context.now
    changed = await request.context.write(lambda c: set_password(c, user.id, stored, by=user.name, now=now))
    return await logged_in(request, changed, redirect("/console/account", "password"), "changed the password")


async def choose_language(request: PageRequest) -> Response:
    """Let the browser keep a language for the console; without one, pages are in the language that it asks for."""
    tag, response = request.field("language"), redirect("/console/account", "language")
    request.console.cookies.remember_language(request.http, response, tag if tag in languages() else "")
    return response


async def end_my_other_sessions(request: PageRequest) -> Response:
    now, user, mine = request.context.now, request.signed_in, request.logged_in_session.id
    changed = await request.context.write(
        lambda c: log_out_everywhere(c, user.id, by=user.name, now=now, keep_session=mine)
    )
    response = redirect("/console/account", "logged-out")
    request.console.cookies.remember_device(request.http, response, changed)
    return response


async def end_my_session(request: PageRequest) -> Response:
    session_id, now, user = request.path_id("session_id"), request.context.now, request.signed_in
    await request.context.write(partial(end_session, session_id=session_id, by=user.name, now=now, user_id=user.id))
    return redirect("/console/account", "session")


async def make_my_token(request: PageRequest) -> Response:
    now, user = request.context.now, request.signed_in
    name, role = request.field("token_name").strip(), require_role(request.field("role"))
    lifetime = chosen_lifetime(request)
    try:
        _, secret = await request.context.write(
            lambda c: issue_token(c, user.id, name, role, by=user.name, now=now, lifetime=lifetime)
        )
    except InvalidInputError as error:
        return await _account(request, problems=error.problems, status=422, refused="token")
    return await _account(request, secret=secret)


async def revoke_my_token(request: PageRequest) -> Response:
    token_id, now, user = request.path_id("token_id"), request.context.now, request.signed_in

    def unit(connection: Connection) -> None:
        if any(token.id == token_id for token in list_tokens(connection, user.id)):
            revoke_token(connection, token_id, by=user.name, now=now)

    await request.context.write(unit)
    return redirect("/console/account", "revoked")


async def _account(
    request: PageRequest,
    *,
    problems: list[Problem] | None = None,
    secret: str = "",
    status: int = 200,
    refused: str = "",
) -> Response:
    """Return the page; `refused` says which of its forms was: it is shown as it was sent, but for passwords."""
    user, now, limits = request.signed_in, request.context.now, request.context.session_limits

    def load(connection: Connection) -> tuple[list[Token], list[Session]]:
        return list_tokens(connection, user.id), list_sessions(connection, now, limits, user.id)

    tokens, sessions = await request.context.read(load)
    roles = [role for role in Role if user.role.includes(role)]
    return request.page(
        "account.html",
        languages=languages(),
        chosen_language=request.console.cookies.language_of(request.http),
        status=status,
        tokens=tokens,
        sessions=sessions,
        session_id=request.logged_in_session.id,
        roles=roles,
        problems=problems or [],
        secret=secret,
        refused=refused,
        sent=request.field,
        now=now,
    )


def chosen_lifetime(request: PageRequest) -> timedelta | None:
    """Return how long a token is to be valid as its form says; None for `never`, the usual time if nothing is said."""
    days = request.field("days")
    return None if days == "never" else LIFETIMES.get(days, LIFETIME)
