"""Asks for the password again before what would outlive a stolen session: tokens, admins, links to choose passwords."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.responses import Response

from app.accounts.access_log import AccessEntry
from app.accounts.sessions import record_password_check
from app.accounts.users import read_user
from app.db.types import AccessKind
from app.errors import TooManyRequestsError
from app.server.console.access.cookies import CSRF_FIELD
from app.server.console.access.password_checker import Attempt
from app.server.console.framework import Handler, PageRequest
from app.server.formatting import capitalize_first
from app.translation import translatable

FIELD: Final = "confirm_password"
_ASKED: Final = "confirm_asked"
"""Sent by the form of the question itself."""
_NOT_KEPT: Final = {CSRF_FIELD, FIELD, _ASKED}


def with_password(handler: Handler, when: Callable[[PageRequest], bool] = lambda _request: True) -> Handler:
    """Return a handler that asks for the password first, unless it was typed lately or `when` says no."""

    async def confirm(request: PageRequest) -> Response:
        if not when(request) or request.logged_in_session.has_fresh_password(request.context.now):
            return await handler(request)
        given = request.field(FIELD)
        if not given:
            return _ask(request)
        try:
            is_right = await password_is_right(request, given)
        except TooManyRequestsError as error:
            response = _ask(request, f"{capitalize_first(str(error))}.", 429)
            response.headers["Retry-After"] = str(error.retry_after_s)
            return response
        if not is_right:
            return _ask(request, translatable("This is not your password."))
        session, now = request.logged_in_session, request.context.now
        await request.context.write(partial(record_password_check, session_id=session.id, now=now))
        return await handler(request)

    return confirm


async def password_is_right(request: PageRequest, password: str) -> bool:
    """Return whether it is the password of the user of the session, and record the answer.

    Raises TooManyRequestsError after too many wrong ones in this session.
    """
    user = await request.context.read(partial(read_user, user_id=request.signed_in.id))
    attempt = Attempt(user.name, request.address, f"session {request.logged_in_session.id}")
    is_right = await request.console.passwords.matches(attempt, password, user.password_hash)
    kind = AccessKind.PASSWORD_CONFIRMED if is_right else AccessKind.PASSWORD_REFUSED
    request.context.access.note(AccessEntry(kind, user.name, request.address, request.user_agent))
    return is_right


def _ask(request: PageRequest, problem: str = "", status: int = 403) -> Response:
    fields = [(name, value) for name, values in request.form.items() for value in values if name not in _NOT_KEPT]
    asked_before = bool(request.field(_ASKED))
    return request.page(
        "confirm.html",
        status=status,
        path=request.http.url.path,
        fields=fields,
        problem=problem,
        asked_before=asked_before,
    )
