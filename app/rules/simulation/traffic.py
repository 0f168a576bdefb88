"""Reads recorded events, each with the agents and rules that served it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, events
from app.db.types import EventOutcome
from app.rules.simulation.simulate import PastEvent
from app.webhook.event_store import from_row

_FETCHED: Final = 1000
_ASKED: Final = 500


def count_traffic(connection: Connection, since: datetime, until: datetime | None = None) -> int:
    """Return about how many events `read_traffic` yields, for showing progress."""
    return connection.scalar(select(func.count()).select_from(events).where(_between(since, until))) or 0


def read_traffic(
    connection: Connection,
    since: datetime,
    until: datetime | None = None,
    *,
    projects: Collection[str] | None = None,
) -> Iterator[PastEvent]:
    """Yield the events received from `since` on and before `until`, oldest first, a thousand in memory at a time.

    Only those of `projects` (None: of all).

    Joins of callers who had left again before they were accepted are passed over: no rules would have served them.
    """
    last = ""
    while True:
        page = and_(_between(since, until), events.c.id > last)
        if projects is not None:
            page = and_(page, events.c.project.in_(projects))
        rows = connection.execute(select(events).where(page).order_by(events.c.id).limit(_FETCHED)).mappings().all()
        yield from _past_events(connection, rows)
        if len(rows) < _FETCHED:
            return
        last = rows[-1]["id"]


def _between(since: datetime, until: datetime | None) -> ColumnElement[bool]:
    # Ids begin with the milliseconds of their making: the primary key serves as index of time.
    # A minute of slack covers clocks that are set back.
    conditions = [events.c.received_at >= since, events.c.id >= lowest_id_at(since - timedelta(minutes=1))]
    if until is not None:
        conditions.append(events.c.received_at < until)
    return and_(*conditions)


def _past_events(connection: Connection, rows: Sequence[RowMapping]) -> Iterator[PastEvent]:
    served = {row["id"]: _serving(row["decision"]) for row in rows}
    asked = [dispatch for ids in served.values() for dispatch in ids]
    agents: dict[str, str] = {}
    for start in range(0, len(asked), _ASKED):
        statement = select(dispatches.c.id, dispatches.c.agent_name).where(
            dispatches.c.id.in_(asked[start : start + _ASKED])
        )
        agents |= {row.id: row.agent_name for row in connection.execute(statement)}
    for row in rows:
        matched = [one for one in (row["decision"] or {}).get("matched") or [] if isinstance(one, Mapping)]
        actions = tuple(dict.fromkeys(str(rule["action"]) for rule in matched if "action" in rule))
        if row["outcome"] == EventOutcome.IGNORED and (row["decision"] or {}).get("reason") and not actions:
            continue
        found = [agents[dispatch] for dispatch in served[row["id"]] if dispatch in agents]
        rules = tuple(str(rule.get("rule", "")) for rule in matched)
        yield PastEvent(from_row(row), tuple(dict.fromkeys(found)), rules, actions)


def _serving(decision: Mapping[str, Any] | None) -> list[str]:
    """Return the ids of the dispatches made for an event, and of those that served it already."""
    decision = decision or {}
    return [str(dispatch) for key in ("dispatches", "served_by") for dispatch in decision.get(key) or []]
