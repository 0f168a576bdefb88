"""The settings of one process, and the LiveKit projects among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

DEVELOPMENT: Final = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": "secret",
}
"""What `livekit-server --dev` uses; `usher serve --dev` fills these in."""
LONGEST_DAYS: Final = 36_500
"""A hundred years: about 740,000 days ago there is no date any more, and nothing could be deleted."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


_CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]


@dataclass(frozen=True, slots=True)
class Project:
    """One LiveKit project: the URL and key of its API, and the keys that may sign its webhooks."""

    name: str
    url: str
    api_key: str
    api_secret: SecretStr
    keys: Mapping[str, SecretStr]
    """Verification keys by issuer: the API key itself and those of a rotation."""
    redact: tuple[str, ...] | None = None
    """Paths left out of stored bodies and templates, in place of USHER_REDACT; None: those of USHER_REDACT."""
    retention_days: float | None = None
    """Days that settled events are kept, in place of USHER_RETENTION_DAYS."""


class Settings(BaseModel):
    """The settings of one process: each alias is the environment variable, each description its documentation."""

    model_config = ConfigDict(frozen=True, populate_by_name=False, extra="ignore", allow_inf_nan=False)

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
    public_url: str = Field(
        "",
        alias="USHER_PUBLIC_URL",
        description="URL at which people reach the console, such as https://usher.example.com",
    )
    notify_urls: SecretStr = Field(
        SecretStr(""),
        alias="USHER_NOTIFY_URLS",
        description="Apprise URLs that get messages about incidents, separated by white space",
    )
    allowed_hosts: _CommaSeparated = Field(
        (),
        alias="USHER_ALLOWED_HOSTS",
        description="further host names of console and API, comma-separated",
    )
    sweep_interval: float = Field(
        30.0, alias="USHER_SWEEP_INTERVAL", description="seconds between sweeps of LiveKit; 0 = off", ge=0, le=86400
    )
    retention_days: float = Field(
        30.0,
        alias="USHER_RETENTION_DAYS",
        description="days that settled events are kept; 0 = forever",
        ge=0,
        le=LONGEST_DAYS,
    )
    retention_bodies_days: float = Field(
        0.0,
        alias="USHER_RETENTION_BODIES_DAYS",
        description="days that webhook bodies and answers of lookups are kept; 0 = as long as their events",
        ge=0,
        le=LONGEST_DAYS,
    )
    reads_retention_days: float = Field(
        0.0,
        alias="USHER_READS_RETENTION_DAYS",
        description="days for which it is kept who read which call; 0 = not recorded",
        ge=0,
        le=LONGEST_DAYS,
    )
    hash_names_key: SecretStr = Field(
        SecretStr(""), alias="USHER_HASH_NAMES_KEY", description="secret that hashes the names of calls that are over"
    )
    redact: _CommaSeparated = Field(
        (), alias="USHER_REDACT", description="comma-separated paths left out of all that is stored or sent"
    )
    phone_region: str = Field(
        "", alias="USHER_PHONE_REGION", description="country of phone numbers that name none, such as ES or US"
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
    caller_budget: int = Field(
        60,
        alias="USHER_CALLER_BUDGET",
        description="dispatches that one identity or phone number may cause in a minute; 0 = no limit",
        ge=0,
        le=100_000,
    )
    recovery_budget: int = Field(
        3, alias="USHER_RECOVERY_BUDGET", description="agents replaced or asked again per call at most", ge=0, le=100
    )
    canary_agents: _CommaSeparated = Field(
        (), alias="USHER_CANARY_AGENTS", description="comma-separated agents probed on a schedule; `project/agent` too"
    )
    canary_interval: float = Field(
        0.0, alias="USHER_CANARY_INTERVAL", description="seconds between probes, 30 at least; 0 = off", ge=0, le=86400
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), alias="USHER_METRICS_TOKEN", description="bearer token that /metrics asks for; empty = open"
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        alias="USHER_SECRET_KEY",
        description="secret that signs links and cookies together with a key in the database, 32 characters at least",
    )
    secure_cookies: bool = Field(
        default=False, alias="USHER_SECURE_COOKIES", description="send session cookies over TLS only"
    )
    session_idle_hours: float = Field(
        12.0, alias="USHER_SESSION_IDLE_HOURS", description="hours after which an unused session ends", gt=0, le=8760
    )
    session_days: float = Field(
        7.0, alias="USHER_SESSION_DAYS", description="days after which a session ends in any case", gt=0, le=365
    )
    access_log_days: float = Field(
        90.0,
        alias="USHER_ACCESS_LOG_DAYS",
        description="days that logins and refusals are kept; 0 = forever",
        ge=0,
        le=LONGEST_DAYS,
    )
    first_admin_name: str = Field(
        "admin", alias="USHER_FIRST_ADMIN_NAME", description="name of the admin that USHER_FIRST_ADMIN_PASSWORD adds"
    )
    first_admin_password: SecretStr = Field(
        SecretStr(""), alias="USHER_FIRST_ADMIN_PASSWORD", description="adds an admin if there is no user yet"
    )
    oidc_issuer: str = Field(
        "",
        alias="USHER_OIDC_ISSUER",
        description="OpenID Connect provider for logins, such as https://login.example.com",
    )
    oidc_client_id: str = Field("", alias="USHER_OIDC_CLIENT_ID", description="what the provider calls this Usher")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), alias="USHER_OIDC_CLIENT_SECRET", description="its secret there; empty for a public client"
    )
    oidc_name: str = Field(
        "your organisation",
        alias="USHER_OIDC_NAME",
        description="name of the provider on the login page",
        max_length=60,
    )
    oidc_claim: str = Field(
        "email", alias="USHER_OIDC_CLAIM", description="claim that is the user's name; email must be verified"
    )
    oidc_domains: _CommaSeparated = Field(
        (), alias="USHER_OIDC_DOMAINS", description="domains of the addresses that may log in; empty = all"
    )
    oidc_role: str = Field(
        "", alias="USHER_OIDC_ROLE", description="role of people who are no users yet; empty = they may not log in"
    )
    oidc_roles: _CommaSeparated = Field(
        (), alias="USHER_OIDC_ROLES", description="roles by group at the provider: group=role, comma-separated"
    )
    oidc_groups_claim: str = Field(
        "groups", alias="USHER_OIDC_GROUPS_CLAIM", description="claim with the groups of USHER_OIDC_ROLES"
    )
    projects: tuple[Project, ...] = Field((), exclude=True)

    @property
    def notify_channels(self) -> tuple[str, ...]:
        """The URLs of USHER_NOTIFY_URLS, which are secrets."""
        return tuple(self.notify_urls.get_secret_value().split())

    @property
    def canary_names(self) -> frozenset[str]:
        """The agents that are probed on a schedule; of `a/b` both `b` and the whole, which may be an agent's name."""
        return frozenset(name for one in self.canary_agents for name in (one, one.partition("/")[2]) if name)

    @property
    def sends_secure_cookies(self) -> bool:
        """Whether people reach the console by TLS, also where a proxy ends it and does not say so."""
        return self.secure_cookies or self.public_url.startswith("https://")

    def redact_of(self, project: str) -> tuple[str, ...]:
        """Return the paths that are left out of the bodies of a project."""
        own = next((one.redact for one in self.projects if one.name == project), None)
        return self.redact if own is None else own

    def retention_days_of(self, project: str) -> float:
        """Return for how many days settled events of a project are kept; 0: forever."""
        own = next((one.retention_days for one in self.projects if one.name == project), None)
        return self.retention_days if own is None else own

    @property
    def all_redacted(self) -> tuple[str, ...]:
        """The paths that are left out of the bodies of at least one project, and USHER_REDACT."""
        paths = dict.fromkeys(self.redact)
        for project in self.projects:
            paths |= dict.fromkeys(project.redact or ())
        return tuple(paths)
