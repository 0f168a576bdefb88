"""How a program takes its webhooks: since when it fails, and when it is paused."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from app.db.audit_log import AuditEntry, append
from app.db.tables import webhook_subscriptions
from app.incidents.messages.delivery import SendOutcome
from app.incidents.messages.retry_delays import PAUSE_AFTER


def note_outcome(connection: Connection, subscription_id: str, outcome: SendOutcome, now: datetime) -> None:
    """Note a success or a failure; a program that has only failed for `PAUSE_AFTER`, or is gone, is paused."""
    column = webhook_subscriptions.c
    query = select(column.name, column.failing_since, column.paused_at).where(column.id == subscription_id)
    row = connection.execute(query).first()
    if row is None or row.paused_at is not None:
        return
    changed = update(webhook_subscriptions).where(column.id == subscription_id)
    if outcome.delivered:
        if row.failing_since is not None:
            connection.execute(changed.values(failing_since=None))
        return
    since = row.failing_since or now
    if outcome.is_gone or now - since >= PAUSE_AFTER:
        connection.execute(changed.values(failing_since=since, paused_at=now))
        why = "its endpoint answers 410" if outcome.is_gone else f"every attempt failed for {PAUSE_AFTER.days} days"
        reason = f"webhook subscription {row.name!r} is paused: {why}"
        append(connection, [AuditEntry("webhook_subscription", subscription_id, None, "paused", reason, now)])
    elif row.failing_since is None:
        connection.execute(changed.values(failing_since=now))
