"""Deletes events past the retention with all that hangs on them, in small steps, and nothing that is live.

Also expired sessions of the console, and old rows of the access log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection, bindparam, delete, select

from app.accounts.access_log import prune_accesses
from app.accounts.sessions import delete_expired, session_limits
from app.db.record_ids import lowest_id_at
from app.db.tables import (
    audit_log,
    caller_actions,
    dispatches,
    events,
    personal_reads,
    token_dispatches,
)
from app.flows.context import Context
from app.flows.retention.drop_bodies import BodyDropper
from app.flows.retention.needed_events import needed_events
from app.flows.token_dispatches import VALID_FOR
from app.incidents.incident_store import prune_incidents
from app.incidents.messages.delivery import prune_deliveries

STEP = 200
"""Events deleted in one transaction: few enough not to delay acknowledgements."""
_READS_AT_ONCE = 2_000
"""Records of reads deleted in one round; the next one follows after a minute."""
_LOOK_AGAIN_S = 3600.0
"""How often events are looked through again that one project keeps longer than another."""
PAUSE_S = 0.05
"""Pause between two steps, so that a long backlog leaves the writer to other work."""

# From the oldest on, and no further than the first that is young: a search for old ones among all would be a search
# through the whole table whenever there are none.
_OLDEST = (
    select(events.c.id, events.c.received_at, events.c.project)
    .where(events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(bindparam("first"))
)


@dataclass(frozen=True, slots=True)
class _Step:
    pruned: int
    last: str | None
    """The id to continue after; None when nothing older is left."""


class Pruner:
    """Deletes settled events with their dispatches, attempts and audit lines once they are past the retention."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bodies = BodyDropper(context)
        self._kept_after = ""
        """Up to where events are that some project keeps longer than others: looked through again once an hour."""
        self._kept_since = float("-inf")

    async def run_once(self) -> dict[str, int]:
        """Prune until nothing is left to prune; return how many events went, and how many lost their bodies."""
        await self._context.writer.run(self._prune_others, gives_way=True)
        total = 0
        after: str | None = self._start() if self._shortest_days() > 0 else None
        while after is not None:
            step = await self._context.writer.run(partial(self._prune, after=after))
            total += step.pruned
            after = step.last
            if after is not None:
                await asyncio.sleep(PAUSE_S)
        bodies = await self._bodies.run_once()
        return {
            "pruned": total,
            "bodies": bodies,
            "accesses": await self._context.writer.run(self._prune_accesses, gives_way=True),
        }

    def _shortest_days(self) -> float:
        """Return the shortest retention of all projects; 0 if all is kept forever."""
        settings = self._context.settings
        days = [settings.retention_days, *(settings.retention_days_of(one.name) for one in settings.projects)]
        return min((one for one in days if one > 0), default=0.0)

    def _start(self) -> str:
        tick = self._context.clock.monotonic()
        if tick - self._kept_since >= _LOOK_AGAIN_S:
            self._kept_after, self._kept_since = "", tick
        return self._kept_after

    def _prune_accesses(self, connection: Connection) -> int:
        settings, now = self._context.settings, self._context.clock.now()
        before = now - timedelta(days=settings.access_log_days) if settings.access_log_days > 0 else None
        delete_expired(connection, now, session_limits(settings))
        return prune_accesses(connection, before)

    def _prune_others(self, connection: Connection) -> None:
        """Delete promises that no token can use any more, records of reads, closed incidents, and what was sent."""
        now = self._context.clock.now()
        connection.execute(delete(token_dispatches).where(token_dispatches.c.created_at < now - VALID_FOR))
        days = self._context.settings.reads_retention_days
        before = lowest_id_at(now - timedelta(days=days)) if days > 0 else None
        expired = select(personal_reads.c.id).order_by(personal_reads.c.id).limit(_READS_AT_ONCE)
        if before is not None:
            expired = expired.where(personal_reads.c.id < before)
        connection.execute(delete(personal_reads).where(personal_reads.c.id.in_(expired)))
        if self._context.settings.retention_days > 0:
            kept_since = now - timedelta(days=self._context.settings.retention_days)
            prune_incidents(connection, kept_since)
            prune_deliveries(connection, kept_since)

    def _prune(self, connection: Connection, after: str) -> _Step:
        now, settings = self._context.clock.now(), self._context.settings
        horizon = now - timedelta(days=self._shortest_days())
        rows = connection.execute(_OLDEST, {"after": after, "first": STEP}).all()
        seen = [row for row in rows if row.received_at < horizon]
        days = {project: settings.retention_days_of(project) for project in {row.project for row in seen}}
        old = [row.id for row in seen if 0 < days[row.project] <= (now - row.received_at) / timedelta(days=1)]
        if len(old) < len(seen) and len(seen) == STEP:
            self._kept_after = seen[-1].id
        settled = set(old) - needed_events(connection, old)
        of_them = list(connection.execute(select(dispatches.c.id).where(dispatches.c.event_id.in_(settled))).scalars())
        acted = select(caller_actions.c.id).where(caller_actions.c.event_id.in_(settled))
        actions = list(connection.execute(acted).scalars())
        connection.execute(delete(audit_log).where(audit_log.c.entity_id.in_([*of_them, *actions, *settled])))
        connection.execute(delete(caller_actions).where(caller_actions.c.id.in_(actions)))
        connection.execute(delete(dispatches).where(dispatches.c.id.in_(of_them)))
        connection.execute(delete(events).where(events.c.id.in_(settled)))
        return _Step(len(settled), seen[-1].id if len(seen) == STEP else None)
