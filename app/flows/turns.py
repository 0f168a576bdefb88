"""Turns of replicas at a background job, kept in `heartbeats`, with what the job last found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from app.db.bulk_insert import insert_new
from app.db.tables import heartbeats
from app.db.types import format_instant, parse_instant

SWEEPER = "sweeper"
CANARY = "canary"
HASHER = "hasher"
ANNOUNCER = "announcer"
INCIDENTS = "incidents"
# "ushe" and what follows it
_LOCKS = {SWEEPER: 0x75736865, CANARY: 0x75736866, HASHER: 0x75736867, INCIDENTS: 0x75736868, ANNOUNCER: 0x75736869}
"""Turns are taken one by one on PostgreSQL."""
BEAT_EVERY_S = 5.0
"""A replica at work renews its heartbeat this often."""
TURN_SHARE = 0.95
"""Of the interval, after which the next turn may begin: loops ask at whole parts of it, a little early or late."""
_SILENT_S = 15.0
"""A replica at work whose heartbeat is older than this is dead."""
_FORGOTTEN = timedelta(days=1)


def beat(connection: Connection, component: str, replica: str, now: datetime, detail: Mapping[str, Any]) -> None:
    """Write a heartbeat, with what the job found."""
    row = {"component": component, "replica": replica, "beat_at": now, "detail": dict(detail)}
    insert_new(connection, heartbeats, [row])
    connection.execute(
        update(heartbeats)
        .where(heartbeats.c.component == component, heartbeats.c.replica == replica)
        .values(beat_at=now, detail=dict(detail))
    )


def last_detail(connection: Connection, component: str, replica: str) -> Mapping[str, Any]:
    """Return what a job found last; empty before its first turn."""
    query = select(heartbeats.c.detail).where(heartbeats.c.component == component, heartbeats.c.replica == replica)
    detail: Mapping[str, Any] | None = connection.execute(query).scalar()
    return detail or {}


def take_turn(connection: Connection, replica: str, now: datetime, interval_s: float, component: str = SWEEPER) -> bool:
    """Return whether `replica` has the turn now: no other is at work, and none has begun within the interval.

    Held by a transaction-scoped advisory lock, so that two replicas cannot both take the same turn.
    """
    if not _has_lock(connection, component):
        return False
    query = select(heartbeats).where(heartbeats.c.component == component)
    for row in connection.execute(query).mappings():
        began = parse_instant(row["detail"]["began"])
        # A heartbeat in the future was written before the clock was set back.
        if 0 <= (now - began).total_seconds() < interval_s * TURN_SHARE:
            return False
        # Another process cannot be at work on SQLite: it is dead.
        busy = row["detail"]["busy"] and row["replica"] != replica and connection.dialect.name == "postgresql"
        if busy and 0 <= (now - row["beat_at"]).total_seconds() < _SILENT_S:
            return False
    beat(connection, component, replica, now, {"began": format_instant(now), "busy": True})
    connection.execute(delete(heartbeats).where(heartbeats.c.beat_at < now - _FORGOTTEN))
    return True


def lead(connection: Connection, replica: str, now: datetime, component: str) -> bool:
    """Return whether `replica` is the one that does a job all the time: it goes on, or the one before is silent."""
    if connection.dialect.name != "postgresql":
        return True
    if not _has_lock(connection, component):
        return False
    query = select(heartbeats).where(heartbeats.c.component == component)
    own: datetime | None = None
    for row in connection.execute(query).mappings():
        if row["replica"] == replica:
            own = row["beat_at"]
        elif 0 <= (now - row["beat_at"]).total_seconds() < _SILENT_S:
            return False
    if own is None or not 0 <= (now - own).total_seconds() < BEAT_EVERY_S:
        beat(connection, component, replica, now, {})
    return True


def _has_lock(connection: Connection, component: str) -> bool:
    """Return whether no other transaction decides about the turns of `component` now; it keeps others from doing so."""
    if connection.dialect.name != "postgresql":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(connection.execute(lock, {"key": _LOCKS[component]}).scalar())


def keep_turn(connection: Connection, replica: str, now: datetime, *, busy: bool, component: str = SWEEPER) -> None:
    """Note that `replica` is still at work, or has finished."""
    detail = {**last_detail(connection, component, replica), "busy": busy}
    if "began" in detail:
        beat(connection, component, replica, now, detail)
