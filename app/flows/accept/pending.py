"""Events that wait for the answers of lookups: storing them, and finding out which may be evaluated."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, select

from app.db.any_of import any_of
from app.db.bulk_insert import update_many
from app.db.tables import events
from app.db.types import EventOutcome, EventSource
from app.flows.accept.enqueue import DecidedEvent
from app.lifecycle.after_commit import AfterCommit, PendingEvent
from app.livekit.vocabulary import JOINS, LEAVINGS, EventType
from app.plan.build import DispatchPlan
from app.rules.book.rule_book import RuleBook
from app.rules.lookups.lookup_book import Lookup
from app.webhook.event import Event

_GRACE: Final = timedelta(seconds=3)
"""After the longest time of its lookups: for the evaluation, before another replica takes the event up."""

_PENDING = (
    select(events.c.id, events.c.project, events.c.participant_sid)
    .where(any_of(events.c.participant_sid, "sids"), events.c.outcome == EventOutcome.LOOKING_UP)
    .order_by(events.c.id)
)

_STILL_PENDING = (
    select(events.c.id)
    .where(any_of(events.c.id, "ids"), events.c.outcome == EventOutcome.LOOKING_UP)
    .order_by(events.c.id)  # replicas lock in one order
    .with_for_update()
)


def as_pending(book: RuleBook, event: Event, lookups: tuple[Lookup, ...], reason: str | None = None) -> DecidedEvent:
    """Return the event as one about which nothing is decided until `lookups` are answered."""
    plan = DispatchPlan(event, book.version, ())
    return DecidedEvent(event, plan, None, EventOutcome.LOOKING_UP, reason, lookups=lookups)


def hold_back(connection: Connection, book: RuleBook, decided: dict[str, DecidedEvent]) -> None:
    """Make those events pending that ask for agents while an earlier event of their participant waits for answers."""
    first: dict[tuple[str, str], str] = {}
    for one in decided.values():
        if one.outcome is EventOutcome.LOOKING_UP:
            first.setdefault(_key(one.event), one.event.id)
    asking = [one for one in decided.values() if one.outcome is EventOutcome.PLANNED and _may_wait(one.event)]
    if not asking:
        return
    earlier = _pending_of(connection, [one.event for one in asking])
    for one in asking:
        key = _key(one.event)
        if key in earlier or first.get(key, one.event.id) < one.event.id:
            decided[one.event.id] = as_pending(
                book, one.event, (), "an earlier event of the participant is evaluated first"
            )


def _may_wait(event: Event) -> bool:
    """Return whether an earlier event of the participant may be stored; saves nearly all joins a query."""
    is_first = event.type == EventType.PARTICIPANT_JOINED and event.source is not EventSource.REPLAY
    return bool(event.participant_sid) and event.type not in LEAVINGS and not is_first


def note_pending(connection: Connection, after: AfterCommit, decided: Iterable[DecidedEvent], now: datetime) -> None:
    """Store the answers with the events, and when another replica may take over the pending ones."""
    rows = []
    for one in decided:
        is_pending = one.outcome is EventOutcome.LOOKING_UP
        if is_pending:
            after.to_look_up.append(PendingEvent(one.event, one.lookups))
        if is_pending or (one.event.lookups and one.event.type in JOINS):
            longest = max((lookup.timeout_s for lookup in one.lookups), default=0.0)
            due = now + timedelta(seconds=longest) + _GRACE if is_pending else None
            rows.append({"id": one.event.id, "lookups": one.event.lookups, "lookup_due_at": due})
    update_many(connection, events, rows)


def claim_ready(connection: Connection, batch: Sequence[Event], now: datetime) -> Collection[str]:
    """Lock these pending events and return the ids of those to evaluate now.

    Left out: events another replica has evaluated, and events behind an earlier pending one of their participant, which
    keep their answers and are due again.
    """
    mine = set(connection.scalars(_STILL_PENDING, {"ids": [event.id for event in batch]}))
    earlier = _pending_of(connection, [event for event in batch if event.id in mine and _may_wait(event)])
    ready: set[str] = set()
    early = []
    for event in batch:
        if event.id not in mine:
            continue
        waiting = [one for one in earlier.get(_key(event), ()) if one < event.id and one not in ready]
        if waiting:
            early.append({"id": event.id, "lookups": event.lookups, "lookup_due_at": now})
        else:
            ready.add(event.id)
    update_many(connection, events, early)
    return ready


def write_evaluated(connection: Connection, rows: Sequence[tuple[Event, dict[str, Any]]]) -> None:
    """Write what was decided about pending events: each with its row."""
    columns = ("id", "outcome", "rules_version", "decision")
    written = []
    for event, row in rows:
        answers = event.lookups if event.type in JOINS else None
        written.append({**{name: row[name] for name in columns}, "lookups": answers, "lookup_due_at": None})
    update_many(connection, events, written)


def _pending_of(connection: Connection, batch: Sequence[Event]) -> dict[tuple[str, str], list[str]]:
    """Return the ids of pending events by their participant, for the participants of `batch`."""
    found: dict[tuple[str, str], list[str]] = {}
    sids = {event.participant_sid for event in batch}
    for row in connection.execute(_PENDING, {"sids": sids}) if sids else ():
        found.setdefault((row.project, row.participant_sid), []).append(row.id)
    return found


def _key(event: Event) -> tuple[str, str]:
    return event.project, event.participant_sid
