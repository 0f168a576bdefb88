"""Logging in through the OpenID Connect provider, and what else needs a login there.

The authorization code flow with PKCE (RFC 7636). State, nonce and verifier are in a signed cookie, so that an answer of
the provider is accepted only in the browser that asked for it, within ten minutes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from app.accounts.access_log import AccessEntry
from app.accounts.openid.admission import admit
from app.accounts.openid.id_token_expected import Expected, authenticated_at
from app.accounts.openid.login_errors import LoginRefusedError, ProviderError
from app.accounts.openid.provider_person import read_person
from app.accounts.roles import Role
from app.accounts.sessions import PASSWORD_FRESH_FOR, record_password_check
from app.accounts.users import Identity, read_user, set_identity
from app.clock import new_secret
from app.db.types import AccessKind
from app.errors import ConflictError, NotFoundError, TooManyRequestsError, UsherError
from app.server.console.access.confirmation import with_password
from app.server.console.access.login import logged_in, login_again, target_of
from app.server.console.framework import Console, PageRequest, form_route, page_route, redirect
from app.settings import CALLBACK_PATH
from app.translation import gettext, translatable

if TYPE_CHECKING:
    from app.flows.outgoing.identity_provider import IdentityProvider


class Purpose(StrEnum):
    """What a login at the provider is for."""

    LOGIN = "login"
    CONFIRM = "confirm"  # in place of the password, before what would outlive a stolen session
    CONNECT = "connect"  # of a user who has logged in with a password


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """What the browser keeps while its user is at the provider."""

    purpose: str
    state: str
    nonce: str
    verifier: str
    target: str
    session_id: str
    """Empty for a login."""
    begun_at: str

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.begun_at)


def provider_login_routes(console: Console) -> list[BaseRoute]:
    """Return the routes of logins through the provider."""
    return [
        page_route(console, "/console/oidc/login", start_login, None),
        page_route(console, "/console/oidc/confirm", start_confirmation, by_project=True),
        page_route(console, "/console/account/confirmed", show_confirmed, by_project=True),
        page_route(console, CALLBACK_PATH, come_back, None),
        form_route(console, "/console/account/oidc", with_password(connect), Role.VIEWER, by_project=True),
        form_route(console, "/console/account/oidc/end", with_password(disconnect_me), Role.VIEWER, by_project=True),
        form_route(console, "/console/users/{user_id}/disconnect", with_password(disconnect), Role.ADMIN),
    ]


async def start_login(request: PageRequest) -> Response:
    provider, target = _provider(request), target_of(request)
    if request.user is not None:
        return redirect(target)
    # The provider sends the browser to the public URL, where a cookie of another host name is not sent.
    public = urlsplit(provider.provider.callback_url)
    if request.http.headers.get("host") != public.netloc and not request.field("moved"):
        other = "&other=1" if request.field("other") == "1" else ""
        where = f"{public.scheme}://{public.netloc}/console/oidc/login?moved=1{other}&next={quote(target, safe='')}"
        return RedirectResponse(where, 303)
    try:
        flow, url = await _begin(request, Purpose.LOGIN, target, other_account=request.field("other") == "1")
    except UsherError as error:
        return _failed(request, Purpose.LOGIN, error)
    return _sent_away(request, flow, RedirectResponse(url, 303))


async def start_confirmation(request: PageRequest) -> Response:
    try:
        flow, url = await _begin(request, Purpose.CONFIRM, target_of(request))
    except UsherError as error:
        return _failed(request, Purpose.CONFIRM, error)
    return _sent_away(request, flow, RedirectResponse(url, 303))


async def show_confirmed(request: PageRequest) -> Response:
    """Say that the form, which waits in another tab with all that was typed, can be sent now."""
    return request.page("confirmed.html")


async def connect(request: PageRequest) -> Response:
    """Show the link to the provider: a redirect after a form to another host is not allowed by the page's policy."""
    flow, url = await _begin(request, Purpose.CONNECT, "/console/account")
    return _sent_away(request, flow, request.page("connect.html", url=url))


async def disconnect_me(request: PageRequest) -> Response:
    user, now = request.signed_in, request.context.now
    if not user.has_password:
        raise ConflictError(
            translatable("you have no password, so you could not log in any more; an admin can give you a link")
        )
    await request.context.write(partial(set_identity, user_id=user.id, identity=None, by=user.name, now=now))
    return redirect("/console/login")


