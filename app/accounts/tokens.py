"""API tokens: each is shown once and stored as a hash, has a role, and expires unless it was made without an end."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, insert, select, update

from app.accounts.roles import Projects, Role, both, lower_of, projects_in, read_projects, stored_projects
from app.accounts.users import User, read_user
from app.clock import new_id, new_secret
from app.db.audit_log import AuditEntry, append
from app.db.tables import api_tokens, users
from app.errors import InvalidInputError, NotFoundError, Problem
from app.json_shape import Instant, JsonShape
from app.translation import translatable

PREFIX: Final = "usher_"
"""Identifies a token to people and to scanners for leaked secrets."""

LIFETIME: Final = timedelta(days=90)
"""Of a token for which nothing else is said."""
MAX_LIFETIME: Final = timedelta(days=3650)
EXPIRES_SOON: Final = timedelta(days=14)
"""So long before the expiry, the console, the command line and the API warn."""
USE_RECORDED_EVERY: Final = timedelta(minutes=1)  # spares a write at every request


@dataclass(frozen=True, slots=True)
class Token(JsonShape):
    """A key to the JSON API. Changes made with it are attributed to `user_name`."""

    id: str
    user_id: str
    user_name: str
    name: str
    role: Role
    projects: Annotated[tuple[str, ...] | None, Field(description="that it is restricted to; null: all of its user")]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the token is neither revoked nor expired; a disabled user is not considered."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def expires_soon(self, now: datetime) -> bool:
        """Return whether a valid token expires within EXPIRES_SOON."""
        return self.is_valid(now) and self.expires_at is not None and self.expires_at - now <= EXPIRES_SOON


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token of a request and its user: what both may do."""

    token: Token
    user: User

    @property
    def role(self) -> Role | None:
        """The lower of their roles; None if they have nothing in common."""
        return lower_of(self.token.role, self.user.role)

    @property
    def projects(self) -> Projects:
        return both(read_projects(self.token.projects), read_projects(self.user.projects))


def issue_token(
    connection: Connection,
    user_id: str,
    name: str,
    role: Role,
    *,
    by: str,
    now: datetime,
    lifetime: timedelta | None = LIFETIME,
    projects: Collection[str] | None = None,
) -> tuple[Token, str]:
    """Create a token for a user; return it and its secret, which is stored nowhere. `lifetime` None is for ever.

    Raises InvalidInputError with every problem.
    """
    user = read_user(connection, user_id)
    problems = []
    if not 1 <= len(name) <= 100 or not name.isprintable():
        problems.append(
            Problem("name", translatable("must have 1 to 100 printable characters; say what the token is for"), name)
        )
    if not user.role.includes(role):
        problems.append(
            Problem(
                "role",
                translatable("exceeds the role of %(name)s, %(role)s", name=repr(user.name), role=user.role.label),
                str(role),
            )
        )
    beyond = () if projects is None or user.projects is None else set(projects).difference(user.projects)
    problems += [
        Problem("projects", translatable("is none of the projects of %(name)s", name=repr(user.name)), name)
        for name in sorted(beyond)
    ]
    if lifetime is not None and not timedelta(0) < lifetime <= MAX_LIFETIME:
        message = translatable("must expire after at most %(days)s days, or never", days=MAX_LIFETIME.days)
        problems.append(Problem("expires_at", message, lifetime.total_seconds()))
    if problems:
        raise InvalidInputError(translatable("this token cannot be created"), problems)
    secret = PREFIX + new_secret()
    row: dict[str, Any] = {
        "id": new_id(),
        "user_id": user_id,
        "name": name,
        "role": str(role),
        "projects": stored_projects(projects),
        "token_hash": _hash(secret),
        "created_at": now,
        "expires_at": None if lifetime is None else now + lifetime,
        "revoked_at": None,
        "last_used_at": None,
    }
    connection.execute(insert(api_tokens).values(row))
    reason = f"token {name!r} created for {user.name!r}"
    append(connection, [AuditEntry("token", row["id"], None, str(role), reason, now, by)])
    return _token({**row, "user_name": user.name}), secret


def list_tokens(connection: Connection, user_id: str | None = None) -> list[Token]:
    """Return all tokens, or those of one user, newest first."""
    query = _QUERY.order_by(api_tokens.c.id.desc())
    if user_id is not None:
        query = query.where(api_tokens.c.user_id == user_id)
    return [_token(row) for row in connection.execute(query).mappings()]


def revoke_token(connection: Connection, token_id: str, *, by: str, now: datetime) -> Token:
    """Revoke a token with immediate effect and return it; one that is already revoked is left unchanged."""
    row = connection.execute(_QUERY.where(api_tokens.c.id == token_id)).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no token has the id %(token_id)s", token_id=repr(token_id)))
    token = _token(row)
    if token.revoked_at is not None:
        return token
    connection.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(revoked_at=now))
    reason = f"token {token.name!r} of {token.user_name!r} revoked"
    append(connection, [AuditEntry("token", token.id, str(token.role), "revoked", reason, now, by)])
    return _token({**row, "revoked_at": now})


def find_bearer(connection: Connection, secret: str, now: datetime) -> Bearer | None:
    """Return the token and user of a secret; None if the secret is unknown, revoked, expired, or its user disabled."""
    bearer = find_any_bearer(connection, secret)
    if bearer is None or not bearer.token.is_valid(now) or bearer.user.disabled or bearer.role is None:
        return None
    return bearer


def find_any_bearer(connection: Connection, secret: str) -> Bearer | None:
    """Return the token and user of a secret, also if it is not valid any more; None if the secret is unknown."""
    if not secret.startswith(PREFIX):
        return None
    row = connection.execute(_QUERY.where(api_tokens.c.token_hash == _hash(secret))).mappings().first()
    return None if row is None else Bearer(_token(row), read_user(connection, row["user_id"]))


def record_use(connection: Connection, token_id: str, now: datetime) -> None:
    """Record when a token was last used; called at most once in USE_RECORDED_EVERY."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == token_id).values(last_used_at=now))


_QUERY = select(api_tokens, users.c.name.label("user_name")).join(users, users.c.id == api_tokens.c.user_id)


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash: they cannot be guessed.
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(row: Mapping[Any, Any]) -> Token:
    return Token(
        id=row["id"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        name=row["name"],
        role=Role(row["role"]),
        projects=projects_in(row["projects"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )
