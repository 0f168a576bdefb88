"""Every setting, read once from a mapping (the environment over a `.env` file), with all problems told at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from dotenv import dotenv_values
from jwt import InvalidKeyError
from jwt.algorithms import HMACAlgorithm
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.errors import Problem, SettingsError

DEVELOPMENT = {"LIVEKIT_URL": "ws://127.0.0.1:7880", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}
"""What `livekit-server --dev` uses; `usher serve --dev` fills these in."""

SHORTEST_CANARY_INTERVAL = 30
"""Seconds: a probe that waits for its agent in vain takes about as long."""

# Without these an event could not be stored, deduplicated or answered.
_INDISPENSABLE = frozenset(
    {"event", "id", "room", "room.name", "room.sid", "participant", "participant.identity", "participant.sid"}
)


@dataclass(frozen=True, slots=True)
class Project:
    """One LiveKit project: where its API is, with which key we call it, and which keys may sign its webhooks."""

    name: str
    url: str
    api_key: str
    api_secret: SecretStr
    keys: Mapping[str, SecretStr]
    """Verification keys by issuer: the API key itself and those of a rotation."""


class Settings(BaseModel):
    """The settings of one process: each alias is the environment variable, each description its documentation."""

    model_config = ConfigDict(frozen=True, populate_by_name=False, extra="ignore")

    livekit_url: str = Field("", alias="LIVEKIT_URL", description="LiveKit's URL, ws(s):// or http(s)://")
    livekit_api_key: str = Field("", alias="LIVEKIT_API_KEY", description="API key that calls LiveKit")
    livekit_api_secret: SecretStr = Field(SecretStr(""), alias="LIVEKIT_API_SECRET", description="its secret")
    livekit_keys: SecretStr = Field(
        SecretStr(""), alias="LIVEKIT_KEYS", description="further webhook keys, `key: secret` per line (rotation)"
    )
    projects_file: Path | None = Field(
        None, alias="USHER_PROJECTS_FILE", description="YAML file of several LiveKit projects, instead of LIVEKIT_*"
    )
    database_url: SecretStr = Field(
        SecretStr("sqlite:///usher.db"), alias="DATABASE_URL", description="sqlite:///… or postgresql+psycopg://…"
    )
    host: str = Field("127.0.0.1", alias="USHER_HOST", description="address to listen on", min_length=1)
    port: int = Field(8080, alias="USHER_PORT", description="port to listen on", ge=0, le=65535)
    sweep_interval: float = Field(
        30.0, alias="USHER_SWEEP_INTERVAL", description="seconds between sweeps of LiveKit; 0 = off", ge=0, le=86400
    )
    retention_days: float = Field(
        30.0, alias="USHER_RETENTION_DAYS", description="days that settled events are kept; 0 = for ever", ge=0
    )
    redact: tuple[str, ...] = Field(
        (), alias="USHER_REDACT", description="comma-separated paths left out of stored bodies and templates"
    )
    metadata_max_bytes: int = Field(
        65536, alias="USHER_METADATA_MAX_BYTES", description="largest job metadata", ge=1, le=524288
    )
    log_format: Literal["console", "json"] = Field("console", alias="USHER_LOG_FORMAT", description="console or json")
    request_timeout: float = Field(
        5.0, alias="USHER_REQUEST_TIMEOUT", description="seconds that one call to LiveKit may take", gt=0, le=60
    )
    calls_in_flight: int = Field(
        32, alias="USHER_CALLS_IN_FLIGHT", description="simultaneous calls to LiveKit", ge=1, le=1000
    )
    calls_per_second: float = Field(
        0.0, alias="USHER_CALLS_PER_SECOND", description="CreateDispatch calls per second at most; 0 = no limit", ge=0
    )
    recovery_budget: int = Field(
        3, alias="USHER_RECOVERY_BUDGET", description="vanished agents replaced per call at most", ge=0, le=100
    )
    canary_agents: tuple[str, ...] = Field(
        (), alias="USHER_CANARY_AGENTS", description="comma-separated agents probed on a schedule; `project/agent` too"
    )
    canary_interval: float = Field(
        0.0, alias="USHER_CANARY_INTERVAL", description="seconds between probes, 30 at least; 0 = off", ge=0, le=86400
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), alias="USHER_METRICS_TOKEN", description="bearer token that /metrics asks for; empty = open"
    )
    secure_cookies: bool = Field(
        default=False, alias="USHER_SECURE_COOKIES", description="send session cookies over TLS only"
    )
    projects: tuple[Project, ...] = Field((), exclude=True)


def read_settings(
    environment: Mapping[str, str] | None = None, *, development: bool = False, without_livekit: bool = False
) -> Settings:
    """Return the settings found in `environment` (default: the process environment over `.env`).

    `development` fills in what `livekit-server --dev` uses; `without_livekit` is for commands that only need the
    database. Raises `SettingsError` listing every problem at once; no secret is part of a message.
    """
    if environment is None:
        environment = {**{k: v for k, v in dotenv_values(".env").items() if v is not None}, **os.environ}
    values: dict[str, Any] = {name: text for name, text in environment.items() if text != ""}
    if development:
        values = {**DEVELOPMENT, **values}
    for name in ("USHER_REDACT", "USHER_CANARY_AGENTS"):
        if name in values:
            values[name] = tuple(part.strip() for part in values[name].split(",") if part.strip())
    problems: list[Problem] = []
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = [_as_problem(detail) for detail in error.errors(include_input=False, include_url=False)]
        wrong = {problem.path for problem in problems}
        settings = Settings.model_validate({name: text for name, text in values.items() if name not in wrong})
    problems += [
        Problem("USHER_REDACT", f"{path!r} cannot be left out: Usher needs it to tell calls apart")
        for path in settings.redact
        if path in _INDISPENSABLE
    ]
    if 0 < settings.canary_interval < SHORTEST_CANARY_INTERVAL:
        message = f"must be 0 (off) or at least {SHORTEST_CANARY_INTERVAL} seconds"
        problems.append(Problem("USHER_CANARY_INTERVAL", message))
    if settings.canary_interval and not settings.canary_agents:
        problems.append(Problem("USHER_CANARY_AGENTS", "is needed with USHER_CANARY_INTERVAL: whom to probe"))
    database = database_url_problem(settings.database_url.get_secret_value())
    if database is not None:
        problems.append(database)
    projects = [] if without_livekit else _projects(settings, problems)
    if problems:
        raise SettingsError("settings", problems)
    return settings.model_copy(update={"projects": tuple(projects)})


def database_url_problem(text: str) -> Problem | None:
    """Return what is wrong with a database URL, without repeating it: it may hold a password."""
    try:
        url = make_url(text)
    except ArgumentError:
        return Problem("DATABASE_URL", "is not a database URL; use sqlite:///usher.db or postgresql+psycopg://…")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgres", "postgresql", "postgresql+psycopg"}:
        message = f"names the driver {url.drivername!r}; Usher speaks sqlite and postgresql+psycopg"
        return Problem("DATABASE_URL", message)
    if url.drivername.startswith("sqlite") and url.database in {None, "", ":memory:"}:
        message = "names no file; dispatches must outlive the process, so use sqlite:///usher.db"
        return Problem("DATABASE_URL", message)
    if url.drivername.startswith("sqlite") and (url.database or "").startswith("file:"):
        return Problem("DATABASE_URL", "names its file as a URI; use its path: sqlite:///usher.db")
    return None


def _is_secret(text: str) -> bool:
    """Return whether PyJWT takes `text` as an HMAC secret: it refuses PEM, SSH, DER and JSON keys."""
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        return False
    return True


def _as_problem(detail: Any) -> Problem:
    name = str(detail["loc"][0])
    field = next(field for field in Settings.model_fields.values() if field.alias == name)
    return Problem(name, f"{detail['msg'][0].lower()}{detail['msg'][1:]} ({field.description})")


def _projects(settings: Settings, problems: list[Problem]) -> list[Project]:
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
        if not separator or not key.strip() or not secret.strip():
            problems.append(Problem("LIVEKIT_KEYS", f"line {number} is not `key: secret`"))
        else:
            keys[key.strip()] = secret.strip()
    return keys


def _project(
    name: str, entry: Mapping[str, Any], keys: Mapping[str, str], names: Mapping[str, str], problems: list[Problem]
) -> Project | None:
    before = len(problems)
    problems += [
        Problem(names[field], "is missing")
        for field in ("url", "api_key", "api_secret")
        if not isinstance(entry.get(field), str) or not entry[field].strip()
    ]
    url = entry.get("url")
    if isinstance(url, str) and url.strip():
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"ws", "wss", "http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            problems.append(Problem(names["url"], "is not a URL such as wss://my.livekit.cloud or ws://127.0.0.1:7880"))
    if len(problems) > before:
        return None
    secrets: dict[str, str] = {entry["api_key"]: entry["api_secret"], **keys}
    problems += [
        Problem(
            names["keys" if key in keys else "api_secret"],
            f"holds a PEM, SSH or JSON key for {key!r}, not an API secret",
        )
        for key, text in secrets.items()
        if not _is_secret(text)
    ]
    api_url = (
        entry["url"].strip().rstrip("/").replace("ws", "http", 1) if parts.scheme.startswith("ws") else entry["url"]
    )
    hidden = {key: SecretStr(text) for key, text in secrets.items()}
    return Project(name, api_url.rstrip("/"), entry["api_key"], hidden[entry["api_key"]], hidden)


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
    projects: list[Project] = []
    for index, entry in enumerate(entries):
        place = f"{where} projects[{index}]"
        if not isinstance(entry, dict):
            problems.append(Problem(place, "is not a mapping with name, url, api_key, api_secret"))
            continue
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
        if project:
            projects.append(project)
    problems += _clashes(projects, where)
    return projects


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
