"""Programs that get signed webhooks: rows of `webhook_subscriptions`."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field
from sqlalchemy import Connection, delete, func, insert, select, update

from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.editing.effects import with_effects
from app.db.editing.unreadable_times import unreadable_times
from app.db.tables import webhook_deliveries, webhook_subscriptions
from app.db.types import OutgoingEvent
from app.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from app.incidents.messages.channel import check_name, list_problems, read_as_text, text_problems
from app.incidents.messages.delivery import IS_PENDING
from app.incidents.messages.retry_delays import PAUSE_AFTER
from app.json_shape import Instant, JsonShape
from app.translation import translatable

_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"
_LONGEST_URL: Final = 2000


@dataclass(frozen=True, slots=True)
class Subscription(JsonShape):
    """A program that gets signed webhooks, without its secret."""

    id: str
    name: str
    url: Annotated[str, Field(description="without user, password and query")]
    events: Annotated[list[str] | None, Field(description="null: all")]
    enabled: bool
    failing_since: Instant | None
    paused_at: Annotated[Instant | None, Field(description="it failed for long; resume it once it is mended")]
    created_at: Instant
    problems: Annotated[list[str], Field(description="what in its row, written by SQL, cannot be used")]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send webhooks, with the secret that signs them."""

    id: str
    name: str
    url: str
    secret: str
    events: tuple[str, ...] | None

    def takes(self, event: OutgoingEvent) -> bool:
        return self.events is None or event in self.events


def read_endpoints(connection: Connection, *, locked: bool = False) -> list[Endpoint]:
    """Return the endpoints that get webhooks now; `locked` keeps them from being deleted in this transaction.

    Those that a transaction of others is about to delete are then left out: a call must not wait for its end.
    """
    column = webhook_subscriptions.c
    query = select(webhook_subscriptions).where(column.enabled, column.paused_at.is_(None)).order_by(column.id)
    if locked:
        query = query.with_for_update(read=True, key_share=True, skip_locked=True)
    return [_endpoint(row) for row in connection.execute(query).mappings()]


def get_endpoint(connection: Connection, subscription_id: str) -> Endpoint:
    """Return the endpoint of a subscription, whatever its state; raises NotFoundError."""
    return _endpoint(_row(connection, subscription_id))


def list_subscriptions(connection: Connection) -> list[Subscription]:
    """Return all subscriptions by name."""
    rows = connection.execute(select(webhook_subscriptions).order_by(webhook_subscriptions.c.name)).mappings().all()
    times = unreadable_times(connection, "webhook_subscriptions", "id")
    return [_subscription(row, times.get(row["id"], ())) for row in rows]


def get_subscription(connection: Connection, subscription_id: str) -> Subscription:
    """Return a subscription; raises NotFoundError."""
    return _subscription(_row(connection, subscription_id))


def paused_subscriptions(connection: Connection) -> list[tuple[str, int, bool]]:
    """Return the names of those that are paused, with how many deliveries each holds up, and whether it is gone.

    A program that answers 410 is paused at once, others after `PAUSE_AFTER`.
    """
    column, delivery = webhook_subscriptions.c, webhook_deliveries.c
    pending = (
        select(func.count()).where(IS_PENDING, delivery.subscription_id == column.id).correlate(webhook_subscriptions)
    )
    query = select(column.name, pending.scalar_subquery(), column.failing_since, column.paused_at).where(
        column.enabled, column.paused_at.is_not(None)
    )
    return [
        (name, held_up, since is not None and paused_at - since < PAUSE_AFTER)
        for name, held_up, since, paused_at in connection.execute(query)
    ]


def add_subscription(
    connection: Connection, values: Mapping[str, Any], *, by: str, now: datetime
) -> tuple[Subscription, str]:
    """Add a subscription; return it and its secret, which is shown once. Raises InvalidInputError, ConflictError."""
    _require_valid(values, translatable("this subscription cannot be added"))
    _require_free(connection, values["name"])
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    row = {**values, "id": new_id(), "secret": secret, "created_at": now, "updated_by": by}
    connection.execute(insert(webhook_subscriptions).values(row))
    _record(connection, row["id"], row["name"], "added", by=by, now=now)
    return get_subscription(connection, row["id"]), secret


def change_subscription(
    connection: Connection, subscription_id: str, values: Mapping[str, Any], *, by: str, now: datetime
) -> Subscription:
    """Change columns of a subscription; raises NotFoundError, InvalidInputError, ConflictError."""
    known = get_subscription(connection, subscription_id)
    _require_valid(values, translatable("this subscription cannot be changed"))
    if values.get("name", known.name) != known.name:
        _require_free(connection, values["name"])
    changed = update(webhook_subscriptions).where(webhook_subscriptions.c.id == subscription_id)
    connection.execute(changed.values({**values, "updated_by": by}))
    _record(connection, subscription_id, known.name, "changed", by=by, now=now)
    return get_subscription(connection, subscription_id)


