"""The one way a dispatch changes state: row, attempt and audit line in the same transaction, and then the counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.audit_log import AuditEntry, append
from app.db.types import DispatchStatus
from app.metrics import Metrics
from app.outbox.dispatch_store import Move, apply, inherit_callers, insert_dispatches
from app.outbox.states import GAVE_UP


def move(connection: Connection, moves: Sequence[Move], now: datetime) -> None:
    """Carry out `moves` and write an audit line for each; a move to the same state only notes its reason."""
    if not moves:
        return
    apply(connection, moves)
    append(
        connection,
        [
            AuditEntry("dispatch", one.dispatch.id, one.dispatch.status, one.status, one.reason, now, one.by)
            for one in moves
        ],
    )


def bear(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Insert dispatches that replace others (`recovers`), serving who is left of their callers."""
    if not rows:
        return
    created = insert_dispatches(connection, rows)
    born = [row for row in rows if row["id"] in created]
    inherit_callers(connection, {row["recovers"]: row["id"] for row in born})
    append(
        connection,
        [AuditEntry("dispatch", row["id"], None, row["status"], row["reason"], now) for row in born],
    )


def count(metrics: Metrics, moves: Sequence[Move]) -> None:
    """Count `moves`; called after their transaction has been committed."""
    for one in moves:
        dispatch = one.dispatch
        if one.status is dispatch.status:
            continue
        metrics.transitions.labels(dispatch.agent_name, one.status).inc()
        match one.status:
            case DispatchStatus.NO_SHOW:
                metrics.no_shows.labels(dispatch.agent_name).inc()
            case DispatchStatus.JOINED:
                joined_at = one.fields.get("joined_at")
                if isinstance(joined_at, datetime):
                    waited = (joined_at - dispatch.created_at).total_seconds()
                    metrics.seconds_to_agent.labels(dispatch.agent_to_ask).observe(max(0.0, waited))
            case DispatchStatus.CANCELLED if one.reason.startswith(GAVE_UP):
                metrics.abandoned.labels(dispatch.agent_name).inc()
            case _:
                pass
