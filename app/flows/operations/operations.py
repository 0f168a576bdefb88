"""What operators do to dispatches and events. The server and the command line use the same.

Each names who did it in the audit log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from app.clock import new_id
from app.db.audit_log import AuditEntry, append
from app.db.types import Cause, DispatchStatus, EventSource
from app.errors import ConflictError
from app.flows.accept.accept import Acceptance
from app.flows.context import Context
from app.flows.operations.handover_order import Handover, HandoverOrder, find_handover, hand_over
from app.flows.operations.redrive import redrive
from app.flows.operations.result import OperationResult, read_all, why_not_served
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import withdrawal_of
from app.lifecycle.transition import move
from app.livekit.vocabulary import LEAVINGS, EventType, ParticipantKind
from app.outbox.dispatch_factory import ended
from app.outbox.move import Move
from app.outbox.states import WAITING
from app.rules.book.read_book import follow
from app.rules.book.rule_book import RuleBook
from app.settings import Settings
from app.translation import recorded, translatable
from app.webhook.dedupe_keys import event_key
from app.webhook.event import BODY_DROPPED, Event
from app.webhook.event_store import stored_event
from app.webhook.lookup_answers import with_answers
from app.webhook.name_digest import is_replaced
from app.webhook.parse import build_event


class Operations:
    """Redrives, cancels and hands over dispatches, replays events; what follows is under way when a method returns.

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

    async def redrive(self, ids: Sequence[str], by: str, *, dry_run: bool = False) -> OperationResult:
        """Ask again for the agents of ended dispatches; raises `NotFoundError` for an unknown id, changing nothing.

        With `dry_run` the result says what would be done, and nothing is changed either.
        """
        now, settings = self._context.clock.now(), self._context.settings

        def write(connection: Connection, after: AfterCommit) -> OperationResult:
            # Not kept: the transaction may see edits that are not committed yet.
            book = follow(connection, self._book())
            return redrive(connection, after, ids, by=by, book=book, settings=settings, now=now, dry_run=dry_run)

        return await self._transactions.run(write)

    async def hand_over(self, order: HandoverOrder, by: str) -> Handover:
        """Send another agent to the callers of a live call; the first leaves when that one is there.

        Raises `NotFoundError` for an unknown call, `ConflictError` where nobody is to be handed over, and
        `InvalidInputError` for a name that no agent can have.
        """
        settings, now = self._context.settings, self._context.clock.now()
        found = await self._context.read(lambda connection: find_handover(connection, order))
        if isinstance(found, Handover):
            return found
        return await self._transactions.run(
            lambda connection, after: hand_over(connection, after, settings, order, found, by=by, now=now)
        )

    async def cancel(self, ids: Sequence[str], by: str, *, dry_run: bool = False) -> OperationResult:
        """Give dispatches up and take them back from LiveKit; raises `NotFoundError` for an unknown id.

        With `dry_run` the result says what would be done, and nothing is changed.
        """
        now = self._context.clock.now()
        settings = self._context.settings
        return await self._transactions.run(
            partial(cancel, ids=ids, by=by, settings=settings, now=now, dry_run=dry_run)
        )

    async def check_replay(self, event_id: str) -> Event:
        """Return the event that a replay would accept; raises `NotFoundError` or `ConflictError`."""
        context, now = self._context, self._context.clock.now()
        return await context.writer.run(lambda connection: replayed_event(connection, event_id, now, context.settings))

    async def replay(self, event_id: str, by: str) -> tuple[Event, Acceptance]:
        """Accept a stored event once more under the current rules; return the new event and what became of it.

        Raises `NotFoundError` or `ConflictError` like `check_replay`.
        """
        context, now = self._context, self._context.clock.now()
        event = await self.check_replay(event_id)
        acceptance = await self._receive(event)
        entry = AuditEntry("event", event_id, None, "replayed", f"as event {event.id}", now, by)
        await context.writer.run(partial(append, entries=[entry]))
        return event, acceptance


def cancel(
    connection: Connection,
    after: AfterCommit,
    ids: Collection[str],
    *,
    by: str,
    settings: Settings,
    now: datetime,
    dry_run: bool = False,
) -> OperationResult:
    """Give up dispatches that wait for their agent; refused: those whose agent has come, or that have ended."""
    result = OperationResult()
    moves: list[Move] = []
    for dispatch in read_all(connection, ids).values():
        if dispatch.status not in WAITING:
            result.refused[dispatch.id] = translatable(
                "is %(status)s; only what waits for its agent can be cancelled", status=dispatch.status
            )
            continue
        result.done.append(dispatch.id)
        withdrawal = withdrawal_of(dispatch)
        if withdrawal is not None and why_not_served(dispatch.project, settings) is not None:
            result.left_over[dispatch.id] = translatable(
                "stays at LiveKit: project %(project)s is not configured here", project=repr(dispatch.project)
            )
        elif withdrawal is not None:
            result.sent.append(dispatch.id)
        if dry_run:
            continue
        moves.append(
            Move(
                dispatch,
                DispatchStatus.CANCELLED,
                Cause.CANCELLED_BY_HAND,
                recorded("cancelled by hand"),
                by,
                ended(now),
            )
        )
        after.withdraw(withdrawal)
    move(connection, after, moves, now)
    return result


def replayed_event(connection: Connection, event_id: str, now: datetime, settings: Settings) -> Event:
    """Return a stored event as a new one, to be accepted again; callers who have left since are noticed then.

    It keeps the answers of lookups; those that were not asked then are asked now.
    """
    stored = stored_event(connection, event_id)
    if stored.type in LEAVINGS | {EventType.ROOM_FINISHED}:
        raise ConflictError(
            translatable("%(event)s reports an end; replaying it would end what has begun since", event=stored.type)
        )
    if stored.participant_kind == ParticipantKind.AGENT:
        raise ConflictError(
            translatable("it is about an agent; replayed, it would be taken for an agent that has just joined")
        )
    if not stored.has_body:
        raise ConflictError(translatable("%(why)s: there is nothing to replay", why=BODY_DROPPED))
    if is_replaced(stored.room_name, stored.participant_identity):
        raise ConflictError(translatable("its names were erased or hashed: LiveKit knows no such room or participant"))
    not_served = why_not_served(stored.project, settings)
    if not_served is not None:
        raise ConflictError(not_served)
    identity = new_id()
    replayed = build_event(
        stored.body,
        project=stored.project,
        source=EventSource.REPLAY,
        received_at=now,
        event_id=identity,
        redact=settings.redact_of(stored.project),
        dedupe_key=event_key(stored.project, "replay", identity),
        has_exact_room=stored.has_exact_room,
        is_immediate=False,
    )
    return with_answers(replayed, stored.lookups)
