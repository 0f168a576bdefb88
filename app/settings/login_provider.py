"""The settings of the OpenID Connect provider through which users may log in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.errors import Problem
from app.settings.addresses import is_loopback
from app.settings.model import Settings

CALLBACK_PATH: Final = "/console/oidc/callback"
LOGGED_OUT_PATH: Final = "/console/login"
EMAIL: Final = "email"
ROLES: Final = ("viewer", "editor", "admin")
"""Roles of people; `decider` is for programs and shows no page."""
OPEN_TO_EVERYBODY: Final = ("https://accounts.google.com",)
"""Issuers at which anybody can get an account."""


@dataclass(frozen=True, slots=True)
class LoginProvider:
    """An OpenID Connect provider, and who may log in through it."""

    issuer: str
    client_id: str
    client_secret: SecretStr
    name: str
    callback_url: str
    logged_out_url: str
    """Where the provider sends people after a logout there."""
    claim: str
    domains: tuple[str, ...]
    """Lower case; an address must be of one of these; empty: of any."""
    role: str
    """Of people who are no users yet; empty: they may not log in."""
    roles: Mapping[str, str]
    """By group; with these, the groups of a person decide the role at each login."""
    groups_claim: str


def login_provider(settings: Settings) -> LoginProvider | None:
    """Return the provider of the settings; None if there is none."""
    if not settings.oidc_issuer:
        return None
    return LoginProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        name=settings.oidc_name,
        callback_url=settings.public_url.rstrip("/") + CALLBACK_PATH,
        logged_out_url=settings.public_url.rstrip("/") + LOGGED_OUT_PATH,
        claim=settings.oidc_claim,
        domains=tuple(domain.lower().lstrip("@") for domain in settings.oidc_domains),
        role=settings.oidc_role,
        roles=dict(_group_and_role(entry) for entry in settings.oidc_roles),
        groups_claim=settings.oidc_groups_claim,
    )


def check_login_provider(settings: Settings) -> list[Problem]:
    """Return what is wrong with USHER_OIDC_…, and what is missing."""
    problems = [
        Problem("USHER_OIDC_ROLES", f"{entry!r} is not group=role, with a role of {', '.join(ROLES)}")
        for entry in settings.oidc_roles
        if not _group_and_role(entry)[0] or _group_and_role(entry)[1] not in ROLES
    ]
    if settings.oidc_role and settings.oidc_role not in ROLES:
        message = f"must be {', '.join(ROLES)}, or empty: only people who are users already may log in"
        problems.append(Problem("USHER_OIDC_ROLE", message, settings.oidc_role))
    if settings.oidc_domains and settings.oidc_claim != EMAIL:
        problems.append(Problem("USHER_OIDC_DOMAINS", f"needs USHER_OIDC_CLAIM={EMAIL}"))
    if settings.oidc_issuer:
        return problems + _check_issuer(settings)
    if _is_begun(settings):
        problems.append(Problem("USHER_OIDC_ISSUER", "is needed with the other settings USHER_OIDC_…"))
    return problems


def endpoint_problem(url: str) -> str:
    """Return why secrets must not be sent to `url`; empty if they may."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        has_port = parts.port != 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in {"https", "http"} or not host or not has_port or parts.username is not None:
        return "must be a URL such as https://login.example.com"
    if parts.scheme == "http" and not is_loopback(host):
        return "must begin with https://, unless it is on this machine"
    return ""


def _check_issuer(settings: Settings) -> list[Problem]:
    issuer, problems = settings.oidc_issuer, []
    if problem := endpoint_problem(issuer):
        problems.append(Problem("USHER_OIDC_ISSUER", problem, issuer))
    elif urlsplit(issuer).query or urlsplit(issuer).fragment:
        problems.append(Problem("USHER_OIDC_ISSUER", "must end after its path", issuer))
    if not settings.oidc_client_id:
        problems.append(Problem("USHER_OIDC_CLIENT_ID", "is needed with USHER_OIDC_ISSUER: register Usher there"))
    if not settings.public_url:
        message = f"is needed with USHER_OIDC_ISSUER: people come back from there to USHER_PUBLIC_URL{CALLBACK_PATH}"
        problems.append(Problem("USHER_PUBLIC_URL", message))
    if issuer.rstrip("/") in OPEN_TO_EVERYBODY and settings.oidc_role and not settings.oidc_domains:
        message = f"is needed with USHER_OIDC_ROLE: anybody can get an account at {issuer}"
        problems.append(Problem("USHER_OIDC_DOMAINS", message))
    return problems


def _is_begun(settings: Settings) -> bool:
    return bool(
        settings.oidc_client_id
        or settings.oidc_client_secret.get_secret_value()
        or settings.oidc_domains
        or settings.oidc_role
        or settings.oidc_roles
    )


def _group_and_role(entry: str) -> tuple[str, str]:
    group, _, role = entry.rpartition("=")
    return group.strip(), role.strip()
