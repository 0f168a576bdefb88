"""Checks whether a lookup may be saved, and reports everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic_core import to_json

from app.db.columns.lookup_columns import LOOKUP_COLUMNS, MAX_CACHE_S, MAX_TIMEOUT_MS
from app.errors import Problem, join_path, nearest
from app.livekit.vocabulary import JOINS
from app.rules.check_json import json_problems
from app.rules.language.pattern import EVENT, Pattern, PatternError, full_pattern, read_pattern
from app.translation import translatable
from app.webhook.lookup_answers import LOOKUP, STATUS_SUFFIX

__all__ = [
    "DEFAULTS",
    "ENV",
    "MAX_ANSWER_BYTES",
    "MAX_CACHE_S",
    "MAX_TIMEOUT_MS",
    "REQUIRED",
    "check_lookup",
    "complete",
    "is_header_value",
    "read_lookup_pattern",
]

MAX_ANSWER_BYTES: Final = 65_536
"""Longest answer, and `on_error`: it is stored with each event."""
ENV: Final = "env:"
"""What a header's value begins with that is the name of an environment variable."""
DEFAULTS: Final[Mapping[str, Any]] = {
    "enabled": True,
    "headers": None,
    "timeout_ms": 1500,
    "cache_s": 0,
    "on_error": None,
}
REQUIRED: Final = ("name", "pattern", "url")
_STAMPS: Final = frozenset({"id", "created_at", "updated_at", "updated_by", "version"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110: token
_MOST_HEADERS: Final = 20
_MOST_CHARACTERS: Final = 2_000
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "expect", "te"}
    | {"trailer", "upgrade", "keep-alive"}
)
"""Headers that the client sets itself: others could make two requests of one."""
_SECRET: Final = re.compile(r"auth|cookie|token|secret|password|(^|[-_])key($|[-_])|signature", re.IGNORECASE)
"""Names of headers that hold secrets, which must not stand in the table."""