async def disconnect(request: PageRequest) -> Response:
    user_id, now, by = request.path_id("user_id"), request.context.now, request.signed_in
    await request.context.write(partial(set_identity, user_id=user_id, identity=None, by=by.name, now=now))
    return redirect("/console/users", "user")


async def come_back(request: PageRequest) -> Response:
    """Answer the browser that the provider has sent back."""
    _provider(request)
    kept = request.console.cookies.login_flow_of(request.http, request.field("state"))
    flow = None if kept is None else LoginFlow(**kept)
    try:
        response = await _answer(request, _checked(request, flow))
    except UsherError as error:
        response = _failed(request, Purpose.LOGIN if flow is None else Purpose(flow.purpose), error, flow)
    if flow is not None:
        request.console.cookies.end_login_flow(request.http, response, flow.state)
    return response


async def _begin(
    request: PageRequest, purpose: Purpose, target: str, *, other_account: bool = False
) -> tuple[LoginFlow, str]:
    session_id = "" if request.session is None else request.session.id
    begun_at = request.context.now.isoformat()
    flow = LoginFlow(purpose, new_secret(), new_secret(), new_secret(), target, session_id, begun_at)
    url = await _provider(request).authorization_url(
        state=flow.state,
        nonce=flow.nonce,
        verifier=flow.verifier,
        again=purpose is not Purpose.LOGIN,
        other_account=other_account,
    )
    return flow, url


def _sent_away(request: PageRequest, flow: LoginFlow, response: Response) -> Response:
    request.console.cookies.begin_login_flow(request.http, response, flow.state, asdict(flow))
    if request.session is None:
        # The response sets a cookie, so the framework leaves that of a browser without a session to us.
        request.console.cookies.write(request.http, response, request.cookie)
    return response


def _checked(request: PageRequest, flow: LoginFlow | None) -> LoginFlow:
    """Return `flow` if the answer is to it and is no error; raise LoginRefusedError if not."""
    error = request.field("error")
    if flow is not None and error and not request.field("state"):
        raise _as_refusal(error, request.field("error_description"))  # some providers leave the state out of errors
    if flow is None or not hmac.compare_digest(flow.state.encode(), request.field("state").encode()):
        message = translatable("This login was not begun in this browser, or more than ten minutes ago. Log in again.")
        why = "no login was begun in this browser" if flow is None else "the state is another one"
        raise LoginRefusedError(message, why)
    if (issuer := request.field("iss")) and issuer != _provider(request).provider.issuer:  # RFC 9207
        message = translatable("Another provider has answered. Log in again.")
        raise LoginRefusedError(message, "the answer is of another issuer")
    if error:
        raise _as_refusal(error, request.field("error_description"))
    if not request.field("code"):
        raise LoginRefusedError(translatable("The provider has sent no code. Log in again."), "there is no code")
    return flow


def _as_refusal(error: str, description: str) -> LoginRefusedError:
    text = "".join(letter if letter.isprintable() else " " for letter in f"{error[:60]}: {description[:200]}")
    detail = f"the provider answered {text}"
    match error:
        case "access_denied":
            return LoginRefusedError(
                translatable("You have cancelled the login, or the provider does not let you in."), detail
            )
        case "temporarily_unavailable" | "server_error":
            return LoginRefusedError(
                translatable("The provider cannot log you in at this moment. Try again later."), detail
            )
        case _:
            return LoginRefusedError(
                translatable(
                    "The provider has refused the login. An admin can see why in the log of logins and refusals."
                ),
                detail,
            )


async def _answer(request: PageRequest, flow: LoginFlow) -> Response:
    provider, purpose = _provider(request), Purpose(flow.purpose)
    request.console.passwords.count(request.address)
    settings = provider.provider
    since = None if purpose is Purpose.LOGIN else flow.began
    expected = Expected(settings.issuer, settings.client_id, flow.nonce, since)
    claims, id_token = await provider.redeem(request.field("code"), flow.verifier, expected)
    match purpose:
        case Purpose.LOGIN:
            return await _log_in(request, claims, flow, id_token)
        case Purpose.CONFIRM:
            return await _confirm(request, claims, flow)
        case Purpose.CONNECT:
            return await _connect(request, claims, flow)


