"""The key that signs sessions and links: made once, kept in the database, the same for every replica."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from app.clock import new_secret
from app.db.bulk_insert import insert_new
from app.db.tables import signing_keys

_PURPOSE = "console"


def signing_key(connection: Connection, now: datetime) -> str:
    """Return the key, making it at the first call of all."""
    row = {"purpose": _PURPOSE, "secret": new_secret(), "created_at": now}
    # Two replicas may start at the same moment: the first to commit has made the key of both.
    insert_new(connection, signing_keys, [row])
    key: str = connection.execute(select(signing_keys.c.secret).where(signing_keys.c.purpose == _PURPOSE)).scalar_one()
    return key
