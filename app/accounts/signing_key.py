"""The key that signs one-time links and cookies: created once, stored in the database, shared by all replicas.

With USHER_SECRET_KEY the key is made of what is stored and that secret: who has only a copy of the database, such as a
backup, cannot make links with it. A new secret makes open links invalid and asks browsers to reload their forms.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import Connection, select, update

from app.clock import new_secret
from app.db.bulk_insert import insert_new
from app.db.tables import signing_keys
from app.errors import ConflictError

_PURPOSE = "console"
_SERVED = "console as served"
"""Of the row with a digest of the key that the server uses; the key cannot be computed from it."""


def signing_key(connection: Connection, now: datetime, secret: str = "") -> str:
    """Return the key, made with USHER_SECRET_KEY if that is given; the first call creates what is stored."""
    row = {"purpose": _PURPOSE, "secret": new_secret(), "created_at": now}
    # Two replicas may start at the same moment: the first to commit creates the key for both.
    insert_new(connection, signing_keys, [row])
    key: str = connection.execute(select(signing_keys.c.secret).where(signing_keys.c.purpose == _PURPOSE)).scalar_one()
    return hmac.new(secret.encode(), f"usher.signing-key:{key}".encode(), hashlib.sha256).hexdigest() if secret else key


def record_served_key(connection: Connection, now: datetime, key: str) -> None:
    """Record that a server checks links with `key`, for commands that may have another USHER_SECRET_KEY."""
    insert_new(connection, signing_keys, [{"purpose": _SERVED, "secret": _digest(key), "created_at": now}])
    served = update(signing_keys).where(signing_keys.c.purpose == _SERVED, signing_keys.c.secret != _digest(key))
    connection.execute(served.values(secret=_digest(key), created_at=now))


def require_served_key(connection: Connection, key: str, *, has_secret: bool) -> None:
    """Raise ConflictError if the server that ran last would refuse links made with `key`."""
    served = connection.execute(select(signing_keys.c.secret).where(signing_keys.c.purpose == _SERVED)).scalar()
    if served is None or served == _digest(key):
        return
    here = "the server has another value or none" if has_secret else "it is not set here"
    raise ConflictError(
        f"the server would refuse this link, because of USHER_SECRET_KEY: {here}; give this command the same as the "
        "server has, make the link in the console, or use --password-stdin"
    )


def _digest(key: str) -> str:
    return hashlib.sha256(f"usher.served-key:{key}".encode()).hexdigest()
