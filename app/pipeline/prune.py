"""Flow 5: what is older than the retention goes, in small steps, and never what is live."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, delete, exists, select

from app.db.tables import LIVE, audit_log, dispatches, events
from app.pipeline.context import Context

STEP = 200
"""Rows in one transaction: short enough not to hold up acknowledgements."""


class Pruner:
    """Deletes settled events with their dispatches, attempts and audit lines once they are past the retention."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run_once(self) -> dict[str, int]:
        """Prune until nothing is left to prune; return how many events went."""
        days = self._context.settings.retention_days
        if days <= 0:
            return {"pruned": 0}
        total = 0
        while pruned := await self._context.writer.run(lambda connection: self._step(connection, days)):
            total += pruned
        return {"pruned": total}

    def _step(self, connection: Connection, days: float) -> int:
        before = self._context.clock.now() - timedelta(days=days)
        live = exists().where(dispatches.c.event_id == events.c.id, dispatches.c.status.in_(LIVE))
        old = select(events.c.id).where(events.c.received_at < before, ~live).order_by(events.c.id).limit(STEP)
        event_ids = list(connection.execute(old).scalars())
        if not event_ids:
            return 0
        of_them = select(dispatches.c.id).where(dispatches.c.event_id.in_(event_ids))
        dispatch_ids = list(connection.execute(of_them).scalars())
        connection.execute(delete(audit_log).where(audit_log.c.entity_id.in_(dispatch_ids)))
        connection.execute(delete(dispatches).where(dispatches.c.id.in_(dispatch_ids)))
        connection.execute(delete(events).where(events.c.id.in_(event_ids)))
        return len(event_ids)
