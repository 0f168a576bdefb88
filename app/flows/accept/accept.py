"""Stores an event once, decides about it, and turns it into dispatches, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from sqlalchemy import Connection

from app.db.types import EventOutcome
from app.errors import WriteRefusedError
from app.flows.accept.batch_window import BatchWindows
from app.flows.accept.caller_budget import CallerBudget
from app.flows.accept.crowded_rooms import CrowdedRooms
from app.flows.accept.enqueue import DecidedEvent, enqueue
from app.flows.accept.participants import observe_events
from app.flows.accept.pending import as_pending, claim_ready, hold_back, note_pending, write_evaluated
from app.flows.accept.plan_actions import plan_actions
from app.flows.accept.refused_events import RefusedEvents
from app.flows.accept.revive import revive_for
from app.flows.accept.stored_state import Stored, StoredState, read_state, read_stored
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.livekit.participant.role import Role
from app.livekit.vocabulary import JOB_EVENTS, JOINS, LEAVINGS, EventType
from app.logs import get_logger
from app.plan.build import DispatchPlan, build_plan
from app.rules.book.evaluate import evaluate
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.rules.lookups.lookup_book import Lookup
from app.translation import recorded
from app.webhook.event import Event
from app.webhook.event_store import Gone, insert_events, to_row
from app.webhook.trimmed import with_answers_of_joins, with_joins

_log = get_logger(__name__)

_SAID_ANYWAY = frozenset({"rules_version", "matched"})
"""Fields of the decision about an event that no rule matched: they say no more than the other columns."""
_LIFECYCLE = JOINS | LEAVINGS | {EventType.ROOM_STARTED, EventType.ROOM_FINISHED} | JOB_EVENTS
"""Event types that are always stored; others only when a rule matches them."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of one event. `brings_calls`: dispatches of it are queued in this process for their first call."""

    status: Literal["accepted", "duplicate", "ignored"]
    outcome: EventOutcome | None = None
    brings_calls: bool = False