async def _log_in(request: PageRequest, claims: Mapping[str, Any], flow: LoginFlow, id_token: str) -> Response:
    provider, now = _provider(request).provider, request.context.now
    person = read_person(claims, provider)
    user = await request.context.write(partial(admit, person=person, now=now))
    at = authenticated_at(claims)
    # A provider may let in people who have logged in there long ago; that does not confirm who sits there now.
    confirmed_at = now - PASSWORD_FRESH_FOR
    if at is not None and confirmed_at.timestamp() < at:
        confirmed_at = datetime.fromtimestamp(min(at, now.timestamp()), UTC)
    after, how = redirect(flow.target), f"through {provider.name}"
    return await logged_in(request, user, after, how, confirmed_at=confirmed_at, id_token=id_token)


async def _confirm(request: PageRequest, claims: Mapping[str, Any], flow: LoginFlow) -> Response:
    provider, now = _provider(request).provider, request.context.now
    _require_same_session(request, flow)
    user = await request.context.read(partial(read_user, user_id=request.signed_in.id))
    if user.identity != Identity(provider.issuer, claims["sub"]):
        message = translatable("At the provider, you are not %(name)s.", name=user.name)
        raise LoginRefusedError(message, "another person at the provider")
    await request.context.write(partial(record_password_check, session_id=flow.session_id, now=now))
    _note(request, AccessKind.PASSWORD_CONFIRMED, user.name, f"at {provider.name}")
    return redirect(flow.target, "confirmed")


async def _connect(request: PageRequest, claims: Mapping[str, Any], flow: LoginFlow) -> Response:
    provider, now = _provider(request).provider, request.context.now
    _require_same_session(request, flow)
    user, identity = request.signed_in, Identity(provider.issuer, claims["sub"])
    await request.context.write(partial(set_identity, user_id=user.id, identity=identity, by=user.name, now=now))
    return redirect("/console/account", "connected")


def _require_same_session(request: PageRequest, flow: LoginFlow) -> None:
    if request.session is None or request.session.id != flow.session_id:
        message = translatable("Your session has ended meanwhile. Log in and try again.")
        raise LoginRefusedError(message, "another session")


def _failed(request: PageRequest, purpose: Purpose, error: UsherError, flow: LoginFlow | None = None) -> Response:
    """Return the page that says in plain words why; what it was about is in the log of logins and refusals."""
    if isinstance(error, LoginRefusedError | ProviderError | TooManyRequestsError):
        kind = AccessKind.LOGIN_FAILED if purpose is Purpose.LOGIN else AccessKind.PASSWORD_REFUSED
        kind = AccessKind.LOGIN_THROTTLED if isinstance(error, TooManyRequestsError) else kind
        detail = error.detail if isinstance(error, LoginRefusedError) else str(error)
        named = error.user_name if isinstance(error, LoginRefusedError) else ""
        name = named or ("" if request.user is None else request.user.name)
        _note(request, kind, name, f"through {request.context.provider_name}: {detail}")
    text = gettext(str(error))
    message = f"{text[:1].upper()}{text[1:]}"
    if purpose is Purpose.LOGIN or request.user is None:
        target = target_of(request) if flow is None or purpose is not Purpose.LOGIN else flow.target
        # Who has logged in there as somebody else would be sent back at once as that person.
        is_known_there = flow is not None and isinstance(error, LoginRefusedError) and bool(request.field("code"))
        response = login_again(request, "", message, error.status, target=target, other_account=is_known_there)
    else:
        confirms = purpose is Purpose.CONFIRM
        response = request.page("unconfirmed.html", status=error.status, message=message, confirms=confirms)
    if isinstance(error, TooManyRequestsError):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if request.session is None:
        request.console.cookies.write(request.http, response, request.cookie)  # as in _sent_away
    return response


def _note(request: PageRequest, kind: AccessKind, name: str, detail: str) -> None:
    request.context.access.note(AccessEntry(kind, name, request.address, request.user_agent, detail))


def _provider(request: PageRequest) -> IdentityProvider:
    provider = request.context.identity_provider
    if provider is None:
        raise NotFoundError(translatable("no provider for logins is set up; see USHER_OIDC_ISSUER"))
    return provider
