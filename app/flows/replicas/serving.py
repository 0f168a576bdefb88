"""Says in `heartbeats` that this process serves, so that commands which need the database to themselves can refuse.

On SQLite a lock of the file says so; on PostgreSQL servers and commands run on different machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from app.db.engine import is_embedded
from app.db.tables import heartbeats
from app.errors import UsherError
from app.flows.context import Context

COMPONENT = "server"
BEAT_EVERY_S = 10.0
SILENT_S = 30
"""A server whose heartbeat is older than this, by the database's clock, is dead."""


class ServingHeartbeat:
    """Writes the heartbeat of this process, with what `describe` says of it, and removes it at the end."""

    def __init__(self, context: Context, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._context = context
        self._describe = describe

    async def run_once(self) -> dict[str, int]:
        """Write the heartbeat, in the database's time."""
        detail = dict(self._describe())
        await self._context.writer.run(lambda connection: _beat(connection, self._context.owner, detail))
        return {}

    async def stop(self) -> None:
        """Remove the heartbeat; without a database it is left to grow old."""
        gone = delete(heartbeats).where(
            heartbeats.c.component == COMPONENT, heartbeats.c.replica == self._context.owner
        )
        try:
            await self._context.writer.run(lambda connection: connection.execute(gone))
        except UsherError:
            return


def _beat(connection: Connection, replica: str, detail: Mapping[str, Any]) -> None:
    row = insert(heartbeats).values(component=COMPONENT, replica=replica, beat_at=func.now(), detail=detail)
    changed = {"beat_at": func.now(), "detail": detail}
    connection.execute(row.on_conflict_do_update(index_elements=["component", "replica"], set_=changed))


def serving_replicas(connection: Connection) -> list[str]:
    """Return the names of the processes that serve with this database; always empty on SQLite."""
    return sorted(heartbeat_details(connection))


def heartbeat_details(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """Return by name what each process that serves with this database says of itself; always empty on SQLite."""
    if is_embedded(connection.engine.url):
        return {}
    since: ColumnElement[datetime] = literal_column(f"now() - interval '{SILENT_S} seconds'")
    query = select(heartbeats.c.replica, heartbeats.c.detail)
    query = query.where(heartbeats.c.component == COMPONENT, heartbeats.c.beat_at > since)
    return {row.replica: row.detail for row in connection.execute(query)}
