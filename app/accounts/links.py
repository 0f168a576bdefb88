"""One-time links, which need no row: each is signed, and bound to a state that its use ends.

The first admin's link opens while there is no user. A password link opens until that user's password (or the
user's being enabled) changes, because it names their `session_epoch`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import Connection

from app.accounts.users import User, count_users, read_user
from app.errors import ConflictError, NotFoundError

FIRST_ADMIN_LASTS: Final = timedelta(days=1)
PASSWORD_LASTS: Final = timedelta(days=3)


def first_admin_code(key: str) -> str:
    """Return the code of the link with which the first admin is made."""
    return _serializer(key, "first-admin").dumps("welcome")


def password_code(key: str, user: User) -> str:
    """Return the code of the link with which `user` chooses a password."""
    return _serializer(key, "password").dumps([user.id, user.session_epoch])


def require_first_admin(connection: Connection, key: str, code: str) -> None:
    """Raise unless `code` is good and there is no user yet."""
    _load(key, "first-admin", code, FIRST_ADMIN_LASTS)
    if count_users(connection):
        raise ConflictError("there are users already; ask an admin to add you")


def user_of_password_code(connection: Connection, key: str, code: str) -> User:
    """Return whose password the link sets; raises when it is spent, too old, or none of ours."""
    user_id, epoch = _load(key, "password", code, PASSWORD_LASTS)
    user = read_user(connection, user_id)
    if user.session_epoch != epoch or user.disabled:
        raise _worthless()
    return user


def _load(key: str, purpose: str, code: str, lasts: timedelta) -> Any:
    try:
        return _serializer(key, purpose).loads(code, max_age=int(lasts.total_seconds()))
    except BadSignature as error:
        raise _worthless() from error


def _worthless() -> NotFoundError:
    return NotFoundError("this link has been used, is too old, or was never valid; ask for a new one")


def _serializer(key: str, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=f"usher.link.{purpose}")
