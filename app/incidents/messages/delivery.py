"""Deliveries: stored in the transaction of what they report, claimed with a lease, settled with the outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import Connection, Table, and_, delete, exists, select, text, update

from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.bulk_insert import insert_new_later
from app.db.record_ids import lowest_id_at
from app.db.tables import incidents, notification_deliveries, webhook_deliveries
from app.db.types import DeliveryStatus, OutgoingEvent
from app.errors import ConflictError, NotFoundError
from app.incidents.messages.retry_delays import GIVE_UP_AFTER, delay_after
from app.json_shape import Instant, JsonShape
from app.translation import translatable

LEASE: Final = timedelta(seconds=60)
"""Longer than an attempt may take; after that another replica may try."""
MAX_LOGGED: Final = 30
"""Attempts that are kept of a delivery, the latest."""
_LONGEST_TEXT: Final = 300
_PRUNED_AT_ONCE: Final = 500
IS_PENDING = text("status = 'pending'")  # in the words of the partial index


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """How one attempt ended. `retry_after_s`: the receiver asked to wait; `is_gone`: it answered 410."""

    delivered: bool
    text: str
    status: int | None = None
    milliseconds: int = 0
    retry_after_s: float | None = None
    is_gone: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what people and programs read of it."""
        return {
            "delivered": self.delivered,
            "text": self.text,
            "status": self.status,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process sends now."""

    id: str
    target: str
    payload: str
    attempts: int
    created_at: datetime
    log: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Delivery(JsonShape):
    """A message to a program, with its attempts."""

    id: Annotated[str, Field(description="the webhook-id, the same for every attempt")]
    event: str
    status: DeliveryStatus
    attempts: int
    created_at: Instant
    next_attempt_at: Instant | None
    finished_at: Instant | None
    payload: Annotated[str, Field(description="the body, as it is signed and sent")]
    log: Annotated[list[dict[str, Any]], Field(description="the latest attempts, oldest first")]


def target_column(table: Table) -> Any:
    """Return the column that says where the deliveries of a table go."""
    return table.c.subscription_id if table is webhook_deliveries else table.c.channel


def add_webhooks(connection: Connection, wanted: Iterable[tuple[str, OutgoingEvent, str]], now: datetime) -> None:
    """Store webhooks, each given by subscription, event and body."""
    rows = [
        {**_new_row(event, payload, now), "subscription_id": subscription} for subscription, event, payload in wanted
    ]
    insert_new_later(connection, webhook_deliveries, rows)


def add_notifications(
    connection: Connection, wanted: Iterable[tuple[str, str, OutgoingEvent, str]], now: datetime
) -> None:
    """Store messages to people, each given by channel, incident, event and text, unless they exist."""
    rows = [
        {**_new_row(event, payload, now), "channel": channel, "incident_id": incident_id}
        for channel, incident_id, event, payload in wanted
    ]
    insert_new_later(connection, notification_deliveries, rows)


def _new_row(event: OutgoingEvent, payload: str, now: datetime) -> dict[str, Any]:
    return {"id": new_id(), "event": str(event), "payload": payload, "next_attempt_at": now, "created_at": now}


def opening_messages(connection: Connection, incident_ids: Collection[str]) -> dict[tuple[str, str], DeliveryStatus]:
    """Return by incident and channel what became of the message that the incident has opened."""
    column = notification_deliveries.c
    query = select(column.incident_id, column.channel, column.status).where(
        column.incident_id.in_(incident_ids), column.event == OutgoingEvent.INCIDENT_OPENED
    )
    return {(row[0], row[1]): DeliveryStatus(row[2]) for row in connection.execute(query)}


def drop_pending(connection: Connection, incident_id: str, channel: str, now: datetime) -> bool:
    """Give up the messages to a channel about an incident that has closed; return whether one was pending.

    An attempt that is under way may still deliver one; `settle` records that.
    """
    column = notification_deliveries.c
    dropped = connection.execute(
        update(notification_deliveries)
        .where(IS_PENDING, column.incident_id == incident_id, column.channel == channel)
        .values(status=DeliveryStatus.FAILED, finished_at=now, next_attempt_at=None)
    )
    return dropped.rowcount > 0


def read_opening(connection: Connection, delivery_id: str) -> tuple[str, str] | None:
    """Return incident and channel of a message that an incident has opened; None if it is another message."""
    column = notification_deliveries.c
    query = select(column.incident_id, column.channel).where(
        column.id == delivery_id, column.event == OutgoingEvent.INCIDENT_OPENED
    )
    row = connection.execute(query).first()
    return None if row is None else (row.incident_id, row.channel)


def has_due(connection: Connection, table: Table, target: str, now: datetime) -> bool:
    """Return whether a delivery to a target is due; those about a muted incident are not."""
    return connection.scalar(select(table.c.id).where(*_is_due(table, target, now)).limit(1)) is not None


def _is_due(table: Table, target: str, now: datetime) -> list[Any]:
    conditions = [IS_PENDING, target_column(table) == target, table.c.next_attempt_at <= now]
    if table is notification_deliveries:
        is_muted = exists().where(incidents.c.id == table.c.incident_id, incidents.c.muted_until > now)
        conditions.append(~is_muted)
    return conditions


def claim(connection: Connection, table: Table, target: str, limit: int, *, owner: str, now: datetime) -> list[Claimed]:
    """Lease up to `limit` due deliveries to a target, those that are due longest first."""
    due = (
        select(table)
        .where(*_is_due(table, target, now))
        .order_by(table.c.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = []
    for row in connection.execute(due).mappings().all():
        leased = {"lease_owner": owner, "lease_until": now + LEASE, "next_attempt_at": now + LEASE}
        since = row["created_at"]
        if table is notification_deliveries:
            # A mute or quiet hours may have held it for days, which do not count as days of failed attempts.
            since = leased["created_at"] = since + (now - row["next_attempt_at"])
        connection.execute(update(table).where(table.c.id == row["id"]).values(attempts=row["attempts"] + 1, **leased))
        found.append(Claimed(row["id"], target, row["payload"], row["attempts"] + 1, since, row["log"]))
    return found


def settle(
    connection: Connection, table: Table, claimed: Claimed, outcome: SendOutcome, *, owner: str, now: datetime
) -> DeliveryStatus:
    """Record an attempt; return whether it is delivered, tried again later, or given up.

    A message that was given up while the attempt was under way stays so, unless the attempt has delivered it.
    """
    entry = {
        "at": _seconds(now),
        "status": outcome.status,
        "text": outcome.text[:_LONGEST_TEXT],
        "milliseconds": outcome.milliseconds,
    }
    values: dict[str, Any] = {
        "log": [*claimed.log, entry][-MAX_LOGGED:],
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": None,
    }
    is_held = and_(table.c.id == claimed.id, table.c.lease_owner == owner)
    is_dropped = connection.scalar(select(table.c.status).where(is_held).with_for_update()) == DeliveryStatus.FAILED
    if outcome.delivered:
        status = DeliveryStatus.DELIVERED
    elif is_dropped or outcome.is_gone or now - claimed.created_at >= GIVE_UP_AFTER:
        status = DeliveryStatus.FAILED
    else:
        status = DeliveryStatus.PENDING
        values["next_attempt_at"] = now + delay_after(claimed.attempts, outcome.retry_after_s)
    if status is not DeliveryStatus.PENDING:
        values["finished_at"] = now
    connection.execute(update(table).where(is_held).values(status=status, **values))
    return status


def _seconds(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")


def list_deliveries(connection: Connection, subscription_id: str, *, limit: int) -> list[Delivery]:
    """Return the latest deliveries to a program, newest first."""
    column = webhook_deliveries.c
    query = select(webhook_deliveries).where(column.subscription_id == subscription_id)
    rows = connection.execute(query.order_by(column.id.desc()).limit(limit)).mappings()
    names = ("id", "event", "attempts", "created_at", "next_attempt_at", "finished_at", "payload", "log")
    return [Delivery(**{name: row[name] for name in names}, status=DeliveryStatus(row["status"])) for row in rows]


def resend(connection: Connection, delivery_id: str, *, by: str, now: datetime) -> str:
    """Make a delivery due again, with the same id; return its subscription. Raises NotFoundError, ConflictError.

    Its attempts are counted anew, so that it is tried again as often as a new one.
    """
    column = webhook_deliveries.c
    query = select(webhook_deliveries).where(column.id == delivery_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(translatable("no delivery has the id %(delivery_id)s", delivery_id=repr(delivery_id)))
    if row["lease_until"] is not None and row["lease_until"] > now:
        raise ConflictError(translatable("this delivery is being sent at this moment"))
    again = {"status": DeliveryStatus.PENDING, "next_attempt_at": now, "finished_at": None, "created_at": now}
    connection.execute(update(webhook_deliveries).where(column.id == delivery_id).values(**again, attempts=0))
    reason = f"webhook {row['event']} is sent again"
    append(
        connection,
        [AuditEntry("webhook_delivery", delivery_id, row["status"], DeliveryStatus.PENDING, reason, now, by)],
    )
    return str(row["subscription_id"])


def prune_deliveries(connection: Connection, before: datetime) -> None:
    """Delete some of the webhooks that were stored before `before` and are not pending."""
    column = webhook_deliveries.c
    old = (
        select(column.id)
        .where(column.id < lowest_id_at(before), column.status != DeliveryStatus.PENDING)
        .order_by(column.id)
        .limit(_PRUNED_AT_ONCE)
    )
    connection.execute(delete(webhook_deliveries).where(column.id.in_(old)))
