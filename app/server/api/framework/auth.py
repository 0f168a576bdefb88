"""Authentication of the JSON API by bearer tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request

from app.accounts.access_log import AccessEntry
from app.accounts.roles import Projects, Role
from app.accounts.sessions import shortened
from app.accounts.tokens import USE_RECORDED_EVERY, Bearer, Token, find_any_bearer, find_bearer, record_use
from app.db.types import AccessKind, format_instant
from app.errors import NotAllowedError, NotAuthenticatedError
from app.server.access.anonymous_answers import mark_identified
from app.server.access.networks import address_of
from app.server.privacy.names import bearer_of
from app.server.request_context import RequestContext


@dataclass(frozen=True, slots=True)
class ApiUser:
    """The user of a token: changes are recorded under `name`; `role` is the token's."""

    user_id: str
    name: str
    role: Role
    projects: Projects
    token: Token

    def require(self, role: Role) -> None:
        """Raise NotAllowedError unless the token includes `role`."""
        self.role.require(role)

    def require_all_projects(self) -> None:
        """Raise NotAllowedError if the token is restricted to some projects."""
        if self.projects is not None:
            raise NotAllowedError(f"this is about all projects; yours: {', '.join(sorted(self.projects)) or 'none'}")


async def identify(context: RequestContext, request: Request) -> ApiUser:
    """Return the user of the request's token; NotAuthenticatedError without a valid one."""
    secret = bearer_of(request)
    if not secret:
        raise NotAuthenticatedError(
            "a token is needed: Authorization: Bearer usher_… (make one with `usher users token`)"
        )
    now = context.now
    bearer = await context.read(partial(find_bearer, secret=secret, now=now))
    if bearer is None or bearer.role is None:
        raise NotAuthenticatedError("this token is unknown, expired or revoked, or its user is disabled")
    mark_identified(request)
    await _note_use(context, bearer)
    return ApiUser(bearer.user.id, bearer.user.name, bearer.role, bearer.projects, bearer.token)


def expiry_warning(token: Token, now: datetime) -> dict[str, str]:
    """Return a header that says when the token expires, if that is soon."""
    if token.expires_at is None or not token.expires_soon(now):
        return {}
    return {"Usher-Token-Expires": format_instant(token.expires_at)}


async def record_refusal(
    context: RequestContext, request: Request, path: str, error: NotAuthenticatedError | NotAllowedError
) -> None:
    """Record that a request was refused; one without a token is not worth it."""
    if not (secret := bearer_of(request)):
        return
    bearer = await context.read(partial(find_any_bearer, secret=secret))
    kind = AccessKind.ROLE_REFUSED if isinstance(error, NotAllowedError) else AccessKind.TOKEN_REFUSED
    name = "" if bearer is None else bearer.user.name
    address = address_of(request.scope)
    user_agent = shortened(request.headers.get("user-agent", ""))
    where = f"{request.method} {path}" + ("" if bearer is None else f" with token {bearer.token.name!r}")
    context.access.note(AccessEntry(kind, name, address, user_agent, where))


async def _note_use(context: RequestContext, bearer: Bearer) -> None:
    now, last = context.now, bearer.token.last_used_at
    if last is None or now - last >= USE_RECORDED_EVERY:
        await context.write_trace(lambda connection: record_use(connection, bearer.token.id, now))
