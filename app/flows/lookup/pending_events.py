"""Pending events past their deadline: their process ended or could not reach the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, bindparam, not_, or_, select, text, update

from app.db.any_of import any_of
from app.db.columns.lookup_columns import MAX_TIMEOUT_MS
from app.db.tables import RARE_OUTCOME, events
from app.db.types import EventOutcome
from app.webhook.event import Event
from app.webhook.event_store import from_row
from app.webhook.trimmed import with_joins

CLAIMED_AT_ONCE: Final = 50
_LEASE: Final = timedelta(milliseconds=MAX_TIMEOUT_MS) + timedelta(seconds=3)
_IMPOSSIBLE: Final = timedelta(minutes=1)
"""No event is due so late: the clock was set back since."""

_IS_PENDING = and_(text(RARE_OUTCOME), events.c.outcome == EventOutcome.LOOKING_UP)  # in the text of the index
_IS_DUE = or_(
    events.c.lookup_due_at.is_(None),
    events.c.lookup_due_at <= bindparam("now"),
    events.c.lookup_due_at > bindparam("impossible"),
)
PAST_DUE: Final = select(events.c.id).where(_IS_PENDING, _IS_DUE)
"""Pending events past their deadline, with the parameters `due_at`."""
_DUE = PAST_DUE.where(not_(any_of(events.c.id, "without"))).order_by(events.c.id).limit(CLAIMED_AT_ONCE)


def due_at(now: datetime) -> dict[str, datetime]:
    """Return the parameters of `PAST_DUE`."""
    return {"now": now, "impossible": now + _IMPOSSIBLE}


def due_ids(connection: Connection, now: datetime, without: Collection[str]) -> list[str]:
    """Return ids of due events, oldest first, except `without`, which this process already handles."""
    return list(connection.scalars(_DUE, {**due_at(now), "without": without}))


def claim_pending(connection: Connection, ids: Sequence[str], now: datetime) -> list[Event]:
    """Take up those of these events that are still due, so that no other replica does; return them."""
    query = select(events).where(events.c.id.in_(ids), _IS_PENDING, _IS_DUE).order_by(events.c.id).with_for_update()
    rows = connection.execute(query, due_at(now)).mappings().all()
    claimed = [row["id"] for row in rows]
    connection.execute(update(events).where(events.c.id.in_(claimed)).values(lookup_due_at=now + _LEASE))
    return with_joins(connection, [from_row(row) for row in rows])


def take_over_lookups(connection: Connection, now: datetime) -> None:
    """Make all pending events due; only where no other process can be alive."""
    connection.execute(update(events).where(_IS_PENDING).values(lookup_due_at=now))
