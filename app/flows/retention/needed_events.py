"""Which stored events live calls still need."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from app.db.tables import ACTION_IS_LIVE, caller_actions, dispatch_callers, dispatches, events
from app.db.types import LIVE


def needed_events(connection: Connection, event_ids: Collection[str]) -> set[str]:
    """Return those of these events that have a live dispatch, made for them or serving them, or a live action."""
    live = dispatches.c.status.in_(LIVE)
    sids = select(events.c.participant_sid).where(events.c.id.in_(event_ids))
    made = select(dispatches.c.event_id).where(dispatches.c.event_id.in_(event_ids), live)
    served = (
        select(dispatch_callers.c.event_id)
        .join(dispatches, dispatches.c.id == dispatch_callers.c.dispatch_id)
        .where(dispatch_callers.c.participant_sid.in_(sids), dispatch_callers.c.event_id.in_(event_ids), live)
    )
    acting = select(caller_actions.c.event_id).where(caller_actions.c.event_id.in_(event_ids), ACTION_IS_LIVE)
    return set(connection.execute(made.union(served, acting)).scalars())
