"""How events reach Usher: by webhook, or only by the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.db.tables import events, heartbeats
from app.db.types import EventSource, format_instant

_SWEEP = "sweep:"


@dataclass(frozen=True, slots=True)
class SweepHeartbeat:
    """When a LiveKit project was last swept, and with what result."""

    project: str
    at: datetime
    detail: Mapping[str, Any]

    @property
    def missed_joins(self) -> int:
        """Joins that the sweep found and for which no webhook had arrived."""
        return int(self.detail.get("untold") or 0)

    def to_json(self) -> dict[str, Any]:
        """Return the heartbeat as a JSON object without the project's name."""
        return {"at": format_instant(self.at), **self.detail, "webhooks_silent": bool(self.detail.get("untold"))}


def sweep_heartbeats(connection: Connection) -> list[SweepHeartbeat]:
    """Return the latest sweep of each LiveKit project."""
    query = select(heartbeats).where(heartbeats.c.component.startswith(_SWEEP))
    return [
        SweepHeartbeat(row["component"].removeprefix(_SWEEP), row["beat_at"], row["detail"])
        for row in connection.execute(query).mappings()
    ]


def latest_sources(connection: Connection, limit: int) -> list[EventSource]:
    """Return the sources of the latest `limit` events, newest first."""
    query = select(events.c.source).order_by(events.c.id.desc()).limit(limit)
    return [EventSource(source) for source in connection.scalars(query)]
