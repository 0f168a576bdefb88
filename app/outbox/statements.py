"""The statements of the hot path, built once: building one anew costs SQLAlchemy more than running it.

Measured for a look-up by key: 155 µs built each time, 63 µs built once.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Insert, Table, Update, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.db.tables import LIVE, dispatch_callers, dispatches

# Ordered, so that two replicas that lock several rows cannot wait for each other.
LOCKED = (
    select(dispatches)
    .where(dispatches.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(dispatches.c.id)
    .with_for_update()
)
LIVE_BY_INTENT = (
    select(dispatches)
    .where(dispatches.c.intent_key.in_(bindparam("keys", expanding=True)), dispatches.c.status.in_(LIVE))
    .order_by(dispatches.c.id)
    .with_for_update()
)
LIVE_IN_ROOMS = (
    select(dispatches)
    .where(dispatches.c.room_sid.in_(bindparam("room_sids", expanding=True)), dispatches.c.status.in_(LIVE))
    .order_by(dispatches.c.id)
    .with_for_update()
)
CALLERS = select(dispatch_callers.c.dispatch_id, dispatch_callers.c.participant_sid, dispatch_callers.c.left_at).where(
    dispatch_callers.c.dispatch_id.in_(bindparam("ids", expanding=True))
)
MARK_LEFT = (
    update(dispatch_callers)
    .where(
        dispatch_callers.c.participant_sid.in_(bindparam("participant_sids", expanding=True)),
        dispatch_callers.c.left_at.is_(None),
    )
    .values(left_at=bindparam("at"))
)


@lru_cache
def insert_new(dialect: str, table: Table) -> Insert:
    """Return an INSERT that leaves out rows which any unique index already holds."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


@lru_cache
def insert_new_dispatches(dialect: str) -> Insert:
    """Return the INSERT of dispatches that tells the ids of the new ones."""
    return insert_new(dialect, dispatches).returning(dispatches.c.id)


@lru_cache(maxsize=64)
def update_dispatch(columns: tuple[str, ...]) -> Update:
    """Return the UPDATE of these columns of the dispatch whose id is bound as `key`."""
    return update(dispatches).where(dispatches.c.id == bindparam("key")).values({n: bindparam(n) for n in columns})
