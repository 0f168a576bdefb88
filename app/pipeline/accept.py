"""Flow 1: an event is stored once, decided upon, and turned into dispatch rows, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from app.audit.entry import AuditEntry
from app.audit.store import append
from app.clock import new_id
from app.db.tables import agent_limits
from app.db.types import DispatchStatus, EventOutcome
from app.db.writer import RaceLostError
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.store import Move, insert_callers, insert_dispatches, live_by_intent
from app.pipeline.context import Context
from app.pipeline.decide import promise_key, promised, redeem, redeemed
from app.pipeline.departure import Consequences, Withdrawal, ended, fresh, immediately
from app.pipeline.transition import count
from app.pipeline.watch import observe_events
from app.plan.build import DispatchPlan, Intent, build_plan
from app.rules.book import RuleBook
from app.rules.evaluate import Decision, evaluate
from app.rules.store import follow
from app.webhook.event import Event
from app.webhook.store import departed, insert_once, known_keys, to_row

_log = get_logger(__name__)

JOINS = frozenset({"participant_joined", "participant_updated"})
_LIFECYCLE = JOINS | {
    "participant_left",
    "participant_connection_aborted",
    "room_started",
    "room_finished",
    "agent_job_started",
    "agent_job_ended",
}
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


@dataclass(slots=True)
class _Case:
    """One event on its way through the transaction."""

    event: Event
    plan: DispatchPlan
    decision: Decision | None
    outcome: EventOutcome
    reason: str | None = None
    dispatches: list[str] = field(default_factory=list)
    served_by: list[str] = field(default_factory=list)
    is_promised: bool = False


class Acceptor:
    """Accepts events in batches that share a transaction, against a rule book that follows every committed edit."""

    def __init__(self, context: Context, book: RuleBook, free_slots: Callable[[], int]) -> None:
        self._context = context
        self._free_slots = free_slots
        self.book = book

    async def accept(self, event: Event) -> Acceptance:
        """Return once `event` is committed; raises `DatabaseUnavailableError` when it could not be."""
        acceptance = await self._context.writer.run_batched(self._accept_batch, event)
        metrics = self._context.metrics
        if acceptance.outcome is not None:
            metrics.events.labels(event.project, event.type, event.source, acceptance.outcome).inc()
        count(metrics, acceptance.moves)
        for dispatch in acceptance.to_send:
            metrics.transitions.labels(dispatch.agent_name, dispatch.status).inc()
        return acceptance

    def _accept_batch(self, connection: Connection, batch: Sequence[Event]) -> list[Acceptance]:
        now = self._context.clock.now()
        self.book = follow(connection, self.book)
        known = known_keys(connection, {event.dedupe_key for event in batch})
        cases: dict[str, _Case] = {}
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
        self._plan_departed(connection, list(cases.values()))
        served = self._serve(connection, list(cases.values()), now)
        rows = sorted((self._event_row(case) for case in cases.values()), key=lambda row: str(row["dedupe_key"]))
        if len(insert_once(connection, rows)) < len(rows):
            raise RaceLostError  # another replica stored one of them meanwhile
        consequences = observe_events(connection, self._context, [case.event for case in cases.values()], now)
        for case in cases.values():
            acceptances[case.event.id] = Acceptance("accepted", case.outcome, served.get(case.event.id, []))
            acceptances[case.event.id].is_due = case.is_promised
        if cases:
            _attach(acceptances[next(iter(cases))], consequences)
        return [acceptances[event.id] for event in batch]

    def _decide(self, event: Event) -> _Case:
        try:
            decision = evaluate(self.book, event)
            plan = build_plan(decision, event, self._context.settings.metadata_max_bytes)
        except Exception as error:  # noqa: BLE001 - a defect of ours must cost one event its agent, not LiveKit its deliveries
            _log.exception("event could not be decided", event_id=event.id, event_type=event.type)
            reason = f"defect: {type(error).__name__}: {error}"
            return _Case(event, DispatchPlan(event, self.book.version, ()), None, EventOutcome.NO_MATCH, reason)
        if plan.intents:
            outcome = EventOutcome.PLANNED
        elif event.type in JOINS and event.participant_kind not in {"AGENT", "EGRESS", "INGRESS"}:
            outcome = EventOutcome.NO_MATCH
        else:
            outcome = EventOutcome.IGNORED
        return _Case(event, plan, decision, outcome)

    def _plan_departed(self, connection: Connection, cases: list[_Case]) -> None:
        joins = [case for case in cases if case.event.type in JOINS and case.plan.intents]
        gone = departed(connection, [case.event for case in joins])
        for case in cases:  # and those whose leaving waits in the same batch
            if case.event.type in {"participant_left", "participant_connection_aborted"}:
                gone.add(case.event.participant_sid)
        for case in joins:
            if case.event.participant_sid in gone:
                case.plan = DispatchPlan(case.event, case.plan.rules_version, ())
                case.outcome = EventOutcome.IGNORED
                case.reason = "the participant had left already"

    def _serve(self, connection: Connection, cases: list[_Case], now: datetime) -> dict[str, list[Dispatch]]:
        """Insert the dispatches of all cases; return by event those that this process is to send at once."""
        wishes = [(case, intent) for case in cases for intent in case.plan.intents]
        if not wishes:
            return {}
        live = {key: one.id for key, one in live_by_intent(connection, {i.intent_key for _, i in wishes}).items()}
        limited = set(connection.execute(select(agent_limits.c.agent_name)).scalars())
        promises = promised(connection, [case.event for case, _ in wishes if case.event.type in JOINS], now)
        slots = self._free_slots()
        rows: list[dict[str, Any]] = []
        owners: dict[str, tuple[_Case, Intent]] = {}
        for case, intent in wishes:
            if intent.failure is None and intent.intent_key in live:
                case.served_by.append(live[intent.intent_key])
                continue
            row = _dispatch_row(case.event, intent, case.plan.rules_version, now)
            promise = promises.get(promise_key(case.event, intent.agent_name))
            if intent.failure is not None:
                row |= {"status": DispatchStatus.FAILED, "reason": intent.failure, **ended(now)}
            elif promise is not None:
                row |= redeemed(promise)
                case.is_promised = True
            elif len(rows) < slots and case.event.is_immediate and intent.agent_name not in limited:
                row |= immediately(now, self._context.owner, self._context.lease)
            if intent.failure is None:
                live[intent.intent_key] = row["id"]
            rows.append(row)
            owners[row["id"]] = (case, intent)
        created = insert_dispatches(connection, sorted(rows, key=lambda row: str(row["intent_key"])))
        self._serve_by_others(connection, [owners[row["id"]] for row in rows if row["id"] not in created])
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

    def _serve_by_others(self, connection: Connection, lost: Sequence[tuple[_Case, Intent]]) -> None:
        # Another replica's dispatch for the same intent was committed between our look and our insert.
        winners = live_by_intent(connection, {intent.intent_key for _, intent in lost})
        for case, intent in lost:
            if intent.intent_key in winners:
                case.served_by.append(winners[intent.intent_key].id)

    def _event_row(self, case: _Case) -> dict[str, Any]:
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


def _attach(acceptance: Acceptance, consequences: Consequences) -> None:
    acceptance.moves = consequences.moves
    acceptance.withdrawals = consequences.withdrawals
    acceptance.rooms_to_look_at = consequences.rooms_to_look_at
    acceptance.is_due |= bool(consequences.rows)


def _caller_rows(case: _Case) -> list[dict[str, Any]]:
    event = case.event
    if event.type not in JOINS or not event.participant_sid:
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
