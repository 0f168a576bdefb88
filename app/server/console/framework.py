"""Requests to the console: the session, the user, the form, and the page that answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from app.accounts.access_log import AccessEntry
from app.accounts.roles import Role
from app.accounts.sessions import PREFIX, Session, find_session, record_seen, shortened
from app.accounts.users import User
from app.db.types import AccessKind
from app.errors import DatabaseUnavailableError, FormRefusedError, InvalidInputError, NotAllowedError, UsherError
from app.logs import get_logger
from app.server.access.anonymous_answers import mark_identified
from app.server.access.networks import address_of
from app.server.access.redirect_targets import MAX_LOGIN_TARGET, short_target
from app.server.console.access.cookies import CSRF_FIELD, FORM_EXPIRED, Cookies
from app.server.console.access.forms import LOGGED_OUT, read_fields, read_kept_form
from app.server.console.access.password_checker import PasswordChecker
from app.server.console.navigation import facts_of_error, navigation_of
from app.server.console.notices import NOTICES
from app.server.privacy.read_recorder import subject_of
from app.server.problems import error_headers
from app.server.request_context import RequestContext
from app.server.request_text import require_storable_address
from app.server.templating import SECURITY_HEADERS, STATIC_VERSION, anonymous_problem_page, render
from app.server.translations.route import route_in_language
from app.translation import translatable

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Console:
    """What all pages of one process share."""

    context: RequestContext
    cookies: Cookies
    passwords: PasswordChecker


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One authorized request; `session` and `user` are None before login, `form` is empty for GET."""

    console: Console
    http: Request
    cookie: str
    session: Session | None = None
    user: User | None = None
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def context(self) -> RequestContext:
        return self.console.context

    @property
    def signed_in(self) -> User:
        """The user; NotAllowedError if not logged in."""
        if self.user is None:
            raise NotAllowedError(translatable("log in first"))
        return self.user

    @property
    def logged_in_session(self) -> Session:
        """The session; NotAllowedError if not logged in."""
        if self.session is None:
            raise NotAllowedError(translatable("log in first"))
        return self.session

    @property
    def address(self) -> str:
        return address_of(self.http.scope)

    @property
    def user_agent(self) -> str:
        return shortened(self.http.headers.get("user-agent", ""))

    @property
    def form_key(self) -> str:
        return self.console.cookies.form_key(self.http, self.user, self.cookie)

    def path_id(self, name: str) -> str:
        """Return an id of the path."""
        return str(self.http.path_params[name])

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form, or of the query of a page: addresses are kept in logs and histories."""
        if self.http.method == "POST":
            return (self.form.get(name) or (default,))[-1]
        return self.http.query_params.get(name, default)

    def may(self, role: Role) -> bool:
        return self.user is not None and self.user.role.includes(role)

    def page(self, template: str, *, status: int = 200, active: str = "", **values: Any) -> Response:
        """Return a whole page."""
        text = render(
            template,
            user=self.user,
            may_edit=self.may(Role.EDITOR),
            may_manage=self.may(Role.ADMIN),
            navigation=[] if self.user is None else navigation_of(self.user),
            active=active,
            csrf=self.console.cookies.csrf(self.form_key),
            provider_name=self.context.provider_name,
            static=f"/console/static/{STATIC_VERSION}",
            shown_at=self.context.now.isoformat(),
            is_refused=self.http.method == "POST" and status >= HTTPStatus.BAD_REQUEST,
            notice=NOTICES.get(self.http.query_params.get("done", "")),
            **values,
        )
        return HTMLResponse(text, status)

    async def note_read(self, operation: str) -> None:
        """Record that the user gets data of participants, where a form shows them; pages: see `page_route`."""
        await self.context.reads.note(self.signed_in.name, "console", operation, "")

    def fragment(self, template: str, **values: Any) -> Response:
        """Return a part of a page, which the script puts into its place."""
        csrf = self.console.cookies.csrf(self.form_key)
        return HTMLResponse(render(template, user=self.user, may_edit=self.may(Role.EDITOR), csrf=csrf, **values))


Handler = Callable[[PageRequest], Awaitable[Response]]


def page_route(
    console: Console,
    path: str,
    handler: Handler,
    role: Role | None = Role.VIEWER,
    *,
    shows_people: bool = False,
    by_project: bool = False,
) -> BaseRoute:
    """Return the route of a page for users with `role`; None is for everybody.

    `by_project`: it keeps to the projects that the user is restricted to; if not, such users are refused.
    `shows_people`: it holds data of participants, and reads of it can be recorded.
    """
    handler = _recording(handler, path) if shows_people else handler
    endpoint = partial(_serve, console, path, _for_all(handler, by_project), role)
    return route_in_language(path, endpoint, "GET", console.cookies.language_of)


def _recording(handler: Handler, path: str) -> Handler:
    async def record(request: PageRequest) -> Response:
        response, http = await handler(request), request.http
        subject = subject_of(http.path_params, dict(http.query_params))
        await request.context.reads.note(request.signed_in.name, "console", path.partition("{")[0], subject)
        return response

    return record


def form_route(
    console: Console, path: str, handler: Handler, role: Role | None = Role.EDITOR, *, by_project: bool = False
) -> BaseRoute:
    """Return the route of a form; posts without the session's CSRF token are refused. `by_project`: as of pages."""
    endpoint = partial(_serve, console, path, _for_all(handler, by_project), role)
    return route_in_language(path, endpoint, "POST", console.cookies.language_of)


