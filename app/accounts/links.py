"""One-time links without a row: each is signed, and bound to a state that changes when the link is used.

The first admin's link is valid while there is no user. A password link is valid until the user's password changes or
the user is disabled or enabled, because it contains the `session_epoch` of the user.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from itsdangerous import BadSignature
from sqlalchemy import Connection

from app.accounts.timed_codes import TimedCodes
from app.accounts.users import User, count_users, read_user
from app.errors import ConflictError, NotFoundError
from app.translation import translatable

FIRST_ADMIN_LIFETIME: Final = timedelta(days=1)
PASSWORD_LIFETIME: Final = timedelta(days=3)


def first_admin_code(key: str, now: datetime) -> str:
    """Return the code of the link that adds the first admin."""
    return _codes(key, "first-admin").sign("welcome", now)


def password_code(key: str, user: User, now: datetime) -> str:
    """Return the code of the link with which a user chooses a password."""
    return _codes(key, "password").sign([user.id, user.session_epoch], now)


def require_first_admin(connection: Connection, key: str, code: str, now: datetime) -> None:
    """Raise NotFoundError for an invalid code, ConflictError if there is a user already.

    In a transaction that adds the user, `add_first_admin` says whether another one was faster.
    """
    _load(key, "first-admin", code, FIRST_ADMIN_LIFETIME, now)
    if count_users(connection):
        raise ConflictError(translatable("there are users already; ask an admin to add you"))


def user_of_password_code(connection: Connection, key: str, code: str, now: datetime) -> User:
    """Return the user whose password the link sets; raises NotFoundError for a used, expired or invalid link."""
    user_id, epoch = _load(key, "password", code, PASSWORD_LIFETIME, now)
    user = read_user(connection, user_id)
    if user.session_epoch != epoch or user.disabled:
        raise _invalid_link()
    return user


def _load(key: str, purpose: str, code: str, lifetime: timedelta, now: datetime) -> Any:
    try:
        return _codes(key, purpose).read(code, lifetime, now)
    except BadSignature as error:
        raise _invalid_link() from error


def _invalid_link() -> NotFoundError:
    return NotFoundError(translatable("this link has been used, is too old, or was never valid; ask for a new one"))


def _codes(key: str, purpose: str) -> TimedCodes:
    return TimedCodes(key, f"usher.link.{purpose}")
