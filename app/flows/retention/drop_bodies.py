"""Drops bodies of webhooks and answers of lookups after USHER_RETENTION_BODIES_DAYS; the facts in the columns stay.

A cursor walks over the events in the order of their ids. Those that a live call still needs are kept, and tried again
in the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from app.db.record_ids import lowest_id_at
from app.db.tables import events
from app.flows.context import Context
from app.flows.retention.needed_events import needed_events
from app.flows.turns import beat, last_detail

STEP: Final = 500
"""Events of one transaction: few enough not to delay acknowledgements."""
PAUSE_S: Final = 0.05
"""Pause between two steps, so that a long backlog leaves the writer to other work."""
MAX_KEPT: Final = 1_000
"""Events of live calls that are tried again; further ones keep their bodies as long as their facts."""
_CURSOR: Final = "bodies"
_LATER: Final = timedelta(hours=1)
"""More than what is stored can be later than the clock shows, unless it was set back."""

_NEXT = (
    select(events.c.id, events.c.received_at)
    .where(events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(bindparam("first"))
)


@dataclass(frozen=True, slots=True)
class _Step:
    dropped: int
    is_last: bool


class BodyDropper:
    """Drops what is older than the retention of bodies, a step at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run_once(self) -> int:
        """Go on from where the cursor is until the rest is young; return from how many events bodies were dropped."""
        days = self._context.settings.retention_bodies_days
        if days <= 0:
            return 0
        before = self._context.clock.now() - timedelta(days=days)
        run = self._context.writer.run
        total = await run(self._retry_kept)
        while True:
            step = await run(partial(self._drop, before=before))
            total += step.dropped
            if step.is_last:
                return total
            await asyncio.sleep(PAUSE_S)

    def _retry_kept(self, connection: Connection) -> int:
        detail = last_detail(connection, _CURSOR, "")
        kept = [str(one) for one in detail.get("kept", ())]
        still = needed_events(connection, kept) if kept else set()
        free = [one for one in kept if one not in still]
        _write_none(connection, free)
        now, after = self._context.clock.now(), detail.get("after", "")
        if after > lowest_id_at(now + _LATER):  # the clock has been set back: what is stored now comes before it
            after = ""
        # Renewed even when nothing was due: heartbeats that are a day old are deleted, and the walk would begin anew.
        beat(connection, _CURSOR, "", now, {"after": after, "kept": sorted(still)})
        return len(free)

    def _drop(self, connection: Connection, before: datetime) -> _Step:
        detail = last_detail(connection, _CURSOR, "")
        rows = connection.execute(_NEXT, {"after": detail.get("after", ""), "first": STEP}).all()
        old: list[str] = []
        for row in rows:
            if row.received_at >= before:
                break
            old.append(row.id)
        if not old:
            return _Step(0, is_last=True)
        needed = needed_events(connection, old)
        free = [one for one in old if one not in needed]
        _write_none(connection, free)
        kept = [*detail.get("kept", ()), *sorted(needed)][:MAX_KEPT]
        beat(connection, _CURSOR, "", self._context.clock.now(), {"after": old[-1], "kept": kept})
        return _Step(len(free), is_last=len(old) < STEP)


def _write_none(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(update(events).where(events.c.id.in_(ids)).values(body=None, lookups=None))
