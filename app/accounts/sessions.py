"""Sessions of the console: one row per browser that is logged in. Its cookie's secret is stored as a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from app.accounts.access_log import AccessEntry, append_access
from app.accounts.users import User, read_user
from app.clock import new_id, new_secret
from app.db.tables import sessions, users
from app.db.types import AccessKind
from app.errors import NotFoundError
from app.json_shape import Instant, JsonShape
from app.settings import Settings
from app.translation import translatable

PASSWORD_FRESH_FOR: Final = timedelta(minutes=10)
"""After the password was typed, or the login at the provider, what needs it again does not ask for this long."""
_SEEN_EVERY: Final = timedelta(minutes=1)  # spares a write at every request
_MAX_USER_AGENT: Final = 300
_MAX_ID_TOKEN: Final = 4_096
"""Characters of an ID token that is kept: a logout names it in an address, and many servers refuse those over 8 KiB."""
PREFIX: Final = "s."
"""In the cookie of a session, and not in the signed one of a browser that is not logged in."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts: `idle` without a request of its user, and `lifetime` in any case."""

    idle: timedelta
    lifetime: timedelta

    @property
    def seen_every(self) -> timedelta:
        """How often to record that a session is used."""
        return min(_SEEN_EVERY, self.idle / 4)


def session_limits(settings: Settings) -> SessionLimits:
    """Return how long sessions last according to the settings."""
    return SessionLimits(timedelta(hours=settings.session_idle_hours), timedelta(days=settings.session_days))


@dataclass(frozen=True, slots=True)
class Session(JsonShape):
    """A browser that is logged in."""

    id: str
    user_id: str
    user_name: str
    created_at: Instant
    last_seen_at: Instant
    expires_at: Instant
    address: str
    user_agent: str
    password_checked_at: Annotated[datetime, Field(exclude=True)]

    def has_fresh_password(self, now: datetime) -> bool:
        """Return whether the password was typed lately enough to make tokens and admins."""
        return now - self.password_checked_at < PASSWORD_FRESH_FOR


def start_session(
    connection: Connection,
    user: User,
    *,
    now: datetime,
    limits: SessionLimits,
    address: str = "",
    user_agent: str = "",
    confirmed_at: datetime | None = None,
    id_token: str = "",
) -> tuple[Session, str]:
    """Start a session of a user; return it and the secret of its cookie.

    `confirmed_at`: when the user logged in at the provider; None: the password was typed just now. `id_token`: what the
    provider issued then.
    """
    secret = PREFIX + new_secret()
    row: dict[str, Any] = {
        "id": new_id(),
        "secret_hash": _hash(secret),
        "user_id": user.id,
        "session_epoch": user.session_epoch,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": now + limits.lifetime,
        "password_checked_at": confirmed_at or now,
        "address": address,
        "user_agent": shortened(user_agent),
        "id_token": id_token if 0 < len(id_token) <= _MAX_ID_TOKEN else None,
    }
    connection.execute(insert(sessions).values(row))
    return _session({**row, "user_name": user.name}), secret


def find_session(
    connection: Connection, secret: str, now: datetime, limits: SessionLimits
) -> tuple[Session, User] | None:
    """Return the session of a cookie and its user; None if it ended or expired, or the user is disabled."""
    if not secret.startswith(PREFIX):
        return None
    query = _QUERY.where(sessions.c.secret_hash == _hash(secret), _is_alive(now, limits))
    row = connection.execute(query).mappings().first()
    return None if row is None else (_session(row), read_user(connection, row["user_id"]))


def list_sessions(
    connection: Connection, now: datetime, limits: SessionLimits, user_id: str | None = None
) -> list[Session]:
    """Return the sessions that have neither ended nor expired, of all users or of one, last used first."""
    query = _QUERY.where(_is_alive(now, limits)).order_by(sessions.c.last_seen_at.desc(), sessions.c.id)
    if user_id is not None:
        query = query.where(sessions.c.user_id == user_id)
    return [_session(row) for row in connection.execute(query).mappings()]


def id_token_of(connection: Connection, session_id: str) -> str:
    """Return the ID token of the login with which a session began; empty if there is none."""
    return connection.scalar(select(sessions.c.id_token).where(sessions.c.id == session_id)) or ""


def record_seen(connection: Connection, session_id: str, now: datetime) -> None:
    """Record that a session is used; called at most once in `SessionLimits.seen_every`."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(last_seen_at=now))


def record_password_check(connection: Connection, session_id: str, now: datetime) -> None:
    """Record that the user has typed the password again in a session, or logged in at the provider again."""
    connection.execute(update(sessions).where(sessions.c.id == session_id).values(password_checked_at=now))


def log_out(connection: Connection, session: Session, now: datetime, address: str) -> None:
    """End a session at the request of its own browser, unless it has ended already."""
    if not connection.execute(delete(sessions).where(sessions.c.id == session.id)).rowcount:
        return
    entry = AccessEntry(AccessKind.LOGOUT, session.user_name, address, session.user_agent)
    append_access(connection, [entry], now)


def end_session(connection: Connection, session_id: str, *, by: str, now: datetime, user_id: str = "") -> Session:
    """End a session, of `user_id` if that is given, and return it; raises NotFoundError if there is none."""
    row = connection.execute(_QUERY.where(sessions.c.id == session_id)).mappings().first()
    if row is None or (user_id and row["user_id"] != user_id):
        message = translatable("no session has the id %(id)s, or it has ended already", id=repr(session_id[:100]))
        raise NotFoundError(message, "usher users sessions")
    session = _session(row)
    connection.execute(delete(sessions).where(sessions.c.id == session.id))
    entry = AccessEntry(AccessKind.SESSION_ENDED, session.user_name, session.address, session.user_agent, f"by {by}")
    append_access(connection, [entry], now)
    return session


def delete_expired(connection: Connection, now: datetime, limits: SessionLimits) -> int:
    """Delete the rows of sessions that have expired; return how many."""
    expired = or_(sessions.c.expires_at <= now, sessions.c.last_seen_at <= now - limits.idle)
    return connection.execute(delete(sessions).where(expired)).rowcount


def shortened(user_agent: str) -> str:
    """Return what a browser says of itself, bounded and printable."""
    return "".join(letter if letter.isprintable() else " " for letter in user_agent[:_MAX_USER_AGENT])


def _is_alive(now: datetime, limits: SessionLimits) -> ColumnElement[bool]:
    return and_(
        sessions.c.expires_at > now,
        sessions.c.last_seen_at > now - limits.idle,
        sessions.c.session_epoch == users.c.session_epoch,
        users.c.disabled.is_(False),
    )


_SHOWN = [column for column in sessions.c if column is not sessions.c.id_token]
_QUERY = select(*_SHOWN, users.c.name.label("user_name")).join(users, users.c.id == sessions.c.user_id)


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash: they cannot be guessed.
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        user_agent=row["user_agent"],
        password_checked_at=row["password_checked_at"],
    )
