"""LiveKit projects: one from `LIVEKIT_*`, or several from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr

from app.errors import Problem, nearest
from app.settings.cleaning import unquoted
from app.settings.model import LONGEST_DAYS, Project, Settings

INDISPENSABLE: Final = frozenset(
    {"event", "id", "room", "room.name", "room.sid", "job", "job.room", "job.room.name", "job.room.sid", "participant"}
    | {"participant.identity", "participant.sid", "participant.kind"}
)
"""Paths without which an event could not be stored, deduplicated or answered."""
_API_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def read_projects(settings: Settings, problems: list[Problem]) -> list[Project]:
    """Return the projects that `settings` name; what is wrong with them is added to `problems`."""
    if settings.projects_file is not None:
        return _read_projects_file(settings.projects_file, problems)
    keys = _parse_keys(settings.livekit_keys.get_secret_value(), problems)
    entry = {
        "url": settings.livekit_url,
        "api_key": settings.livekit_api_key,
        "api_secret": settings.livekit_api_secret.get_secret_value(),
    }
    names = {
        "url": "LIVEKIT_URL",
        "api_key": "LIVEKIT_API_KEY",
        "api_secret": "LIVEKIT_API_SECRET",
        "keys": "LIVEKIT_KEYS",
    }
    project = _project("default", entry, keys, names, problems)
    return [project] if project else []


def _parse_keys(text: str, problems: list[Problem]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, separator, secret = line.partition(":")
        key, secret = unquoted(key), unquoted(secret)
        if not separator or not key or not secret:
            problems.append(Problem("LIVEKIT_KEYS", f"line {number} is not `key: secret`"))
        elif keys.get(key, secret) != secret:
            problems.append(Problem("LIVEKIT_KEYS", f"line {number} gives key {key!r} another secret than before"))
        else:
            keys[key] = secret
    return keys


def _project(
    name: str, entry: Mapping[str, Any], keys: Mapping[str, str], names: Mapping[str, str], problems: list[Problem]
) -> Project | None:
    found = {field: entry.get(field) for field in ("url", "api_key", "api_secret")}
    texts = {field: value.strip() for field, value in found.items() if isinstance(value, str) and value.strip()}
    missing = [Problem(names[field], "is missing") for field in found if field not in texts]
    api_url = _api_url(texts["url"]) if "url" in texts else None
    if "url" in texts and api_url is None:
        message = "is not a URL such as wss://my.livekit.cloud or ws://127.0.0.1:7880"
        missing.append(Problem(names["url"], message))
    problems += missing
    if missing or api_url is None:
        return None
    secrets = {texts["api_key"]: texts["api_secret"], **keys}
    problems += [
        Problem(
            names["keys" if key in keys else "api_secret"],
            f"holds a PEM, SSH or JSON key for {key!r}, not an API secret",
        )
        for key, text in secrets.items()
        if not _is_secret(text)
    ]
    listed = secrets[texts["api_key"]]
    if listed != texts["api_secret"] and _is_secret(listed):
        message = (
            f"gives key {texts['api_key']!r} another secret than {names['api_secret']} does, so webhooks signed with "
            "one of them would be refused; remove it here, or rotate to a key of another name"
        )
        problems.append(Problem(names["keys"], message))
    hidden = {key: SecretStr(text) for key, text in secrets.items()}
    return Project(name, api_url, texts["api_key"], hidden[texts["api_key"]], hidden)


def _api_url(url: str) -> str | None:
    """Return the http(s) URL of the API at a LiveKit URL; None when it is not one."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _API_SCHEMES or not parts.hostname or parts.port == 0:
            return None
    except ValueError:  # a port that is no number, a bracket that is not closed
        return None
    return parts._replace(scheme=_API_SCHEMES[parts.scheme]).geturl().rstrip("/")


def _is_secret(text: str) -> bool:
    """Return whether PyJWT takes `text` as an HMAC secret: it refuses PEM, SSH, DER and JSON keys."""
    # Imported where it is needed: it brings `cryptography`, for which commands without a secret do not wait.
    from jwt import InvalidKeyError  # noqa: PLC0415
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415

    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        return False
    return True


_FIELDS: Final = ("name", "url", "api_key", "api_secret", "keys", "redact", "retention_days")


def _read_projects_file(path: Path, problems: list[Problem]) -> list[Project]:
    where = "USHER_PROJECTS_FILE"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        problems.append(Problem(where, f"cannot be read: {error.strerror} ({path})"))
        return []
    except (yaml.YAMLError, UnicodeDecodeError):
        problems.append(Problem(where, f"is not YAML or JSON ({path})"))
        return []
    entries = content.get("projects") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        problems.append(Problem(where, "needs a list `projects`, each with name, url, api_key, api_secret"))
        return []
    problems += [Problem(f"{where}.{key}", "belongs into an entry of `projects`") for key in _FIELDS if key in content]
    projects: list[Project] = []
    for index, entry in enumerate(entries):
        place = f"{where} projects[{index}]"
        if not isinstance(entry, dict):
            problems.append(Problem(place, "is not a mapping with name, url, api_key, api_secret"))
            continue
        problems += [
            Problem(
                f"{place}.{key}",
                f"is no field of a project; fields are {', '.join(_FIELDS)}",
                None,
                nearest(key, _FIELDS),
            )
            for key in map(str, entry)
            if key not in _FIELDS
        ]
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            problems.append(Problem(f"{place}.name", "is missing"))
            continue
        keys = entry.get("keys") or {}
        if not isinstance(keys, dict) or not all(isinstance(part, str) for pair in keys.items() for part in pair):
            problems.append(Problem(f"{place}.keys", "is not a mapping of key to secret"))
            keys = {}
        names = {field: f"{place}.{field}" for field in ("url", "api_key", "api_secret", "keys")}
        project = _project(name, entry, keys, names, problems)
        redact, days = _read_redact(entry, place, problems), _read_retention(entry, place, problems)
        if project:
            projects.append(replace(project, redact=redact, retention_days=days))
    problems += _clashes(projects, where)
    return projects


def _read_redact(entry: Mapping[str, Any], place: str, problems: list[Problem]) -> tuple[str, ...] | None:
    given = entry.get("redact")
    if given is None:
        return None
    paths = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        problems.append(Problem(f"{place}.redact", "is not a list of paths such as participant.metadata.ssn"))
        return None
    problems += [
        Problem(f"{place}.redact", f"{path!r} cannot be left out: Usher needs it to tell calls apart")
        for path in paths
        if path in INDISPENSABLE
    ]
    return tuple(paths)


def _read_retention(entry: Mapping[str, Any], place: str, problems: list[Problem]) -> float | None:
    days = entry.get("retention_days")
    if days is None:
        return None
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days <= LONGEST_DAYS:
        problems.append(
            Problem(f"{place}.retention_days", f"is not a number of days, {LONGEST_DAYS} at most; 0 is forever")
        )
        return None
    return float(days)


def _clashes(projects: list[Project], where: str) -> list[Problem]:
    problems: list[Problem] = []
    owners: dict[str, str] = {}
    for project in projects:
        for key in project.keys:
            if owners.setdefault(key, project.name) != project.name:
                message = (
                    f"key {key!r} belongs to both {owners[key]!r} and {project.name!r}; a webhook could be of either"
                )
                problems.append(Problem(where, message))
    names = [project.name for project in projects]
    problems += [
        Problem(where, f"two projects are named {name!r}") for name in {n for n in names if names.count(n) > 1}
    ]
    return problems