class Acceptor:
    """Accepts events in batches that share a transaction, against the rule book as of that transaction.

    `book` is the one to use until a transaction has read a newer one (`AfterCommit.book`).
    """

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        book: Callable[[], RuleBook],
        free_slots: Callable[[str], int],
    ) -> None:
        self._context = context
        self._book = book
        self._free_slots = free_slots
        self.refused_events = RefusedEvents()
        self._crowded = CrowdedRooms()
        self._budget = CallerBudget(context.settings.caller_budget)
        self._windows = BatchWindows(context.clock)
        self._accept = transactions.batched(
            self._accept_batch,
            project_of=attrgetter("project"),
            window_of=lambda event: self._windows.window_of(book(), event),
        )
        self._evaluate = transactions.batched(self._evaluate_batch, project_of=attrgetter("project"))

    async def accept(self, event: Event) -> Acceptance:
        """Return once `event` is on the disk; raises `DatabaseUnavailableError` when it could not be.

        Raises `WriteRefusedError` when the database refuses it.
        """
        clock = self._context.clock
        try:
            acceptance = await self._accept(event)
        except WriteRefusedError as error:
            self.refused_events.note(event.project, event.room_name, str(error), clock.monotonic())
            raise
        if acceptance.status == "accepted":
            self.refused_events.clear()
        if acceptance.outcome is not EventOutcome.LOOKING_UP:  # which is counted by what it leads to
            self._count(event, acceptance.outcome)
        return acceptance

    async def evaluate(self, event: Event) -> None:
        """Evaluate the rules for a stored event with its lookups answered, unless another replica has evaluated it."""
        self._count(event, await self._evaluate(event))

    def _count(self, event: Event, outcome: EventOutcome | None) -> None:
        if outcome is not None:
            self._context.metrics.events.labels(event.project, event.type, event.source, outcome).inc()

    def _accept_batch(self, connection: Connection, after: AfterCommit, batch: Sequence[Event]) -> list[Acceptance]:
        now = self._context.clock.now()
        book, evaluated, before = self._decide_and_read(connection, after, batch, now)
        stored = set(before.dedupe_keys)
        decided: dict[str, DecidedEvent] = {}
        refused: dict[str, Acceptance] = {}
        for one in evaluated:
            event = one.event
            if event.dedupe_key in stored:
                refused[event.id] = Acceptance("duplicate")
            elif event.type not in _LIFECYCLE and one.plan.is_empty and one.plan.ignored_by is None:
                refused[event.id] = Acceptance("ignored")
            else:
                stored.add(event.dedupe_key)
                decided[event.id] = one
        if book.lookups.version:  # else there was never a lookup, and no event is pending
            hold_back(connection, book, decided)
        revive_for(connection, after, before.lost, [one.event for one in decided.values()], now)
        state = None if before.lost else before.state  # else those lost may be live again
        self._enqueue(connection, after, list(decided.values()), now, state)
        rows = sorted((_event_row(one) for one in decided.values()), key=lambda row: str(row["dedupe_key"]))
        insert_events(connection, rows)
        note_pending(connection, after, decided.values(), now)
        observe_events(
            connection, after, self._context, [one.event for one in decided.values()], now, crowded=self._crowded
        )
        calling = {dispatch.event_id for dispatch in after.to_send}
        return [
            refused.get(event.id) or Acceptance("accepted", decided[event.id].outcome, event.id in calling)
            for event in batch
        ]

    def _decide_and_read(
        self, connection: Connection, after: AfterCommit, batch: Sequence[Event], now: datetime
    ) -> tuple[RuleBook, list[DecidedEvent], Stored]:
        """Return the rules of this transaction, what they say of each event of the batch, and what is stored about it.

        It is decided by the rules in use before anything is asked, so that one question does: they are rarely new.
        """
        book = self._book()
        while True:
            # Without rules for tracks no event of one can match, and joins show their participants whole.
            whole = with_joins(connection, batch) if book.index.names_events else batch
            decided = [self._decide_or_ask(book, event) for event in whole]
            planned = [one for one in decided if not one.plan.is_empty]
            events = [one.event for one in planned]
            found = read_stored(connection, batch, events, now, intent_keys=_intent_keys(planned))
            newest = self._newest_book(connection, after, book, found.versions)
            if newest is book:
                return book, decided, found
            book = newest

    def _decide_or_ask(self, book: RuleBook, event: Event) -> DecidedEvent:
        lookups = self._lookups_to_ask(book, event)
        return as_pending(book, event, lookups) if lookups else self._decide(book, event)

    def _evaluate_batch(
        self, connection: Connection, after: AfterCommit, batch: Sequence[Event]
    ) -> list[EventOutcome | None]:
        """Decide upon pending events; None for those decided elsewhere or not yet allowed."""
        now = self._context.clock.now()
        ready = claim_ready(connection, batch, now)
        book = self._newest_book(connection, after, self._book())
        answered = with_answers_of_joins(connection, [event for event in batch if event.id in ready])
        decided = {event.id: self._decide(book, event) for event in answered}
        self._enqueue(connection, after, list(decided.values()), now)
        write_evaluated(connection, [(one.event, _event_row(one)) for one in decided.values()])
        return [decided[event.id].outcome if event.id in decided else None for event in batch]

    def _newest_book(
        self, connection: Connection, after: AfterCommit, known: RuleBook, versions: tuple[int, int] | None = None
    ) -> RuleBook:
        """Return the book as this transaction sees it; it is used by others only once the transaction is committed."""
        book = follow(connection, known, versions)
        if book is not known:
            after.book = book
        return book

    def _lookups_to_ask(self, book: RuleBook, event: Event) -> tuple[Lookup, ...]:
        try:
            return book.lookups.lookups_for(event)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not cost the event its agent
            self._context.defects.note("lookup", error, event_id=event.id, event_type=event.type)
            return ()

    def _decide(self, book: RuleBook, event: Event) -> DecidedEvent:
        try:
            decision = evaluate(book, event)
            plan = build_plan(decision, event, self._context.settings.metadata_max_bytes)
        except Exception as error:  # noqa: BLE001 - a defect of ours must cost one event its agent, not LiveKit its deliveries
            self._context.defects.note("decide", error, event_id=event.id, event_type=event.type)
            reason = f"{recorded('a defect')}: {self._context.defects.describe(error)}"
            plan = DispatchPlan(event, book.version, ())
            return DecidedEvent(event, plan, None, EventOutcome.NO_MATCH, reason)
        if not plan.is_empty:
            outcome = EventOutcome.PLANNED
        elif plan.ignored_by is not None:
            reason = f"rule {plan.ignored_by.name!r} ignores it"
            return DecidedEvent(event, plan, decision, EventOutcome.IGNORED, reason)
        elif event.type == EventType.PARTICIPANT_JOINED and event.participant_role == Role.CALLER:
            outcome = EventOutcome.NO_MATCH
        else:
            outcome = EventOutcome.IGNORED
        return DecidedEvent(event, plan, decision, outcome)

    def _enqueue(
        self,
        connection: Connection,
        after: AfterCommit,
        decided: Sequence[DecidedEvent],
        now: datetime,
        state: StoredState | None = None,
    ) -> None:
        planned = [one for one in decided if not one.plan.is_empty]
        if not planned:
            return
        if state is None:
            batch = [one.event for one in decided]
            state = read_state(
                connection, [one.event for one in planned], batch, now, intent_keys=_intent_keys(planned)
            )
        for one in planned:
            _drop_if_impossible(one, state.gone)
        tick = self._context.clock.monotonic()

        def grant(event: Event) -> bool:
            return self._budget.grant(connection, event, now, tick)

        enqueue(connection, after, self._context, self._free_slots, decided, grant=grant, state=state, now=now)
        plan_actions(connection, after, planned, now)


