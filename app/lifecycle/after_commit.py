"""What a transaction leaves to be done once it is committed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from app.db.types import Cause, DispatchStatus, ReplacesKind
from app.lifecycle.handover import is_beside
from app.lifecycle.leaving import Withdrawal
from app.metrics import Metrics
from app.outbox.caller_action import CallerAction
from app.outbox.dispatch import Dispatch, Session
from app.outbox.move import Move
from app.rules.book.rule_book import RuleBook
from app.rules.lookups.lookup_book import Lookup
from app.webhook.event import Event


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A stored event whose rules are evaluated once these lookups are answered."""

    event: Event
    lookups: tuple[Lookup, ...]


@dataclass(slots=True)
class AfterCommit:
    """What one transaction did and left to be done after its commit; `transition` notes moves and new dispatches.

    A batch of events or calls shares one transaction and so one of these: `is_carried_out` keeps it from being carried
    out once per member of the batch.
    """

    moves: list[Move] = field(default_factory=list)
    created: list[Dispatch] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    left_alone: list[Dispatch] = field(default_factory=list)
    """Dispatches whose callers left while the agent was on its way: given up unless one is back within `RELOAD_S`."""
    rooms_to_check: set[tuple[str, str]] = field(default_factory=set)
    """Project and name of rooms in which it is unclear which agent belongs to which dispatch."""
    crowds_to_end: set[Session] = field(default_factory=set)
    """Room sessions that have closed and have too many dispatches to end them in this transaction."""
    book: RuleBook | None = None
    """The rule book that the transaction read, to be used from now on; None if it is the one in use."""
    is_due: bool = False
    """Whether dispatches are due for the claim now, so that the delivery loop need not wait for its next tick."""
    to_look_up: list[PendingEvent] = field(default_factory=list)
    """Events that were stored to be evaluated later."""
    actions: list[CallerAction] = field(default_factory=list)
    """Actions on callers that were created or have changed, as they are then."""
    has_due_actions: bool = False
    """Whether an action on a caller is due now."""
    is_carried_out: bool = False

    def note_due(self, due: Iterable[datetime | None], now: datetime) -> None:
        """Set `is_due` if one of these times of a next attempt has come."""
        self.is_due = self.is_due or any(one is not None and one <= now for one in due)

    def withdraw(self, withdrawal: Withdrawal | None) -> None:
        """Add what is to be taken back from LiveKit, if anything is."""
        if withdrawal is not None:
            self.withdrawals.append(withdrawal)

    @property
    def frees_places(self) -> bool:
        """Whether a dispatch has ended, or asks another agent, so that others may have its place."""
        return any(one.dispatch.holds_place and not one.result.holds_place for one in self.moves)

    @property
    def to_send(self) -> list[Dispatch]:
        """Dispatches created in this process's hands, without those that the same transaction ended again."""
        moved = {one.dispatch.id for one in self.moves}
        return [one for one in self.created if one.status is DispatchStatus.SENDING and one.id not in moved]

    @property
    def joined(self) -> list[Dispatch]:
        """Dispatches whose agent has joined."""
        return [
            one.dispatch
            for one in self.moves
            if one.status is DispatchStatus.JOINED and one.dispatch.status is not DispatchStatus.JOINED
        ]

    @property
    def cancelled(self) -> list[Dispatch]:
        """Dispatches whose agent is no longer wanted; one of them may be waiting in memory for its call."""
        return [one.dispatch for one in self.moves if one.status is DispatchStatus.CANCELLED]


def count(metrics: Metrics, after: AfterCommit) -> None:
    """Count every state that a dispatch reached in a committed transaction, and the actions on callers that ended."""
    for action in after.actions:
        if not action.is_live:
            metrics.caller_actions.labels(action.kind, action.status).inc()
    for dispatch in after.created:
        metrics.transitions.labels(dispatch.project, dispatch.agent_name, dispatch.status).inc()
        if dispatch.cause is Cause.OVER_BUDGET:
            metrics.over_budget.labels(dispatch.project).inc()
        if dispatch.replaces_kind is ReplacesKind.RECOVERY:
            metrics.recoveries.labels(dispatch.agent_name).inc()
    for move in after.moves:
        if move.status is not move.dispatch.status:
            metrics.transitions.labels(move.dispatch.project, move.dispatch.agent_name, move.status).inc()
            _count_outcome(metrics, move)


def _count_outcome(metrics: Metrics, move: Move) -> None:
    dispatch = move.dispatch
    if dispatch.status is DispatchStatus.JOINED and move.status in {DispatchStatus.PENDING, DispatchStatus.NO_SHOW}:
        metrics.left_early.labels(dispatch.agent_to_ask).inc()
    match move.status:
        case DispatchStatus.PENDING if move.cause is Cause.FALLBACK:
            metrics.fallbacks.labels(dispatch.agent_name, move.result.agent_to_ask).inc()
        case DispatchStatus.NO_SHOW:
            metrics.no_shows.labels(dispatch.agent_name).inc()
        case DispatchStatus.JOINED:
            joined_at = move.fields.get("joined_at")
            if isinstance(joined_at, datetime):
                waited = (joined_at - dispatch.waits_since).total_seconds()
                metrics.seconds_to_agent.labels(dispatch.agent_to_ask).observe(max(0.0, waited))
        case DispatchStatus.CANCELLED if move.cause is Cause.CALLER_LEFT and not is_beside(dispatch):
            metrics.abandoned.labels(dispatch.agent_name).inc()
        case _:
            pass
