"""Reads the forms that the console is sent, and says what of one can be kept while its user logs in again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request

from app.errors import BadRequestError
from app.server.console.access.cookies import CSRF_FIELD, Cookies
from app.server.request_body import read_body
from app.server.request_text import require_storable_form
from app.server.workers.form_job import parse_form, read_form
from app.server.workers.worker_pool import WorkerPool
from app.translation import translatable

ANONYMOUS_FORM_MAX_BYTES: Final = 16 * 1024
"""A name and two passwords: anybody can send a form before login."""
FORM_MAX_BYTES: Final = 2 * 1024 * 1024
"""A draft of 1 MiB, as a form encodes it."""

LOGGED_OUT: Final = translatable(
    "you are logged out, perhaps by another tab; nothing was saved. Go back to copy what you typed, then log in"
)
_PASSWORDS: Final = {"confirm_password", "old", "password", "repeated"}

Form = Mapping[str, Sequence[str]]


async def read_fields(http: Request, workers: WorkerPool, user_id: str | None) -> Form:
    """Return the fields of the form; None is a user who is not known, whose forms are short."""
    if not http.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequestError(translatable("the body must be a form"))
    raw = await read_body(http.scope, http.receive, ANONYMOUS_FORM_MAX_BYTES if user_id is None else FORM_MAX_BYTES)
    if user_id is None or len(raw) <= ANONYMOUS_FORM_MAX_BYTES:
        form = read_form(raw)
    else:
        form = await workers.run(user_id, parse_form, raw, in_turn=True)
    require_storable_form(form)
    return form


async def read_kept_form(http: Request, cookies: Cookies, workers: WorkerPool) -> dict[str, Any] | None:
    """Return what a page needs to show a form whose user is logged in no more, and to send it again after a login.

    None if it is no form of the last user of this browser; `typed` is empty if nothing but passwords was typed.
    """
    user_id = cookies.last_user(http)
    if user_id is None:
        return None
    form = await read_fields(http, workers, user_id)
    fields = [(name, value) for name, values in form.items() for value in values if name not in _PASSWORDS]
    typed = [(name, value) for name, value in fields if value.strip() and name != CSRF_FIELD]
    if not cookies.is_of_last_user(http, dict(fields).get(CSRF_FIELD, "")):
        return None
    path = f"{http.url.path}?{http.url.query}" if http.url.query else http.url.path
    return {"path": path, "fields": fields, "typed": typed}