def resume_subscription(connection: Connection, subscription_id: str, *, by: str, now: datetime) -> Subscription:
    """Send webhooks again to a subscription that was paused; raises NotFoundError."""
    known = get_subscription(connection, subscription_id)
    resumed = update(webhook_subscriptions).where(webhook_subscriptions.c.id == subscription_id)
    connection.execute(resumed.values(paused_at=None, failing_since=None))
    _record(connection, subscription_id, known.name, "resumed", by=by, now=now)
    return get_subscription(connection, subscription_id)


def delete_subscription(connection: Connection, subscription_id: str, *, by: str, now: datetime) -> Subscription:
    """Delete a subscription with its deliveries, and return it; raises NotFoundError."""
    known = get_subscription(connection, subscription_id)
    connection.execute(delete(webhook_subscriptions).where(webhook_subscriptions.c.id == subscription_id))
    _record(connection, subscription_id, known.name, "deleted", by=by, now=now)
    return known


def _require_valid(values: Mapping[str, Any], what: str) -> None:
    problems = check_name(values["name"]) if "name" in values else []
    if "url" in values and (problem := url_problem(values["url"])):
        problems.append(Problem("url", problem))
    problems += list_problems("events", values.get("events"), OutgoingEvent, "event")
    if problems:
        raise InvalidInputError(what, problems)


def url_problem(url: str) -> str:
    """Return what is wrong with the URL of a program; empty if nothing is."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if is_whole and len(url) <= _LONGEST_URL and url.isascii() and url.isprintable() and " " not in url:
        return ""
    return translatable("must be an http:// or https:// URL")


def secret_problem(secret: str) -> str:
    """Return what is wrong with a secret; empty if nothing is."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    return "" if key else translatable("must be %(prefix)s and the base64 of at least 24 random bytes", prefix=_PREFIX)


def _require_free(connection: Connection, name: str) -> None:
    taken = select(webhook_subscriptions.c.id).where(webhook_subscriptions.c.name == name)
    if connection.scalar(taken) is not None:
        raise ConflictError(translatable("there is a subscription %(name)s already", name=repr(name)))


def _row(connection: Connection, subscription_id: str) -> Mapping[Any, Any]:
    query = select(webhook_subscriptions).where(webhook_subscriptions.c.id == subscription_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(
            translatable("no subscription has the id %(subscription_id)s", subscription_id=repr(subscription_id))
        )
    return row


def _endpoint(row: Mapping[Any, Any]) -> Endpoint:
    events = tuple(map(str, row["events"])) if isinstance(row["events"], list) else None
    return Endpoint(row["id"], row["name"], row["url"], row["secret"], events)


_EFFECTS: Final = {
    "url": translatable("nothing is sent to it"),
    "secret": translatable("nothing is sent to it"),
    "events": translatable("it gets all events"),
    "events[]": translatable("it gets the other events"),
    "paused_at": translatable("nothing is sent to it"),
    **dict.fromkeys(("failing_since", "created_at"), translatable("webhooks are still sent to it")),
}


def _subscription(row: Mapping[Any, Any], times: Iterable[Problem] = ()) -> Subscription:
    names = ("id", "name", "enabled", "failing_since", "paused_at", "created_at")
    events = [str(event) for event in row["events"]] if isinstance(row["events"], list) else None
    problems = with_effects((*_stored_problems(row), *times), _EFFECTS | read_as_text(row))
    url = shown_url(str(row["url"]))
    return Subscription(**{name: row[name] for name in names}, url=url, events=events, problems=problems)


def _stored_problems(row: Mapping[Any, Any]) -> list[Problem]:
    """Return what is wrong with a row, into which plain SQL may have written anything."""
    problems = text_problems(row, ("name", "url", "secret"))
    bad = {one.path for one in problems}
    if "name" not in bad:
        problems += check_name(row["name"])
    if "url" not in bad and (message := url_problem(row["url"])):
        problems.append(Problem("url", message))
    if "secret" not in bad and (message := secret_problem(row["secret"])):
        problems.append(Problem("secret", message))
    return problems + list_problems("events", row["events"], OutgoingEvent, "event")


def shown_url(url: str) -> str:
    """Return a URL without what may be a secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}" + ("?…" if parts.query else "")


def _record(connection: Connection, entity_id: str, name: str, state: str, *, by: str, now: datetime) -> None:
    reason = f"webhook subscription {name!r} {state}"
    append(connection, [AuditEntry("webhook_subscription", entity_id, None, state, reason, now, by)])
