"""What operators do to dispatches and events: redrive, cancel, replay. The server and the command line use the same.

Each names who did it in the audit log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.types import Cause, DispatchStatus, EventSource
from app.errors import ConflictError, NotFoundError
from app.flows.accept.accept import Acceptance
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import withdrawal_of
from app.lifecycle.transition import move
from app.livekit.vocabulary import LEAVINGS, EventType, ParticipantKind
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import asked_for, ended, redriven
from app.outbox.dispatch_store import inherit_callers, live_by_intent, read_locked
from app.outbox.move import Move
from app.outbox.room_session import same_intents
from app.outbox.states import REDRIVABLE, WAITING
from app.plan.build import build_intent
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.webhook.dedupe_keys import event_key
from app.webhook.event import Event
from app.webhook.event_store import stored_event
from app.webhook.parse import build_event


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation did. `done`: the moves it made. `refused`: by dispatch id, why nothing was done."""

    done: list[Move] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class Operations:
    """Redrives and cancels dispatches and replays events; what follows is under way when a method returns.

    `book` returns the rule book in use, and `receive` accepts an event.
    """

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        book: Callable[[], RuleBook],
        receive: Callable[[Event], Awaitable[Acceptance]],
    ) -> None:
        self._context = context
        self._transactions = transactions
        self._book = book
        self._receive = receive

    async def redrive(self, ids: Sequence[str], by: str) -> OperationResult:
        """Try dispatches again from the beginning; raises `NotFoundError` for an unknown id, changing nothing."""
        now, most = self._context.clock.now(), self._context.settings.metadata_max_bytes

        def write(connection: Connection, after: AfterCommit) -> OperationResult:
            # Not kept: the transaction may see edits that are not committed yet.
            book = follow(connection, self._book())
            return redrive(connection, after, ids, by=by, book=book, metadata_max_bytes=most, now=now)

        return await self._transactions.run(write)

    async def cancel(self, ids: Sequence[str], by: str) -> OperationResult:
        """Give dispatches up and take them back from LiveKit; raises `NotFoundError` for an unknown id."""
        return await self._transactions.run(partial(cancel, ids=ids, by=by, now=self._context.clock.now()))

    async def replay(self, event_id: str, by: str) -> tuple[Event, Acceptance]:
        """Accept a stored event once more under the current rules; return the new event and what became of it.

        Raises `NotFoundError` or `ConflictError` like `replayed_event`.
        """
        context, now = self._context, self._context.clock.now()
        redact = context.settings.redact
        event = await context.writer.run(lambda connection: replayed_event(connection, event_id, now, redact))
        acceptance = await self._receive(event)
        entry = AuditEntry("event", event_id, None, "replayed", f"as event {event.id}", now, by)
        await context.writer.run(partial(append, entries=[entry]))
        return event, acceptance


def redrive(
    connection: Connection,
    after: AfterCommit,
    ids: Collection[str],
    *,
    by: str,
    book: RuleBook,
    metadata_max_bytes: int,
    now: datetime,
) -> OperationResult:
    """Start ended dispatches again, with what their rules say now.

    Of several for the same callers the latest is tried, for all of them: a caller who came back has another SID.
    Callers who have left since are noticed before LiveKit is called. Refused: what is not `failed`, `no_show` or
    `cancelled`, what another live dispatch serves already, and what the rule's template still cannot make.
    """
    current = _all_of(connection, ids)
    result = OperationResult()
    successors: dict[str, str] = {}
    again: list[tuple[Dispatch, dict[str, Any]]] = []
    for dispatch in sorted(current.values(), key=lambda one: one.id, reverse=True):
        if dispatch.status not in REDRIVABLE:
            result.refused[dispatch.id] = f"is {dispatch.status}; only failed, no_show and cancelled can be redriven"
            continue
        wanted = _asked_for_now(connection, dispatch, book, metadata_max_bytes)
        if isinstance(wanted, str):
            result.refused[dispatch.id] = wanted
        else:
            again.append((dispatch, wanted))
    keys = {str(wanted["intent_key"]) for _, wanted in again}
    taken = {key: one.id for key, one in live_by_intent(connection, keys).items()}
    for dispatch, wanted in again:
        serving = taken.setdefault(str(wanted["intent_key"]), dispatch.id)
        if serving == dispatch.id:
            fields = {**redriven(dispatch, now), **wanted}
            result.done.append(Move(dispatch, DispatchStatus.PENDING, Cause.REDRIVEN, "redriven by hand", by, fields))
        else:
            result.refused[dispatch.id] = f"dispatch {serving} serves the same caller already"
            successors[dispatch.id] = serving
    move(connection, after, result.done, now)
    inherit_callers(connection, successors | same_intents(connection, [one.dispatch for one in result.done]))
    return result


def cancel(
    connection: Connection, after: AfterCommit, ids: Collection[str], *, by: str, now: datetime
) -> OperationResult:
    """Give up dispatches that wait for their agent; refused: those whose agent has come, or that have ended."""
    result = OperationResult()
    for dispatch in _all_of(connection, ids).values():
        if dispatch.status not in WAITING:
            result.refused[dispatch.id] = f"is {dispatch.status}; only what waits for its agent can be cancelled"
            continue
        result.done.append(
            Move(dispatch, DispatchStatus.CANCELLED, Cause.CANCELLED_BY_HAND, "cancelled by hand", by, ended(now))
        )
        withdrawal = withdrawal_of(dispatch)
        if withdrawal is not None:
            after.withdrawals.append(withdrawal)
    move(connection, after, result.done, now)
    return result


def replayed_event(connection: Connection, event_id: str, now: datetime, redact: Sequence[str] = ()) -> Event:
    """Return a stored event as a new one, to be accepted again; callers who have left since are noticed then."""
    stored = stored_event(connection, event_id)
    if stored.type in LEAVINGS | {EventType.ROOM_FINISHED}:
        raise ConflictError(f"{stored.type} reports an end; replaying it would end what has begun since")
    if stored.participant_kind == ParticipantKind.AGENT:
        raise ConflictError("it is about an agent; replayed, it would be taken for an agent that has just joined")
    identity = new_id()
    return build_event(
        stored.body,
        project=stored.project,
        source=EventSource.REPLAY,
        received_at=now,
        event_id=identity,
        redact=redact,
        dedupe_key=event_key(stored.project, "replay", identity),
        has_exact_room=stored.has_exact_room,
        is_immediate=False,
    )


def _all_of(connection: Connection, ids: Collection[str]) -> dict[str, Dispatch]:
    current = read_locked(connection, ids)
    missing = [one for one in ids if one not in current]
    if missing:
        raise NotFoundError(f"no dispatch has the id {', '.join(missing)}")
    return current


def _asked_for_now(
    connection: Connection, dispatch: Dispatch, book: RuleBook, metadata_max_bytes: int
) -> dict[str, Any] | str:
    """Return the columns that the dispatch's rule fills now, or why it cannot; those of then if the rule is gone."""
    rule = book.rule(dispatch.rule_id)
    if rule is None:
        return {"intent_key": dispatch.intent_key}
    intent = build_intent(rule, stored_event(connection, dispatch.event_id), metadata_max_bytes)
    return asked_for(intent, book.version) if intent.failure is None else intent.failure
