"""Turns the intents of a batch into dispatches, or adds their callers to live ones with the same intent key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.clock import new_id
from app.db.types import DispatchStatus, EventOutcome
from app.flows.accept.start import Start, start_of, started
from app.flows.accept.stored_state import StoredState
from app.flows.context import Context
from app.flows.token_dispatches import redeem
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.callers.unserved_callers import act_on_unserved
from app.lifecycle.leaving import deserted, withdrawal_of
from app.lifecycle.presence import may_be_reloading
from app.lifecycle.transition import create, move
from app.livekit.vocabulary import JOINS, LEAVINGS
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import from_intent, leased
from app.outbox.dispatch_store import insert_callers, last_left, live_by_intent
from app.plan.build import DispatchPlan, Intent
from app.rules.book.evaluate import Decision
from app.rules.lookups.lookup_book import Lookup
from app.webhook.event import Event


@dataclass(slots=True)
class DecidedEvent:
    """An event with what the rules decided for it; the lists are filled with ids when the rows are stored."""

    event: Event
    plan: DispatchPlan
    decision: Decision | None
    outcome: EventOutcome
    reason: str | None = None
    dispatches: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    served_by: list[str] = field(default_factory=list)
    lookups: tuple[Lookup, ...] = ()
    """Those to be answered before anything is decided."""


def enqueue(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    free_slots: Callable[[str], int],
    decided: Sequence[DecidedEvent],
    *,
    grant: Callable[[Event], bool],
    state: StoredState,
    now: datetime,
) -> None:
    """Insert the dispatches that the events ask for, and note which live ones serve the others.

    `grant`: whether the caller of an event may cause one more dispatch.
    """
    wanted = [(one, intent) for one in decided for intent in one.plan.intents]
    if not wanted:
        return
    serving = live_by_intent(connection, {intent.intent_key for _, intent in wanted if intent.intent_key in state.live})
    live = _without_deserted(connection, after, serving, now)
    new = _new_dispatches(wanted, live, context, _Slots(free_slots), grant=grant, state=state, now=now)
    create(connection, after, [one.dispatch for one in new], now)
    from_token = []
    for one in new:
        one.decided.dispatches.append(one.dispatch.id)
        if one.start is Start.FROM_TOKEN:
            from_token.append(one.dispatch.id)
        elif one.start is Start.AFTER_RETURN:
            after.rooms_to_check.add((one.dispatch.project, one.dispatch.room_name))
    handed_to = {one.id: one.handed_to for one in serving.values() if one.handed_to is not None}
    for each in decided:
        if each.plan.intents and not each.dispatches:
            each.outcome = EventOutcome.SERVED
    insert_callers(connection, [row for each in decided for row in _caller_rows(each, handed_to)])
    act_on_unserved(connection, after, [one.dispatch for one in new if one.start is Start.FAILED], now)
    redeem(connection, from_token, now)


def _without_deserted(
    connection: Connection, after: AfterCommit, live: Mapping[str, Dispatch], now: datetime
) -> dict[str, str]:
    """Return the ids of live dispatches by intent, and end those whose agents all callers have left for good.

    Such an agent may still be in the room, but most have ended their session with their caller and would stay mute.
    """
    left_at = last_left(connection, [one.id for one in live.values() if one.status is DispatchStatus.JOINED])
    gone = [one for one in live.values() if one.id in left_at and not may_be_reloading(left_at[one.id], now)]
    move(connection, after, [deserted(one, now) for one in gone], now)
    withdrawals = [withdrawal for one in gone if (withdrawal := withdrawal_of(one)) is not None]
    after.withdrawals += [replace(one, at_once=True) for one in withdrawals]
    return {key: one.id for key, one in live.items() if one not in gone}


_UNBUDGETED = frozenset({Start.FAILED, Start.FROM_TOKEN})
"""Starts that no budget prevents: an access token may have brought the agent already."""
_NOT_LIVE = frozenset({Start.FAILED, Start.OVER_BUDGET})


class _New(NamedTuple):
    dispatch: Dispatch
    start: Start
    decided: DecidedEvent


def _new_dispatches(
    wanted: Sequence[tuple[DecidedEvent, Intent]],
    live: dict[str, str],
    context: Context,
    slots: _Slots,
    *,
    grant: Callable[[Event], bool],
    state: StoredState,
    now: datetime,
) -> list[_New]:
    """Return the dispatches to insert; intents that are `live`, or become so here, get the id of the live one."""
    new = []
    lease = leased(context.owner, now + context.lease)
    for decided, intent in wanted:
        if intent.failure is None and intent.intent_key in live:
            decided.served_by.append(live[intent.intent_key])
            continue
        event = decided.event
        start = start_of(event, intent, state, now)
        if start not in _UNBUDGETED and not grant(event):
            start = Start.OVER_BUDGET
        if start is Start.AT_ONCE and not slots.take(event.project):
            start = Start.WHEN_CLAIMED
        dispatch = from_intent(new_id(), event, intent, decided.plan.rules_version, now)
        if event.type in JOINS and (event.waiting_since is not None or event.lookups):
            since = event.received_at if event.waiting_since is None else event.waiting_since
            dispatch = dispatch._replace(waiting_since=min(now, since))
        dispatch = started(
            start, dispatch, intent, state.promises.unused_of(event, intent.agent_name), lease=lease, now=now
        )
        if start not in _NOT_LIVE:
            live[intent.intent_key] = dispatch.id
        new.append(_New(dispatch, start, decided))
    return new


@dataclass(slots=True)
class _Slots:
    """How many calls each project may begin at once, asked for once and counted down."""

    free_slots: Callable[[str], int]
    left: dict[str, int] = field(default_factory=dict)

    def take(self, project: str) -> bool:
        free = self.left[project] if project in self.left else self.free_slots(project)
        self.left[project] = max(0, free - 1)
        return free > 0


def _caller_rows(decided: DecidedEvent, handed_to: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of an event's caller; `handed_to`: the dispatch to which one is being handed over, by its id."""
    event = decided.event
    if event.type in LEAVINGS or not event.participant_sid:
        return []
    following = [handed_to[one] for one in decided.served_by if one in handed_to]
    return [
        {
            "dispatch_id": dispatch_id,
            "participant_sid": event.participant_sid,
            "event_id": event.id,
            "participant_identity": event.participant_identity,
            "left_at": None,
        }
        for dispatch_id in (*decided.dispatches, *decided.served_by, *following)
    ]
