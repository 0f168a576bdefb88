"""Gives free places to callers in the order of their queues, at the claim, and moves the others on.

Places are counted and given in one transaction, in which no other replica counts them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection

from app.db.types import DispatchStatus
from app.flows.context import Context
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.leaving import withdrawal_of
from app.lifecycle.next_agent import after_previous
from app.lifecycle.queue.queueing import Ask, GiveUp, Start, Wait, asking, given_up, placement, queued
from app.outbox.dispatch import Dispatch
from app.outbox.free_places import Places
from app.outbox.move import Move
from app.outbox.queue_store import Limits, lock_places, read_heads, read_places

MAX_HEADS = 100
"""Callers of one queue that are read at once."""


@dataclass(slots=True)
class Placed:
    """Dispatches that may start, and the moves of the others."""

    started: list[Dispatch] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


def needs_place(dispatch: Dispatch, limits: Limits, now: datetime) -> bool:
    """Return whether `dispatch`, which is due, may start only if there is a place for it."""
    agent = limits.agents.get(dispatch.agent_to_ask)
    if dispatch.holds_place:
        # Its agent may have been taken out of service between two attempts.
        is_between = dispatch.status is DispatchStatus.PENDING and not dispatch.must_look
        return is_between and agent is not None and agent.is_out_of_service(now)
    return agent is not None or dispatch.max_calls is not None or dispatch.queued_at is not None


def give_places(
    connection: Connection,
    after: AfterCommit,
    context: Context,
    limits: Limits,
    wanting: Sequence[Dispatch],
    *,
    slots: Mapping[str, int],
    in_hand: Collection[str],
    now: datetime,
) -> Placed:
    """Return what becomes of `wanting` and of the first in the queues; at most `slots` of each project start."""
    lock_places(connection)
    rules = {one.rule_id for one in wanting if one.max_calls is not None} | {lane.rule_id for lane in limits.lanes}
    places = read_places(connection, limits, rules, now)
    open_lanes = [lane for lane in limits.lanes if slots.get(lane.project, 0) > 0 and places.may_be_free(lane)]
    heads = read_heads(connection, open_lanes, min(MAX_HEADS, max(slots.values(), default=0)))
    known = {one.id for one in wanting}
    contenders = [*wanting, *(one for one in heads if one.id not in known and one.id not in in_hand)]
    contenders.sort(key=lambda one: (one.queue_priority, one.queued_at or now, one.id))
    giving = _Giving(connection, after, context, places, dict(slots))
    for dispatch in contenders:
        giving.place(dispatch)
    return giving.placed


@dataclass(slots=True)
class _Giving:
    """The places as they are given, in one transaction; `slots`: how many more may start, by project."""

    connection: Connection
    after: AfterCommit
    context: Context
    places: Places
    slots: dict[str, int]
    placed: Placed = field(default_factory=Placed)

    def place(self, dispatch: Dispatch) -> None:
        current = dispatch
        while True:
            decision = placement(current, self.places)
            match decision:
                case Start():
                    self._start(current)
                    return
                case Ask():
                    current = self._ask(current, decision)
                case Wait():
                    change = queued(current, decision, self.places.now)
                    self.placed.moves += [] if change is None else [change]
                    return
                case GiveUp():
                    self.after.withdraw(withdrawal_of(current))
                    self.placed.moves.append(given_up(current, decision, self.places.now))
                    return
                case _:
                    assert_never(decision)

    def _ask(self, dispatch: Dispatch, decision: Ask) -> Dispatch:
        change = asking(dispatch, decision, self.places.now)
        if decision.rung != dispatch.rung:
            change = after_previous(self.connection, self.context.settings, change, dispatch.previous)
        self.placed.moves.append(change)
        return change.result

    def _start(self, dispatch: Dispatch) -> None:
        if self.slots.get(dispatch.project, 0) < 1:
            return  # the next claim starts it, unless another is before it then
        self.slots[dispatch.project] -= 1
        self.places.take(dispatch)
        self.placed.started.append(dispatch)