def check_lookup(row: Mapping[str, Any]) -> list[Problem]:
    """Return all problems of one lookup; empty when it may be saved. Paths begin with the column."""
    problems = [problem for name in row if (problem := _unknown_column(name)) is not None]
    for column in LOOKUP_COLUMNS:
        if column in row:
            problems += _CHECKS[column](column, row[column])
        elif column in REQUIRED:
            problems.append(Problem(column, translatable("is required")))
    return problems


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that people write, with the defaults of those that are left out."""
    return {column: row[column] if column in row else DEFAULTS.get(column) for column in LOOKUP_COLUMNS}


def read_lookup_pattern(value: Any) -> tuple[Pattern | None, list[Problem]]:
    """Return the pattern of a lookup, or what is wrong with it."""
    try:
        pattern = read_pattern(full_pattern(value))
    except PatternError as error:
        return None, [problem.below("pattern") for problem in error.problems]
    problems = []
    paths = {path for alternative in pattern.alternatives for path in alternative}
    for path in sorted(path for path in paths if path == LOOKUP or path.startswith(f"{LOOKUP}.")):
        message = translatable(
            "cannot depend on the answer of a lookup: all lookups of a join are asked at the same time"
        )
        problems.append(Problem(f"pattern.{path}", message))
    if not any(_can_be_join(alternative) for alternative in pattern.alternatives):
        message = translatable("must be able to match a join: lookups are asked when a participant joins")
        problems.append(Problem(f"pattern.{EVENT}", message, suggestion='["participant_joined"]'))
    return (None if problems else pattern), problems


def _can_be_join(alternative: Mapping[str, Any]) -> bool:
    matchers = alternative.get(EVENT)
    return matchers is None or any(matcher.holds(event.value) for matcher in matchers for event in JOINS)


def _unknown_column(name: Any) -> Problem | None:
    if name in LOOKUP_COLUMNS or name in _STAMPS:
        return None
    suggestion = nearest(str(name)[:100], LOOKUP_COLUMNS)
    message = translatable("is not a column of a lookup; columns are %(names)s", names=", ".join(LOOKUP_COLUMNS))
    return Problem(str(name)[:100] or '""', message, suggestion=suggestion)


def _check_name(column: str, value: Any) -> list[Problem]:
    message = translatable(
        "must have 1 to 63 letters, digits and _, and begin with a letter: templates read lookup.NAME"
    )
    if not isinstance(value, str):
        return [Problem(column, message, found=value)]
    if not _NAME.fullmatch(value):
        corrected = re.sub(r"\W+", "_", value.strip(), flags=re.ASCII)[:63].strip("_")
        return [Problem(column, message, value[:100], corrected if _NAME.fullmatch(corrected) else None)]
    if value.endswith(STATUS_SUFFIX):
        message = translatable(
            "must not end with %(status_suffix)s: lookup.NAME%(status_suffix)s is the status of the lookup NAME",
            status_suffix=STATUS_SUFFIX,
        )
        return [Problem(column, message, found=value)]
    return []


def _check_enabled(column: str, value: Any) -> list[Problem]:
    return [] if isinstance(value, bool) else [Problem(column, translatable("must be true or false"), found=value)]


def _check_pattern(column: str, value: Any) -> list[Problem]:
    return json_problems(column, value) or read_lookup_pattern(value)[1]


def _check_url(column: str, value: Any) -> list[Problem]:
    if not isinstance(value, str) or not value:
        return [Problem(column, translatable("must be an address such as https://crm.example.com/usher"), found=value)]
    if len(value) > _MOST_CHARACTERS:
        return [Problem(column, translatable("must have at most %(most)s characters", most=_MOST_CHARACTERS))]
    if not value.isprintable() or " " in value or "\\" in value:
        return [Problem(column, translatable("must have no spaces, backslashes or unprintable characters"))]
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return [Problem(column, translatable("is no address: %(error)s", error=error), found=value)]
    if parts.scheme not in {"http", "https"} or not host:
        message = translatable("must begin with https:// or http:// and name a host")
        return [Problem(column, message, value[:200], None if "://" in value else f"https://{value[:200]}")]
    if parts.username is not None or parts.password is not None:
        message = translatable(
            "must hold no user or password, which everybody could read; put them into a header as env:NAME"
        )
        return [Problem(column, message)]
    if parts.fragment:
        return [Problem(column, translatable("must have no fragment (#…), which is not sent"), found=value[:200])]
    return []


def _check_headers(column: str, value: Any) -> list[Problem]:
    if value is None:
        return []
    if not isinstance(value, dict):
        message = translatable("must be an object such as %(example)s", example='{"authorization": "env:CRM_TOKEN"}')
        return [Problem(column, message, found=value)]
    if len(value) > _MOST_HEADERS:
        return [
            Problem(
                column,
                translatable(
                    "must have at most %(most)s headers, found %(count)s", most=_MOST_HEADERS, count=len(value)
                ),
            )
        ]
    problems = [
        problem for name, text in value.items() for problem in _check_header(join_path(column, name), name, text)
    ]
    lower = [name.lower() for name in value]
    problems += [
        Problem(join_path(column, name), translatable("is given twice; upper and lower case are the same"))
        for name in value
        if lower.count(name.lower()) > 1
    ]
    return problems


def _check_header(path: str, name: str, value: Any) -> list[Problem]:
    if not _HEADER.fullmatch(name):
        return [Problem(path, translatable("is no name of a header: letters, digits and hyphens"), found=name[:100])]
    if name.lower() in _OURS or name.lower().startswith("proxy-"):
        return [Problem(path, translatable("is set by Usher itself; remove it"))]
    if not isinstance(value, str):
        return [
            Problem(
                path, translatable("must be text, or env:NAME for the value of an environment variable"), found=value
            )
        ]
    if value.startswith(ENV):
        # `usher rules check` imports the settings only for a file that needs them.
        from app.settings.lookup_secrets import variable_problem  # noqa: PLC0415

        message = variable_problem(value.removeprefix(ENV))
        return [Problem(path, message, found=value[:100])] if message else []
    if _SECRET.search(name):
        return [
            Problem(
                path, translatable("must be env:NAME, so that no secret stands in the database"), suggestion="env:NAME"
            )
        ]
    if len(value) > _MOST_CHARACTERS or not is_header_value(value):
        return [
            Problem(
                path,
                translatable("must be one line of at most %(most)s printable ASCII characters", most=_MOST_CHARACTERS),
            )
        ]
    return []


def is_header_value(value: str) -> bool:
    """Return whether a text can be sent as the value of a header: no line break can begin another header."""
    return value.isascii() and value.isprintable()


def _check_whole(least: int, most: int) -> Callable[[str, Any], list[Problem]]:
    def check(column: str, value: Any) -> list[Problem]:
        message = translatable("must be a whole number from %(least)s to %(most)s", least=least, most=most)
        if isinstance(value, bool) or not isinstance(value, int):
            return [Problem(column, message, found=value)]
        if not least <= value <= most:
            return [Problem(column, message, value, str(min(max(value, least), most)))]
        return []

    return check


def _check_on_error(column: str, value: Any) -> list[Problem]:
    problems = json_problems(column, value)
    if not problems and len(to_json(value)) > MAX_ANSWER_BYTES:
        return [
            Problem(
                column, translatable("must have at most %(most)s bytes, as answers may have", most=MAX_ANSWER_BYTES)
            )
        ]
    return problems


_CHECKS: Final[Mapping[str, Callable[[str, Any], list[Problem]]]] = {
    "name": _check_name,
    "enabled": _check_enabled,
    "pattern": _check_pattern,
    "url": _check_url,
    "headers": _check_headers,
    "timeout_ms": _check_whole(1, MAX_TIMEOUT_MS),
    "cache_s": _check_whole(0, MAX_CACHE_S),
    "on_error": _check_on_error,
}
