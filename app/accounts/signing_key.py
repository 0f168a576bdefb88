"""The key that signs one-time links and cookies: created once, stored in the database, shared by all replicas.

With USHER_SECRET_KEY the key is made of what is stored and that secret: who has only a copy of the database, such as a
backup, cannot make links with it. A new secret makes open links invalid and asks browsers to reload their forms.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from sqlalchemy import Connection, select

from app.clock import new_secret
from app.db.bulk_insert import insert_new
from app.db.tables import signing_keys

_PURPOSE = "console"


def signing_key(connection: Connection, now: datetime, secret: str = "") -> str:
    """Return the key, made with USHER_SECRET_KEY if that is given; the first call creates what is stored."""
    row = {"purpose": _PURPOSE, "secret": new_secret(), "created_at": now}
    # Two replicas may start at the same moment: the first to commit creates the key for both.
    insert_new(connection, signing_keys, [row])
    key: str = connection.execute(select(signing_keys.c.secret).where(signing_keys.c.purpose == _PURPOSE)).scalar_one()
    return hmac.new(secret.encode(), f"usher.signing-key:{key}".encode(), hashlib.sha256).hexdigest() if secret else key
