"""Flow 1, middle: the wishes of a batch become dispatch rows, or are served by those that live already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.transaction import RaceLostError
from app.db.types import DispatchStatus, EventOutcome
from app.flows.accept.stored_state import Surroundings
from app.flows.context import Context
from app.flows.token_dispatches import promise_key, redeem, redeemed
from app.lifecycle.leaving import NEWS_S, RETURN_S, ended, fresh, immediately
from app.livekit.vocabulary import JOINS, LEAVINGS, EventType
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import insert_callers, insert_dispatches, live_by_intent
from app.plan.build import DispatchPlan, Intent
from app.rules.book.evaluate import Decision
from app.webhook.event import Event

_PRESENT = JOINS | {EventType.ROOM_STARTED, EventType.TRACK_PUBLISHED}
"""Event types that tell of somebody, or of a room, that is there."""
_NEWS = timedelta(seconds=NEWS_S)
_RETURN = timedelta(seconds=RETURN_S)
_RETURN_REASON = "rule {rule!r} matched; its agent of the session before may come back by itself"
"""A LiveKit that was killed forgets its rooms; callers and their agents meet again in new ones of the same names."""


@dataclass(slots=True)
class Case:
    """One event on its way through the transaction."""

    event: Event
    plan: DispatchPlan
    decision: Decision | None
    outcome: EventOutcome
    reason: str | None = None
    dispatches: list[str] = field(default_factory=list)
    served_by: list[str] = field(default_factory=list)
    is_promised: bool = False
    looks: bool = False


def serve(
    connection: Connection,
    context: Context,
    free_slots: Callable[[str], int],
    cases: Sequence[Case],
    *,
    known: Surroundings,
    now: datetime,
) -> dict[str, list[Dispatch]]:
    """Insert the dispatches of all cases; return by event those that this process is to send at once."""
    wishes = [(case, intent) for case in cases for intent in case.plan.intents]
    if not wishes:
        return {}
    live = {key: one.id for key, one in live_by_intent(connection, {i.intent_key for _, i in wishes}).items()}
    slots = _Slots(free_slots)
    rows: list[dict[str, Any]] = []
    owners: dict[str, tuple[Case, Intent]] = {}
    for case, intent in wishes:
        if intent.failure is None and intent.intent_key in live:
            case.served_by.append(live[intent.intent_key])
            continue
        row = _dispatch_row(case.event, intent, case.plan.rules_version, now)
        promise = known.promises.get(promise_key(case.event, intent.agent_name)) if case.event.type in JOINS else None
        if intent.failure is not None:
            row |= {"status": DispatchStatus.FAILED, "reason": intent.failure, **ended(now)}
        elif promise is not None:
            row |= redeemed(promise)
            case.is_promised = True
        elif _may_return(known.served, case.event, intent):
            row |= {"next_attempt_at": now + _RETURN, "reason": _RETURN_REASON.format(rule=intent.rule.name)}
            case.looks = True
        elif intent.agent_name not in known.limited and _is_news(case.event, now) and slots.take(case.event.project):
            row |= immediately(now, context.owner, context.lease)
        if intent.failure is None:
            live[intent.intent_key] = row["id"]
        rows.append(row)
        owners[row["id"]] = (case, intent)
    created = insert_dispatches(connection, sorted(rows, key=lambda row: str(row["intent_key"])))
    _serve_by_others(connection, [owners[row["id"]] for row in rows if row["id"] not in created])
    rows = [row for row in rows if row["id"] in created]
    for row in rows:
        owners[row["id"]][0].dispatches.append(row["id"])
    for case in cases:
        if case.plan.intents and not case.dispatches:
            case.outcome = EventOutcome.SERVED
    insert_callers(connection, [row for case in cases for row in _caller_rows(case)])
    append(
        connection,
        [AuditEntry("dispatch", row["id"], None, row["status"], row["reason"], now) for row in rows],
    )
    redeem(connection, [row["id"] for row in rows if owners[row["id"]][0].is_promised], now)
    return _to_send(rows)


@dataclass(slots=True)
class _Slots:
    """How many calls each project may begin at once, asked for once and counted down."""

    free_slots: Callable[[str], int]
    left: dict[str, int] = field(default_factory=dict)

    def take(self, project: str) -> bool:
        free = self.left[project] if project in self.left else self.free_slots(project)
        self.left[project] = max(0, free - 1)
        return free > 0


def _is_news(event: Event, now: datetime) -> bool:
    """Return whether `event` proves by itself that somebody is there now; else LiveKit is asked before the call."""
    return event.is_immediate and event.type in _PRESENT and now - event.received_at < _NEWS


def _may_return(served: Mapping[tuple[str, str, str], set[str]], event: Event, intent: Intent) -> bool:
    """Return whether an agent serves what was, as far as we know, another session of this room name until now."""
    sessions = served.get((event.project, event.room_name, intent.agent_name), set())
    return event.type == EventType.PARTICIPANT_JOINED and bool(sessions - {event.room_sid})


def _serve_by_others(connection: Connection, lost: Sequence[tuple[Case, Intent]]) -> None:
    # Another replica's dispatch for the same intent was committed between our look and our insert.
    winners = live_by_intent(connection, {intent.intent_key for _, intent in lost})
    for case, intent in lost:
        if intent.intent_key not in winners:
            raise RaceLostError  # and has ended since: done again, ours is inserted
        case.served_by.append(winners[intent.intent_key].id)


def _to_send(rows: Iterable[dict[str, Any]]) -> dict[str, list[Dispatch]]:
    born: dict[str, list[Dispatch]] = {}
    for row in rows:
        if row["status"] == DispatchStatus.SENDING:
            born.setdefault(row["event_id"], []).append(Dispatch.from_row({**_UNSET, **row}))
    return born


_UNSET = {
    "answer_deadline": None,
    "livekit_dispatch_id": None,
    "job_id": None,
    "worker_id": None,
    "agent_identity": None,
    "agent_sid": None,
    "dispatched_at": None,
    "joined_at": None,
}


def _caller_rows(case: Case) -> list[dict[str, Any]]:
    event = case.event
    if event.type in LEAVINGS or not event.participant_sid:
        return []
    return [
        {
            "dispatch_id": dispatch_id,
            "participant_sid": event.participant_sid,
            "event_id": event.id,
            "participant_identity": event.participant_identity,
            "left_at": None,
        }
        for dispatch_id in (*case.dispatches, *case.served_by)
    ]


def _dispatch_row(event: Event, intent: Intent, rules_version: int, now: datetime) -> dict[str, Any]:
    rule = intent.rule
    return {
        **fresh(now),
        "id": new_id(),
        "event_id": event.id,
        "rule_id": rule.id,
        "rule_name": rule.name,
        "rules_version": rules_version,
        "project": event.project,
        "room_name": event.room_name,
        "room_sid": event.room_sid,
        "participant_identity": event.participant_identity,
        "participant_sid": event.participant_sid,
        "agent_name": intent.agent_name,
        "metadata": intent.metadata,
        "attributes": dict(intent.attributes),
        "deployment": rule.deployment,
        "scope": intent.scope,
        "intent_key": intent.intent_key,
        "status": DispatchStatus.PENDING,
        "reason": f"rule {rule.name!r} matched",
        "answer_timeout_s": rule.answer_timeout_s,
        "max_attempts": rule.max_attempts,
        "fallback_agent_name": rule.fallback_agent_name,
        "recover": rule.recover,
        "withdraw": rule.withdraw,
        "next_attempt_at": now,
    }
