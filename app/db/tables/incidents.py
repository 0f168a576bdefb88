"""What is wrong, and what reports it: incidents, channels for people, and signed webhooks for programs."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text, true

from app.db.columns.column_types import Json, Timestamp, one_of
from app.db.columns.written_types import EPOCH, WrittenInteger, WrittenJson, WrittenText, WrittenTimestamp
from app.db.tables.base import current_instant, flag, metadata, partial_index
from app.db.types import DeliveryStatus, IncidentKind, OutgoingEvent

# One row per incident; at most one open one of a kind, subject and project. app/incidents decides when one opens and
# closes.
incidents = Table(
    "incidents",
    metadata,
    Column("id", WrittenText, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", WrittenText, nullable=False, server_default=""),  # the agent, rule or replica; empty: the project
    Column("project", WrittenText, nullable=False, server_default=""),  # empty: it is of no single project
    Column("opened_at", WrittenTimestamp(EPOCH), nullable=False),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False),
    Column("closed_at", WrittenTimestamp(EPOCH)),
    # Callers concerned, where it is about callers.
    Column("count", WrittenInteger(1), nullable=False, server_default="1"),
    Column("detail", WrittenJson, nullable=False),
    Column("muted_until", WrittenTimestamp),  # no notification and no banner before this
    one_of("kind", IncidentKind, "kind"),
    partial_index("uq_incidents_open", "kind", "subject", "project", where="closed_at IS NULL", unique=True),
    Index(None, "kind", "subject", "project", "id"),
)

# Channels that notify people. Operators may write it with plain SQL: only name and url are needed.
notifications = Table(
    "notifications",
    metadata,
    Column("name", WrittenText, primary_key=True),
    Column("enabled", flag("enabled"), nullable=False, server_default=true()),
    Column("url", WrittenText, nullable=False),  # of Apprise; a secret that is never shown again
    Column("kinds", WrittenJson),  # a list of kinds of incidents; NULL: all
    Column("quiet_hours", WrittenText),  # OpenStreetMap opening hours
    Column("timezone", WrittenText, nullable=False, server_default="UTC"),
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_by", WrittenText),
)

# Programs that get signed webhooks.
webhook_subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("id", WrittenText, primary_key=True),
    Column("name", WrittenText, nullable=False),
    Column("url", WrittenText, nullable=False),
    Column("secret", WrittenText, nullable=False),  # signs what is sent; shown once
    Column("events", WrittenJson),  # a list of events; NULL: all
    Column("enabled", flag("enabled"), nullable=False, server_default=true()),
    Column("failing_since", WrittenTimestamp(EPOCH)),  # the first failure since the latest success
    Column("paused_at", WrittenTimestamp(EPOCH)),  # after it has failed for long; a person resumes it
    Column("created_at", WrittenTimestamp(EPOCH), nullable=False, server_default=current_instant()),
    Column("updated_by", WrittenText),
    UniqueConstraint("name"),
)


def _delivery_columns() -> list[Column[object]]:
    """Return what deliveries to people and to programs have in common."""
    return [
        Column("id", Text, primary_key=True),  # of a webhook its webhook-id, the same for every attempt
        Column("event", Text, nullable=False),
        Column("payload", Text, nullable=False),  # JSON, as it is sent
        Column("status", Text, nullable=False, server_default=DeliveryStatus.PENDING),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_attempt_at", Timestamp),  # pending: not before this, nor before the end of a lease
        Column("lease_owner", Text),
        Column("lease_until", Timestamp),
        Column("created_at", Timestamp, nullable=False),
        Column("finished_at", Timestamp),
        Column("log", Json, nullable=False, server_default=text("'[]'")),  # the attempts, oldest first
    ]


webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    *_delivery_columns(),
    Column("subscription_id", Text, ForeignKey("webhook_subscriptions.id", ondelete="CASCADE"), nullable=False),
    one_of("event", OutgoingEvent, "event"),
    one_of("status", DeliveryStatus, "status"),
    partial_index("ix_webhook_deliveries_due", "subscription_id", "next_attempt_at", where="status = 'pending'"),
    Index(None, "subscription_id", "id"),
)

notification_deliveries = Table(
    "notification_deliveries",
    metadata,
    *_delivery_columns(),
    Column("incident_id", Text, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),  # the name of a notification, or the place of a URL in the settings
    one_of("event", OutgoingEvent, "event"),
    one_of("status", DeliveryStatus, "status"),
    UniqueConstraint("incident_id", "channel", "event"),
    partial_index("ix_notification_deliveries_due", "channel", "next_attempt_at", where="status = 'pending'"),
    Index(None, "channel", "id"),
)
