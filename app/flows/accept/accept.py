"""Flow 1: an event is stored once, decided upon, and turned into dispatch rows, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from app.db.transaction import RaceLostError
from app.db.types import EventOutcome
from app.flows.accept.enqueue import Case, serve
from app.flows.accept.participants import observe_events
from app.flows.accept.stored_state import look_around, recall
from app.flows.context import Context
from app.lifecycle.leaving import Consequences, Withdrawal
from app.lifecycle.transition import count
from app.livekit.vocabulary import JOINS, LEAVINGS, MACHINE_KINDS, EventType
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move
from app.plan.build import DispatchPlan, build_plan
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.webhook.event import Event
from app.webhook.event_store import Departures, insert_once, to_row

_log = get_logger(__name__)

_LIFECYCLE = (
    JOINS
    | LEAVINGS
    | {EventType.ROOM_STARTED, EventType.ROOM_FINISHED, EventType.AGENT_JOB_STARTED, EventType.AGENT_JOB_ENDED}
)
"""Event types that are always stored; others only when a rule matches them."""


@dataclass(slots=True)
class Acceptance:
    """What became of one event, and what is to be done for it now that it is committed."""

    status: Literal["accepted", "duplicate", "ignored"]
    outcome: EventOutcome | None = None
    to_send: list[Dispatch] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    rooms_to_look_at: set[tuple[str, str]] = field(default_factory=set)
    is_due: bool = False
    """Whether dispatches were left to be claimed at once: they need a look at LiveKit first."""
    moves: list[Move] = field(default_factory=list)


class Acceptor:
    """Accepts events in batches that share a transaction, against a rule book that follows every committed edit."""

    def __init__(self, context: Context, book: RuleBook, free_slots: Callable[[str], int]) -> None:
        self._context = context
        self._free_slots = free_slots
        self.book = book

    async def accept(self, event: Event, committed: Callable[[Acceptance], None] | None = None) -> Acceptance:
        """Return once `event` is on the disk; raises `DatabaseUnavailableError` when it could not be.

        `committed` is told before: from then on no death of this process can undo it.
        """
        acceptance = await self._context.writer.run_batched(self._accept_batch, event, on_commit=committed)
        metrics = self._context.metrics
        if acceptance.outcome is not None:
            metrics.events.labels(event.project, event.type, event.source, acceptance.outcome).inc()
        count(metrics, acceptance.moves)
        for dispatch in acceptance.to_send:
            metrics.transitions.labels(dispatch.agent_name, dispatch.status).inc()
        return acceptance

    def _accept_batch(self, connection: Connection, batch: Sequence[Event]) -> list[Acceptance]:
        now = self._context.clock.now()
        version, known = recall(connection, batch)
        self.book = follow(connection, self.book, version)
        cases: dict[str, Case] = {}
        acceptances: dict[str, Acceptance] = {}
        for event in batch:
            if event.dedupe_key in known:
                acceptances[event.id] = Acceptance("duplicate")
                continue
            case = self._decide(event)
            if event.type not in _LIFECYCLE and not case.plan.intents:
                acceptances[event.id] = Acceptance("ignored")
                continue
            known.add(event.dedupe_key)
            cases[event.id] = case
        served = self._serve(connection, list(cases.values()), now)
        rows = sorted((self._event_row(case) for case in cases.values()), key=lambda row: str(row["dedupe_key"]))
        if insert_once(connection, rows) < len(rows):
            raise RaceLostError  # another replica stored one of them meanwhile
        consequences = observe_events(connection, self._context, [case.event for case in cases.values()], now)
        for case in cases.values():
            acceptance = Acceptance("accepted", case.outcome, served.get(case.event.id, []))
            acceptance.is_due = case.is_promised
            if case.looks:
                acceptance.rooms_to_look_at.add((case.event.project, case.event.room_name))
            acceptances[case.event.id] = acceptance
        if cases:
            _attach(acceptances, next(iter(cases)), consequences)
        return [acceptances[event.id] for event in batch]

    def _decide(self, event: Event) -> Case:
        try:
            decision = evaluate(self.book, event)
            plan = build_plan(decision, event, self._context.settings.metadata_max_bytes)
        except Exception as error:  # noqa: BLE001 - a defect of ours must cost one event its agent, not LiveKit its deliveries
            _log.exception("event could not be decided", event_id=event.id, event_type=event.type)
            reason = f"defect: {type(error).__name__}: {error}"
            return Case(event, DispatchPlan(event, self.book.version, ()), None, EventOutcome.NO_MATCH, reason)
        if plan.intents:
            outcome = EventOutcome.PLANNED
        elif event.type == EventType.PARTICIPANT_JOINED and event.participant_kind not in MACHINE_KINDS:
            outcome = EventOutcome.NO_MATCH
        else:
            outcome = EventOutcome.IGNORED
        return Case(event, plan, decision, outcome)

    def _serve(self, connection: Connection, cases: Sequence[Case], now: datetime) -> dict[str, list[Dispatch]]:
        wishing = [case for case in cases if case.plan.intents]
        if not wishing:
            return {}
        known = look_around(connection, [case.event for case in wishing], [case.event for case in cases], now)
        for case in wishing:
            _drop_if_impossible(case, known.gone)
        return serve(connection, self._context, self._free_slots, cases, known=known, now=now)

    def _event_row(self, case: Case) -> dict[str, Any]:
        decision: dict[str, Any] = case.decision.to_json() if case.decision is not None else {}
        if case.dispatches:
            decision["dispatches"] = case.dispatches
        if case.served_by:
            decision["served_by"] = case.served_by
        if case.reason:
            decision["reason"] = case.reason
        return {
            **to_row(case.event),
            "outcome": case.outcome,
            "rules_version": case.plan.rules_version,
            "decision": decision,
        }


def _drop_if_impossible(case: Case, gone: Departures) -> None:
    """Take away the plan for those who are gone, and for what has no room: its calls would open one."""
    event = case.event
    if not event.room_name or not event.room_sid:
        reason = "it tells of no room to send an agent to"
    elif event.room_sid in gone.rooms:
        reason = "the room was closed already"
    elif event.type not in LEAVINGS and gone.include(event):
        reason = "the participant had left already"
    else:
        return
    case.plan = DispatchPlan(event, case.plan.rules_version, ())
    case.outcome = EventOutcome.IGNORED
    case.reason = reason


def _attach(acceptances: Mapping[str, Acceptance], first: str, consequences: Consequences) -> None:
    acceptance = acceptances[first]
    acceptance.moves = consequences.moves
    acceptance.withdrawals = consequences.withdrawals
    acceptance.rooms_to_look_at |= consequences.rooms_to_look_at
    acceptance.is_due |= bool(consequences.rows)
    over = {change.dispatch.id for change in consequences.moves}
    for each in acceptances.values():  # their room was closed, or they were served, in the same batch
        each.to_send = [dispatch for dispatch in each.to_send if dispatch.id not in over]
