"""Sessions of the console: signed cookies, and CSRF tokens for forms."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from app.accounts.users import User, read_user
from app.clock import new_secret
from app.errors import NotAllowedError, NotFoundError

COOKIE: Final = "usher_session"
LASTS: Final = timedelta(days=7)
CSRF_FIELD: Final = "csrf"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. `user_id` is empty before login; `nonce`, and so the CSRF token, changes at login."""

    nonce: str
    user_id: str = ""
    epoch: int = 0


class Sessions:
    """Reads and writes the session cookie."""

    def __init__(self, key: str, *, always_secure: bool) -> None:
        self._key = key.encode()
        self._always_secure = always_secure
        self._serializer = URLSafeTimedSerializer(key, salt="usher.session")

    def read(self, request: Request) -> Session | None:
        """Return the session in the cookie; None if it is missing, forged or expired."""
        try:
            nonce, user_id, epoch = self._serializer.loads(
                request.cookies.get(COOKIE, ""), max_age=int(LASTS.total_seconds())
            )
        except (BadSignature, ValueError, TypeError):
            return None
        return Session(nonce, user_id, epoch)

    def begin(self, user: User | None = None) -> Session:
        """Return a new session, logged in if `user` is given."""
        if user is None:
            return Session(new_secret())
        return Session(new_secret(), user.id, user.session_epoch)

    def write(self, request: Request, response: Response, session: Session) -> None:
        """Set the cookie of `session`."""
        response.set_cookie(
            COOKIE,
            self._serializer.dumps([session.nonce, session.user_id, session.epoch]),
            max_age=int(LASTS.total_seconds()),
            path="/console",
            httponly=True,
            samesite="lax",
            secure=self._always_secure or request.url.scheme == "https",
        )

    def csrf(self, session: Session) -> str:
        """Return the CSRF token of the session's forms."""
        return hmac.new(self._key, f"csrf:{session.nonce}".encode(), hashlib.sha256).hexdigest()

    def require_csrf(self, session: Session | None, given: str) -> None:
        """Raise NotAllowedError unless `given` is the CSRF token of the session."""
        if session is None or not hmac.compare_digest(self.csrf(session).encode(), given.encode()):
            raise NotAllowedError("this form has expired or was not sent by the console; reload the page and try again")


def user_of(connection: Connection, session: Session) -> User | None:
    """Return the user; None if not logged in, disabled, or logged out everywhere since."""
    if not session.user_id:
        return None
    try:
        user = read_user(connection, session.user_id)
    except NotFoundError:
        return None
    return None if user.disabled or user.session_epoch != session.epoch else user