def _for_all(handler: Handler, by_project: bool) -> Handler:
    """Return `handler`, which refuses users who are restricted to projects unless it keeps to these."""
    if by_project:
        return handler

    async def answer(request: PageRequest) -> Response:
        if request.user is not None and request.user.projects is not None:
            names = ", ".join(request.user.projects)
            raise NotAllowedError(translatable("this is about all projects; yours: %(names)s", names=names))
        return await handler(request)

    return answer


async def _serve(console: Console, path: str, handler: Handler, role: Role | None, http: Request) -> Response:
    request, gets_cookie = PageRequest(console, http, console.cookies.read(http)), False
    try:
        request, gets_cookie = await identify(request)
        require_storable_address(http)
        is_form, has_cookie = http.method == "POST", not gets_cookie
        if role is not None and request.user is None:
            response = await _kept_form(request, has_cookie=has_cookie) if is_form else _ask_to_log_in(request)
        else:
            request = await _with_form(request, has_cookie=has_cookie) if is_form else request
            if role is not None:
                request.signed_in.role.require(role)
            response = await handler(request)
    except UsherError as error:
        _record_refusal(request, path, error)
        response = _problem_page(request, error)
    if gets_cookie and "set-cookie" not in response.headers:
        console.cookies.write(http, response, request.cookie)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _with_form(request: PageRequest, *, has_cookie: bool) -> PageRequest:
    if not has_cookie:  # no token can belong to a cookie that has just been made: the form is not read
        raise FormRefusedError(FORM_EXPIRED)
    form = await read_fields(request.http, request.context.workers, request.user.id if request.user else None)
    request = replace(request, form=form)
    request.console.cookies.require_csrf(request.form_key, request.field(CSRF_FIELD))
    return request


async def _kept_form(request: PageRequest, *, has_cookie: bool) -> Response:
    """Answer a form of users from a browser that is logged in no more: its page keeps what was typed."""
    if "x-fragment" in request.http.headers:
        return _ask_to_log_in(request)
    kept = await read_kept_form(request.http, request.console.cookies, request.context.workers)
    if kept is not None and kept["typed"]:
        return request.page("kept_form.html", status=401, **kept)
    if kept is not None or _has_ended(request):
        return _ask_to_log_in(request)
    raise FormRefusedError(LOGGED_OUT if has_cookie else FORM_EXPIRED)


async def identify(request: PageRequest) -> tuple[PageRequest, bool]:
    """Return the request with session and user, and whether its browser is to get a cookie for want of a valid one."""
    console, secret = request.console, request.cookie
    if secret.startswith(PREFIX):
        load = partial(find_session, secret=secret, now=request.context.now, limits=request.context.session_limits)
        if (found := await request.context.read(load)) is not None:
            session, user = found
            mark_identified(request.http)
            await _record_seen(request, session)
            return replace(request, session=session, user=user), False
    if console.cookies.is_anonymous(secret):
        return request, False
    return replace(request, cookie=console.cookies.new_anonymous()), True


async def _record_seen(request: PageRequest, session: Session) -> None:
    now = request.context.now
    refreshes = request.http.method == "GET" and "x-fragment" in request.http.headers  # its user may not be there
    if refreshes or now - session.last_seen_at < request.context.session_limits.seen_every:
        return
    await request.context.write_trace(partial(record_seen, session_id=session.id, now=now))


def _record_refusal(request: PageRequest, path: str, error: UsherError) -> None:
    if not isinstance(error, NotAllowedError):
        return
    kind = AccessKind.FORM_REFUSED if isinstance(error, FormRefusedError) else AccessKind.ROLE_REFUSED
    where = f"{request.http.method} {path}"  # that of the route: a link may hold a secret
    name = "" if request.user is None else request.user.name
    request.context.access.note(AccessEntry(kind, name, request.address, request.user_agent, where))


def _has_ended(request: PageRequest) -> bool:
    """Return whether the browser has had a session, and it has ended since the last page was shown."""
    return request.session is None and request.console.cookies.read(request.http).startswith(PREFIX)


def _ask_to_log_in(request: PageRequest) -> Response:
    http = request.http
    if http.headers.get("x-fragment"):
        return Response(status_code=401)
    query = f"?{http.url.query}" if http.url.query else ""
    target = short_target(http.url.path + query, MAX_LOGIN_TARGET) if http.method == "GET" else "/console/"
    ended = "&ended=1" if _has_ended(request) else ""
    return RedirectResponse(f"/console/login?next={quote(target)}{ended}", 303)


def redirect(path: str, done: str = "") -> Response:
    """Return the redirect after a form; `done` names the notice on the next page."""
    separator = "&" if "?" in path else "?"
    return RedirectResponse(short_target(f"{path}{separator}done={done}" if done else path), 303)


def _problem_page(request: PageRequest, error: UsherError) -> Response:
    problems = error.problems if isinstance(error, InvalidInputError) else []
    if not error.expected:
        _log.error("a page failed", path=request.http.url.path, detail=str(error))
    status, facts = error.status, facts_of_error(error, request.http.url.path)
    if request.user is None and not problems and not request.http.query_params:
        response: Response = HTMLResponse(anonymous_problem_page(facts["message"], status), status)
    else:
        response = request.page("problem.html", status=status, problems=problems, **facts)
    response.headers.update(error_headers(error))
    if isinstance(error, DatabaseUnavailableError) and request.http.method == "GET":
        response.headers["Refresh"] = "5"  # seconds: the page comes by itself once the database is back
    return response
