"""What recent events and dispatches hold, for warnings about rules that ask for something else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, case, func, select

from app.audit.statistics.dialects import names_table
from app.audit.statistics.names import names
from app.db.record_ids import lowest_id_at
from app.db.tables import dispatches, events
from app.livekit.attributes import agent_name_of
from app.livekit.vocabulary import ParticipantKind
from app.rules.warnings.unseen import DAYS, Traffic
from app.webhook.event import Event
from app.webhook.event_store import from_row
from app.webhook.trimmed import with_joins

MOST_EVENTS: Final = 1000
"""Events that are read at most: about 0.1 s."""
_LATEST_TRIED: Final = 50  # dispatches of an agent


@dataclass(frozen=True, slots=True)
class RecentTraffic:
    """Recent traffic and the id of the latest event in it."""

    traffic: Traffic
    latest_id: str


def read_recent_traffic(
    connection: Connection, now: datetime, hidden: Collection[str], known: RecentTraffic | None = None
) -> RecentTraffic:
    """Return what the latest events of the last days hold; `hidden`: the paths left out of stored events.

    With `known`, only events after those in it are read, and added to a copy.
    """
    oldest = lowest_id_at(now - timedelta(days=DAYS))
    query = select(events).where(events.c.id >= oldest).order_by(events.c.id.desc()).limit(MOST_EVENTS + 1)
    rows = connection.execute(query if known is None else query.where(events.c.id > known.latest_id)).mappings().all()
    if known is not None and len(rows) > MOST_EVENTS:
        return read_recent_traffic(connection, now, hidden)
    recent = with_joins(connection, [from_row(row) for row in rows[:MOST_EVENTS] if row["body"] is not None])
    traffic = Traffic(is_whole=len(rows) <= MOST_EVENTS, hidden=hidden) if known is None else known.traffic.copy()
    joined = filter(None, map(_agent_in, recent))
    traffic.agents = {**traffic.agents, **_agents(connection), **dict.fromkeys(joined, True)}
    for event in recent:
        traffic.add(event.type, event.document)
    return RecentTraffic(traffic, rows[0]["id"] if rows else oldest if known is None else known.latest_id)


def _agents(connection: Connection) -> dict[str, bool]:
    """Return every agent that dispatches name, and whether it has joined one of its latest."""
    column = dispatches.c
    found: Sequence[str] = names(connection, column.agent_name)
    if not found:
        return {}
    wanted = names_table(connection, found)
    latest = (
        select(case((column.rung == 0, column.joined_at)).label("joined_at"))
        .where(column.agent_name >= wanted.c.name, column.agent_name <= wanted.c.name)
        .order_by(column.agent_name.desc(), column.id.desc())
        .limit(_LATEST_TRIED)
        .correlate(wanted)
        .subquery()
    )
    joined = select(func.count(latest.c.joined_at)).scalar_subquery()
    rows = connection.execute(select(wanted.c.name, case((joined > 0, 1), else_=0).label("joined")))
    return {row.name: bool(row.joined) for row in rows}


def _agent_in(event: Event) -> str:
    """Return the name of the agent that an event is about, such as a fallback that has joined; empty if none."""
    participant: Any = event.document.get("participant")
    attributes = participant.get("attributes") if isinstance(participant, Mapping) else None
    if not isinstance(attributes, Mapping) or participant.get("kind") != ParticipantKind.AGENT:
        return ""
    return agent_name_of(attributes)
