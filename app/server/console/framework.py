"""Requests to the console: the session, the user, the form, and the page that answers them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from app.accounts.roles import Role
from app.accounts.users import User
from app.errors import BadRequestError, InvalidInputError, NotAllowedError, TooManyRequestsError, UsherError
from app.logs import get_logger
from app.server.api.framework.endpoint import BODY_MAX_BYTES
from app.server.console.access.login_limiter import LoginLimiter
from app.server.console.access.sessions import CSRF_FIELD, Session, Sessions, user_of
from app.server.request_body import read_body
from app.server.request_context import RequestContext
from app.server.request_text import require_storable_address, require_storable_form
from app.server.templating import HERE, SECURITY_HEADERS, render

_log = get_logger(__name__)

ANONYMOUS_FORM_MAX_BYTES: Final = 16 * 1024
"""A name and two passwords: anybody can send a form before login."""

NAVIGATION: Final = (
    ("now", "/console/", "Now", Role.VIEWER),
    ("calls", "/console/calls", "Calls", Role.VIEWER),
    ("rules", "/console/rules", "Rules", Role.VIEWER),
    ("agents", "/console/agents", "Agents", Role.VIEWER),
    ("simulate", "/console/simulate", "Simulate", Role.VIEWER),
    ("users", "/console/users", "Users", Role.ADMIN),
)

# Files that change get another address, so browsers may cache them forever.
STATIC_VERSION: Final = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted((HERE / "static").iterdir()) if path.is_file())
).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages of one process share."""

    context: RequestContext
    sessions: Sessions
    login_limiter: LoginLimiter


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One authorized request; `user` is None before login, `form` is empty for GET."""

    console: Console
    http: Request
    session: Session
    user: User | None
    form: Mapping[str, Sequence[str]]

    @property
    def context(self) -> RequestContext:
        return self.console.context

    @property
    def signed_in(self) -> User:
        """The user; NotAllowedError if not logged in."""
        if self.user is None:
            raise NotAllowedError("log in first")
        return self.user

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form, or else of the query."""
        values = self.form.get(name)
        if values:
            return values[-1]
        return self.http.query_params.get(name, default)

    def may(self, role: Role) -> bool:
        return self.user is not None and self.user.role.includes(role)

    def page(self, template: str, *, status: int = 200, active: str = "", **values: Any) -> Response:
        """Return a whole page."""
        navigation = [entry for entry in NAVIGATION if self.may(entry[3])]
        text = render(
            template,
            user=self.user,
            may_edit=self.may(Role.EDITOR),
            may_manage=self.may(Role.ADMIN),
            navigation=navigation,
            active=active,
            csrf=self.console.sessions.csrf(self.session),
            static=f"/console/static/{STATIC_VERSION}",
            notice=_NOTICES.get(self.http.query_params.get("done", "")),
            **values,
        )
        return HTMLResponse(text, status)

    def fragment(self, template: str, **values: Any) -> Response:
        """Return a part of a page, which the script puts into its place."""
        return HTMLResponse(
            render(template, may_edit=self.may(Role.EDITOR), csrf=self.console.sessions.csrf(self.session), **values)
        )


_NOTICES: Final = {
    "saved": "Saved. The rule applies from the next webhook on.",
    "deleted": "Deleted. It can be restored from its history.",
    "reverted": "Restored.",
    "redriven": "Dispatched again.",
    "cancelled": "Cancelled.",
    "refused": "Nothing was changed: the state of the dispatch has changed in the meantime.",
    "replayed": "Retried with the current rules.",
    "user": "The user was changed.",
    "revoked": "The token has been revoked.",
    "password": "Your password was changed, and your other sessions have ended.",
    "logged-out": "Your other sessions have ended.",
}

Handler = Callable[[PageRequest], Awaitable[Response]]


def page_route(console: Console, path: str, handler: Handler, role: Role | None = Role.VIEWER) -> BaseRoute:
    """Return the route of a page for users with `role`; None is for everybody."""
    return Route(path, partial(_serve, console, handler, role), methods=["GET"])


def form_route(console: Console, path: str, handler: Handler, role: Role | None = Role.EDITOR) -> BaseRoute:
    """Return the route of a form; posts without the session's CSRF token are refused."""
    return Route(path, partial(_serve, console, handler, role), methods=["POST"])


async def _serve(console: Console, handler: Handler, role: Role | None, http: Request) -> Response:
    session = console.sessions.read(http)
    is_new = session is None
    session = session or console.sessions.begin()
    request = PageRequest(console, http, session, None, {})
    try:
        user = await console.context.read(partial(user_of, session=session))
        sent = (
            await _read_form(http, BODY_MAX_BYTES if user else ANONYMOUS_FORM_MAX_BYTES)
            if http.method == "POST"
            else {}
        )
        require_storable_address(http)
        require_storable_form(sent)
        request = PageRequest(console, http, session, user, sent)
        if http.method == "POST":
            console.sessions.require_csrf(None if is_new else session, request.field(CSRF_FIELD))
        if role is not None:
            if user is None:
                return _ask_to_log_in(http)
            if not user.role.includes(role):
                raise NotAllowedError(f"this needs the role {role}; yours is {user.role}")
        response = await handler(request)
    except UsherError as error:
        response = _problem_page(request, error)
    if is_new and "set-cookie" not in response.headers:
        console.sessions.write(http, response, session)
    response.headers.setdefault("Cache-Control", "no-store")
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _ask_to_log_in(request: Request) -> Response:
    if request.headers.get("x-fragment"):
        return Response(status_code=401)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        target = "/console/"
    return RedirectResponse(f"/console/login?next={quote(target)}", 303)


def redirect(path: str, done: str = "") -> Response:
    """Return the redirect after a form; `done` names the notice on the next page."""
    separator = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{separator}done={done}" if done else path, 303)


def _problem_page(request: PageRequest, error: UsherError) -> Response:
    problems = error.problems if isinstance(error, InvalidInputError) else []
    if not error.expected:
        _log.error("a page failed", path=request.http.url.path, detail=str(error))
    response = request.page(
        "problem.html", status=error.status, message=str(error), problems=problems, status_code=error.status
    )
    if isinstance(error, TooManyRequestsError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


async def _read_form(request: Request, max_bytes: int) -> Mapping[str, Sequence[str]]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequestError("the body must be a form")
    raw = await read_body(request.scope, request.receive, max_bytes)
    try:
        return parse_qs(raw.decode("ascii"), keep_blank_values=True, max_num_fields=500, errors="strict")
    except ValueError as error:
        raise BadRequestError("the form cannot be decoded") from error
