"""The key that signs sessions and links: created once, stored in the database, shared by all replicas."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from app.clock import new_secret
from app.db.bulk_insert import insert_new
from app.db.tables import signing_keys

_PURPOSE = "console"


def signing_key(connection: Connection, now: datetime) -> str:
    """Return the key; the first call creates it."""
    row = {"purpose": _PURPOSE, "secret": new_secret(), "created_at": now}
    # Two replicas may start at the same moment: the first to commit creates the key for both.
    insert_new(connection, signing_keys, [row])
    key: str = connection.execute(select(signing_keys.c.secret).where(signing_keys.c.purpose == _PURPOSE)).scalar_one()
    return key
