"""Says in `heartbeats` that this process serves, so that commands which need the database to themselves can refuse.

On SQLite a lock of the file says so; on PostgreSQL servers and commands run on different machines.
"""

from __future__ import annotations

from datetime import datetime

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
    """Writes the heartbeat of this process, and removes it at the end."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run_once(self) -> dict[str, int]:
        """Write the heartbeat, in the database's time."""
        await self._context.writer.run(lambda connection: _beat(connection, self._context.owner))
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


def _beat(connection: Connection, replica: str) -> None:
    row = insert(heartbeats).values(component=COMPONENT, replica=replica, beat_at=func.now(), detail={})
    connection.execute(row.on_conflict_do_update(index_elements=["component", "replica"], set_={"beat_at": func.now()}))


def serving_replicas(connection: Connection) -> list[str]:
    """Return the names of the processes that serve with this database; always empty on SQLite."""
    if is_embedded(connection.engine.url):
        return []
    since: ColumnElement[datetime] = literal_column(f"now() - interval '{SILENT_S} seconds'")
    query = select(heartbeats.c.replica).where(heartbeats.c.component == COMPONENT, heartbeats.c.beat_at > since)
    return list(connection.execute(query.order_by(heartbeats.c.replica)).scalars())
