"""Every error that Usher raises on purpose.

`UsherError` is the root. Each class has the HTTP status of the answer, and says whether it is *expected* (invalid
input, or a dependency that fails: one line in the log) or a defect (logged with a traceback). Errors of the SDK and of
drivers are translated once, where they happen, with `raise ... from`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Final

from app.translation import joined, translatable

_PLAIN_KEY: Final = re.compile(r"\$?[a-zA-Z_][a-zA-Z0-9_]*")
_LONGEST_NAME: Final = 64
_MOST_NAMES: Final = 500  # comparing costs time by the number and the length of the names
_MOST_LIKE: Final = 5  # names in one hint


class UsherError(Exception):
    """Root of all errors raised by Usher; the message says what is wrong and what to do."""

    status: ClassVar[int] = 500
    expected: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in what a person wrote.

    `path` is where (dotted, `[n]` for list places), `message` what is wrong and what is allowed; `found` what stood
    there; `suggestion` the nearest valid spelling, if one is near.
    """

    path: str
    message: str
    found: Any = None
    suggestion: str | None = None

    def below(self, path: str) -> Problem:
        """Return this problem, found in the value at `path`, with its whole path."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        return Problem(f"{path}{separator}{self.path}", self.message, self.found, self.suggestion)

    def __str__(self) -> str:
        text = joined(": ", (self.path, self.message)) if self.path else self.message
        return suggesting(text, repr(self.suggestion)) if self.suggestion else text


def message_of(detail: Mapping[str, Any]) -> str:
    """Return what one of pydantic's error details says, as the messages of problems are written.

    Of a ValueError that a validator raised, it is the text of that, which pydantic begins with `Value error, `.
    """
    text = str(detail["msg"])
    if detail["type"] in {"value_error", "assertion_error"}:
        return text.partition(", ")[2]
    return text[:1].lower() + text[1:]


def suggesting(text: str, name: str) -> str:
    """Return a message about a value as a sentence, with the valid name that is nearest to the value."""
    sentence = text if text.endswith((".", "?", "!")) else joined("", (text, "."))
    return translatable("%(problem)s Did you mean %(name)s?", problem=sentence, name=name)


def join_path(path: str, key: str) -> str:
    """Return the path of property `key` of the object at `path` ("" for the outermost one).

    Keys that are no plain names are put in brackets.
    """
    if not path:
        return key
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def nearest(name: str, among: Iterable[str]) -> str | None:
    """Return the spelling in `among` that `name` most likely means, if one is near."""
    names = sorted({candidate for candidate in among if len(candidate) <= _LONGEST_NAME})
    if len(name) > _LONGEST_NAME or len(names) > _MOST_NAMES:
        return None
    by_fold = {candidate.casefold(): candidate for candidate in names}
    if name.casefold() in by_fold:
        return by_fold[name.casefold()]
    near = get_close_matches(name, names, n=1, cutoff=0.7)
    return near[0] if near else None


def names_like(name: str, among: Iterable[str]) -> list[str]:
    """Return the few names in `among` that `name` may mean: those that contain it, else the nearest spellings."""
    names = sorted(set(among))
    parts = [one for one in names if name.casefold() in one.casefold()][:_MOST_LIKE] if name.strip() else []
    if parts or len(name) > _LONGEST_NAME or len(names) > _MOST_NAMES:
        return parts
    by_fold = {one.casefold(): one for one in names}
    return [by_fold[one] for one in get_close_matches(name.casefold(), by_fold, n=_MOST_LIKE, cutoff=0.7)]


def did_you_mean(name: str, among: Iterable[str], otherwise: str) -> str:
    """Return the end of a message about an unknown name: "; did you mean 'x'?", else `; see: ` and a command."""
    return names_meant(name, among) or f"; see: {otherwise}"


def names_meant(name: str, among: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "; did you mean 'x'?"; empty if none is like it."""
    alike = names_like(name, among)
    return translatable("; did you mean %(names)s?", names=", ".join(map(repr, alike))) if alike else ""


class InvalidInputError(UsherError):
    """Invalid input; `problems` holds every mistake at once."""

    status = 422

    def __init__(self, what: str, problems: list[Problem]) -> None:
        self.what = what
        self.problems = problems
        super().__init__(joined(": ", (what, joined("; ", problems))))


class SettingsError(InvalidInputError):
    """The environment (or .env) cannot be used; every wrong setting is listed."""


class SignatureRefusedError(UsherError):
    """A webhook's signature is missing, stale, tampered with, or made with an unknown key.

    `reason` is one of a fixed set of metric labels; the message never repeats the token.
    """

    status = 401

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class UnreadableWebhookError(UsherError):
    """The body is signed correctly, but is not a webhook that Usher can read."""

    status = 400


class PayloadTooLargeError(UsherError):
    """The request body exceeds the limit."""

    status = 413


class DatabaseUnavailableError(UsherError):
    """The database cannot be used now; the caller should try again later."""

    status = 503


class LockHeldError(DatabaseUnavailableError):
    """A transaction of another program holds a lock that the write needs, and has not ended."""


class WriteRefusedError(UsherError):
    """The database works, and refuses what was written: a constraint, a trigger, a permission.

    `__cause__` is the driver's error. An operator must correct it; a webhook that LiveKit then sends again is accepted.
    """

    status = 503


class SchemaMismatchError(UsherError):
    """The database schema is not the one this version needs; the message names the command to run."""

    status = 503


class NotFoundError(UsherError):
    """No row has that id or name.

    `listed_by` is the command that lists what there is: it ends the message, but for pages, which have `plain_message`
    and link to the page that lists the same.
    """

    status = 404

    def __init__(self, message: str, listed_by: str = "") -> None:
        super().__init__(f"{message}; see: {listed_by}" if listed_by else message)
        self.plain_message, self.listed_by = message, listed_by


class ConflictError(UsherError):
    """The request contradicts the current state (changed in the meantime, or not allowed from here)."""

    status = 409


class BadRequestError(UsherError):
    """The request itself cannot be read (not JSON, not a form)."""

    status = 400


class NotAuthenticatedError(UsherError):
    """The request has no credentials, or invalid ones."""

    status = 401


class NotAllowedError(UsherError):
    """The role of the user or token does not allow the request."""

    status = 403


class FormRefusedError(NotAllowedError):
    """The form lacks the CSRF token of its session."""


class EditedMeanwhileError(UsherError):
    """The rule was edited since the request's version of it (`If-Match` names an older one)."""

    status = 412


class PreconditionNeededError(UsherError):
    """The request must name the version that it is based on (`If-Match`)."""

    status = 428


class TooMuchWorkError(UsherError):
    """What was sent takes longer to check or to try than a request may take."""

    status = 422


class TooManyRequestsError(UsherError):
    """Too many requests; `retry_after_s` says when to try again."""

    status = 429

    def __init__(self, message: str, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


def cause_of(error: Exception) -> str:
    """Return the first line of what a driver says; of SQLAlchemy's errors that of the driver's below them."""
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