def _intent_keys(planned: Sequence[DecidedEvent]) -> set[str]:
    return {intent.intent_key for one in planned for intent in one.plan.intents}


def _event_row(decided: DecidedEvent) -> dict[str, Any]:
    decision: dict[str, Any] = decided.decision.to_json() if decided.decision is not None else {}
    if decided.dispatches:
        decision["dispatches"] = decided.dispatches
    if decided.served_by:
        decision["served_by"] = decided.served_by
    if decided.lookups:
        decision["waits_for"] = [lookup.name for lookup in decided.lookups]
    if decided.actions:
        decision["actions"] = decided.actions
    if decided.reason:
        decision["reason"] = decided.reason
    says_nothing = decision.keys() <= _SAID_ANYWAY and not decision.get("matched")
    is_empty = decided.outcome is EventOutcome.IGNORED and says_nothing
    return {
        **to_row(decided.event),
        "outcome": decided.outcome,
        "rules_version": decided.plan.rules_version,
        "decision": None if is_empty else decision,
    }


def _drop_if_impossible(decided: DecidedEvent, gone: Gone) -> None:
    """Drop the plan of an event whose participant has left, or that names no room: the call would open a room."""
    event = decided.event
    if not event.room_name or not event.room_sid:
        reason = recorded("the event names no room to send an agent to")
    elif not event.has_exact_room:
        reason = recorded(
            "the room's name holds NUL or half a surrogate pair: LiveKit would send the agent to another room"
        )
    elif gone.include_room(event):
        reason = recorded("the room was closed already")
    elif event.type not in LEAVINGS and gone.include(event):
        reason = recorded("the participant had left already")
    elif not decided.plan.intents and not event.shows_participant:
        reason = recorded("the event shows no participant that could be removed or transferred")
    else:
        return
    decided.plan = DispatchPlan(event, decided.plan.rules_version, ())
    decided.outcome = EventOutcome.IGNORED
    decided.reason = reason
