"""Keep incidents, channels for people, webhooks to programs, and what was sent to both.

Locks on PostgreSQL: none on existing tables, but for the index of attempts, which is built beside writes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KINDS = (
    "kind IN ('agent_not_joining', 'no_show', 'no_rule', 'objective_burning', 'livekit_refuses', "
    "'livekit_unreachable', 'webhooks_silent', 'rule_broken', 'queue_growing', 'replica_clock', 'webhook_paused')"
)
EVENTS = (
    "event IN ('call.answered', 'call.no_show', 'call.abandoned', 'call.handed_over', 'incident.opened', "
    "'incident.closed')"
)
STATUSES = "status IN ('pending', 'delivered', 'failed')"
MISSED = sa.text("outcome IN ('no_show', 'left_early')")


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    instant = TIMESTAMP(timezone=True) if is_postgresql else sa.Text()
    json = JSONB() if is_postgresql else sa.JSON()
    now = sa.text("now()" if is_postgresql else "(strftime('%Y-%m-%dT%H:%M:%f','now') || '000Z')")
    is_open, is_pending = sa.text("closed_at IS NULL"), sa.text("status = 'pending'")
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, server_default=""),
        sa.Column("project", sa.Text(), nullable=False, server_default=""),
        sa.Column("opened_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.Column("closed_at", instant),
        sa.Column("count", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("detail", json, nullable=False),
        sa.Column("muted_until", instant),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sa.CheckConstraint(KINDS, name=op.f("ck_incidents_kind")),
    )
    op.create_index(
        "uq_incidents_open",
        "incidents",
        ["kind", "subject", "project"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_index("ix_incidents_kind_subject_project_id", "incidents", ["kind", "subject", "project", "id"])
    op.create_table(
        "notifications",
        sa.Column("name", sa.Text(), nullable=False),
        _enabled("notifications"),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", json),
        sa.Column("quiet_hours", sa.Text()),
        sa.Column("timezone", sa.Text(), nullable=False, server_default="UTC"),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.Column("updated_at", instant, nullable=False, server_default=now),
        sa.Column("updated_by", sa.Text()),
        sa.PrimaryKeyConstraint("name", name="pk_notifications"),
    )
    op.create_table(
        "webhook_subscriptions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("events", json),
        _enabled("webhook_subscriptions"),
        sa.Column("failing_since", instant),
        sa.Column("paused_at", instant),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.Column("updated_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_subscriptions"),
        sa.UniqueConstraint("name", name="uq_webhook_subscriptions_name"),
    )
    op.create_table(
        "webhook_deliveries",
        *_delivery_columns(instant, json),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["webhook_subscriptions.id"],
            name="fk_webhook_deliveries_subscription_id",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(EVENTS, name=op.f("ck_webhook_deliveries_event")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_webhook_deliveries_status")),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["subscription_id", "next_attempt_at"],
        sqlite_where=is_pending,
        postgresql_where=is_pending,
    )
    op.create_index("ix_webhook_deliveries_subscription_id_id", "webhook_deliveries", ["subscription_id", "id"])
    op.create_table(
        "notification_deliveries",
        *_delivery_columns(instant, json),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notification_deliveries"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_notification_deliveries_incident_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "incident_id", "channel", "event", name="uq_notification_deliveries_incident_id_channel_event"
        ),
        sa.CheckConstraint(EVENTS, name=op.f("ck_notification_deliveries_event")),
        sa.CheckConstraint(STATUSES, name=op.f("ck_notification_deliveries_status")),
    )
    op.create_index(
        "ix_notification_deliveries_due",
        "notification_deliveries",
        ["channel", "next_attempt_at"],
        sqlite_where=is_pending,
        postgresql_where=is_pending,
    )
    op.create_index("ix_notification_deliveries_channel_id", "notification_deliveries", ["channel", "id"])
    if is_postgresql:
        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dispatch_attempts_missed")
            op.execute(
                "CREATE INDEX CONCURRENTLY ix_dispatch_attempts_missed ON dispatch_attempts (dispatch_id, agent_name) "
                f"WHERE {MISSED.text}"
            )
    else:
        columns = ["dispatch_id", "agent_name"]
        op.create_index("ix_dispatch_attempts_missed", "dispatch_attempts", columns, sqlite_where=MISSED)


def _enabled(table: str) -> sa.Column[bool]:
    check = sa.CheckConstraint("enabled IN (0, 1)", name=op.f(f"ck_{table}_enabled"))
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    parts: list[sa.CheckConstraint] = [] if is_postgresql else [check]
    return sa.Column("enabled", sa.Boolean(), *parts, nullable=False, server_default=sa.true())


def _delivery_columns(instant: Any, json: Any) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_attempt_at", instant),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", instant),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        sa.Column("log", json, nullable=False, server_default=sa.text("'[]'")),
    ]


def downgrade() -> None:
    op.drop_index("ix_dispatch_attempts_missed", table_name="dispatch_attempts")
    for table in (
        "notification_deliveries",
        "webhook_deliveries",
        "webhook_subscriptions",
        "notifications",
        "incidents",
    ):
        op.drop_table(table)
