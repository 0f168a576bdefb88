"""Authentication of the JSON API by bearer tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request

from app.accounts.roles import Role
from app.accounts.tokens import USE_RECORDED_EVERY, Bearer, find_bearer, record_use
from app.errors import NotAllowedError, NotAuthenticatedError
from app.server.request_context import RequestContext


@dataclass(frozen=True, slots=True)
class ApiUser:
    """The user of a token: changes are recorded under `name`; `role` is the token's."""

    user_id: str
    name: str
    role: Role

    def require(self, role: Role) -> None:
        """Raise NotAllowedError unless the token includes `role`."""
        if not self.role.includes(role):
            raise NotAllowedError(f"this needs the role {role}; yours is {self.role}")


async def identify(context: RequestContext, request: Request) -> ApiUser:
    """Return the user of the request's token; NotAuthenticatedError without a valid one."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not secret.strip():
        raise NotAuthenticatedError(
            "a token is needed: Authorization: Bearer usher_… (make one with `usher users token`)"
        )
    now = context.now
    bearer = await context.read(partial(find_bearer, secret=secret.strip(), now=now))
    if bearer is None:
        raise NotAuthenticatedError("this token is unknown, expired or revoked, or its user is disabled")
    await _note_use(context, bearer)
    return ApiUser(bearer.user.id, bearer.user.name, bearer.role)


async def _note_use(context: RequestContext, bearer: Bearer) -> None:
    now, last = context.now, bearer.token.last_used_at
    if last is None or now - last >= USE_RECORDED_EVERY:
        await context.write(lambda connection: record_use(connection, bearer.token.id, now))
