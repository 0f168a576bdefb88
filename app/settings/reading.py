"""From environment variables (over a `.env` file) to settings, with all problems at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import ValidationError

from app.errors import Problem, SettingsError, message_of
from app.settings.addresses import public_url_problem
from app.settings.cleaning import clean_values
from app.settings.database_url import database_url_problem
from app.settings.login_provider import check_login_provider
from app.settings.model import DEVELOPMENT, Project, Settings
from app.settings.projects import INDISPENSABLE, read_projects

_SHORTEST_SECRET_KEY: Final = 32
SHORTEST_HASH_KEY: Final = 16  # characters: with a key that can be guessed, numbers can be tried out
SHORTEST_CANARY_INTERVAL: Final = 30  # seconds: a probe waits about as long for an agent that does not join

_NAMES: Final = frozenset(field.alias for field in Settings.model_fields.values() if field.alias is not None)


def read_settings(
    environment: Mapping[str, str] | None = None, *, development: bool = False, without_livekit: bool = False
) -> Settings:
    """Return the settings found in `environment` (default: the process environment over `.env`).

    `development` fills in what `livekit-server --dev` uses; `without_livekit` is for commands that only need the
    database. Raises `SettingsError` with every problem at once; no secret is part of a message.
    """
    values, problems = clean_values(process_environment() if environment is None else environment, _NAMES)
    unreadable = {problem.path for problem in problems}
    if development:
        values = {**DEVELOPMENT, **values}
    settings, wrong = _validate(values)
    problems += wrong
    problems += [problem for check in _CHECKS for problem in check(settings)]
    found: list[Problem] = []
    projects = [] if without_livekit else read_projects(settings, found)
    problems += [problem for problem in found if problem.path not in unreadable]
    if projects or settings.projects_file is None:
        problems += _check_retention_of_bodies(settings, projects)
    if problems:
        raise SettingsError("settings", problems)
    update = {"projects": tuple(projects), "public_url": settings.public_url.rstrip("/")}
    return settings.model_copy(update=update)


def process_environment() -> dict[str, str]:
    """Return the environment variables of this process, over those of a `.env` file."""
    return {**{name: text for name, text in dotenv_values(".env").items() if text is not None}, **os.environ}


def _validate(values: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """Return the settings, with defaults in place of wrong values, and what is wrong with those."""
    try:
        return Settings.model_validate(values), []
    except ValidationError as error:
        problems = [_as_problem(detail) for detail in error.errors(include_input=False, include_url=False)]
    wrong = {problem.path for problem in problems}
    return Settings.model_validate({name: text for name, text in values.items() if name not in wrong}), problems


def _as_problem(detail: Any) -> Problem:
    name = str(detail["loc"][0])
    field = next(field for field in Settings.model_fields.values() if field.alias == name)
    return Problem(name, f"{message_of(detail)} ({field.description})")


def _check_retention_of_bodies(settings: Settings, projects: Sequence[Project]) -> list[Problem]:
    own = (one.retention_days for one in projects if one.retention_days is not None)
    kept = (settings.retention_days, *own)
    if settings.retention_bodies_days <= max(kept) or 0 in kept:
        return []
    message = f"is more than the {max(kept):g} days of USHER_RETENTION_DAYS, after which events are deleted"
    return [Problem("USHER_RETENTION_BODIES_DAYS", message)]


def _check_redaction(settings: Settings) -> list[Problem]:
    return [
        Problem("USHER_REDACT", f"{path!r} cannot be left out: Usher needs it to tell calls apart")
        for path in settings.redact
        if path in INDISPENSABLE
    ]


def _check_hash_key(settings: Settings) -> list[Problem]:
    key = settings.hash_names_key.get_secret_value()
    if not key or len(key) >= SHORTEST_HASH_KEY:
        return []
    message = f"must have at least {SHORTEST_HASH_KEY} characters, such as what `openssl rand -hex 32` prints"
    return [Problem("USHER_HASH_NAMES_KEY", message)]


def _check_notify_urls(settings: Settings) -> list[Problem]:
    schemes = [url.partition("://") for url in settings.notify_channels]
    return [
        Problem("USHER_NOTIFY_URLS", f"entry {place} is no Apprise URL, such as slack://… or mailto://…")
        for place, (scheme, separator, rest) in enumerate(schemes, start=1)
        if not (scheme.isalnum() and separator and rest)
    ]


def _check_phone_region(settings: Settings) -> list[Problem]:
    if not settings.phone_region:
        return []
    # Imported where it is needed: it costs 50 ms.
    import phonenumbers  # noqa: PLC0415

    if settings.phone_region in phonenumbers.SUPPORTED_REGIONS:
        return []
    message = f"{settings.phone_region!r} is no country with phone numbers; write its two capital letters, such as ES"
    return [Problem("USHER_PHONE_REGION", message)]


def _check_secret_key(settings: Settings) -> list[Problem]:
    length = len(settings.secret_key.get_secret_value())
    if not 0 < length < _SHORTEST_SECRET_KEY:
        return []
    message = f"has {length} characters; use {_SHORTEST_SECRET_KEY} at least, such as those of: openssl rand -hex 32"
    return [Problem("USHER_SECRET_KEY", message)]


def _check_canary_interval(settings: Settings) -> list[Problem]:
    if not 0 < settings.canary_interval < SHORTEST_CANARY_INTERVAL:
        return []
    return [Problem("USHER_CANARY_INTERVAL", f"must be 0 (off) or at least {SHORTEST_CANARY_INTERVAL} seconds")]


def _check_canary_agents(settings: Settings) -> list[Problem]:
    if not settings.canary_interval or settings.canary_agents:
        return []
    return [Problem("USHER_CANARY_AGENTS", "is needed with USHER_CANARY_INTERVAL: the agents to probe")]


def _check_database(settings: Settings) -> list[Problem]:
    problem = database_url_problem(settings.database_url.get_secret_value())
    return [] if problem is None else [problem]


def _check_public_url(settings: Settings) -> list[Problem]:
    problem = public_url_problem(settings.public_url) if settings.public_url else None
    return [] if problem is None else [Problem("USHER_PUBLIC_URL", problem, settings.public_url)]


_CHECKS: Final[tuple[Callable[[Settings], list[Problem]], ...]] = (
    _check_redaction,
    _check_hash_key,
    _check_notify_urls,
    _check_phone_region,
    _check_secret_key,
    _check_canary_interval,
    _check_canary_agents,
    _check_database,
    _check_public_url,
    check_login_provider,
)
