"""Writes what a check of a room found: in small transactions, so that a big room does not hold up the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from sqlalchemy import Connection

from app.db.types import LIVE, Cause, DispatchStatus
from app.flows.arrival.settle_doubts import end_doubts, is_past_doubt, lose_agent, mark_absent_callers
from app.flows.context import Context
from app.flows.elapsed_time import ElapsedTime
from app.flows.room_comparison import Comparison, still_true
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import agent_seen, not_ours
from app.lifecycle.departure import unseen_departure
from app.lifecycle.doubt import room_unlisted
from app.lifecycle.leaving import after_callers_gone, room_over, withdrawal_of_stray
from app.lifecycle.next_agent import agent_left
from app.lifecycle.presence import may_be_reloading
from app.lifecycle.transition import move, replace
from app.logs import get_logger
from app.observe.compare import (
    AgentGone,
    AgentLost,
    Arrived,
    CallersGone,
    Finding,
    NotOurs,
    NotYetHere,
    RoomGone,
    RoomUnlisted,
    Stray,
    WrittenDown,
)
from app.observe.settled import settled_agents
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import last_left
from app.outbox.move import Move
from app.outbox.people import people_around
from app.outbox.states import WAITING
from app.translation import recorded

_log = get_logger(__name__)

FINDINGS_AT_ONCE = 64
"""Findings written in one transaction: others wait for it, about 10 ms."""


@dataclass(slots=True)
class Inspection:
    """What a check of one room found. `absent`: dispatches whose agent is certainly not there.

    `is_clear`: every dispatch has its agent, with its job on LiveKit's list, so that another check finds nothing new.
    """

    absent: list[NotYetHere] = field(default_factory=list)
    uncertain: list[NotYetHere] = field(default_factory=list)
    is_clear: bool = True
    settled: frozenset[str] = frozenset()
    """SIDs of agents of no dispatch that is known, or about which the job list will not say more."""


async def conclude(
    context: Context,
    transactions: Transactions,
    elapsed_time: ElapsedTime,
    comparison: Comparison,
    looked_for: float,
) -> Inspection:
    """Write what the comparison found, and return it; it began to be made `looked_for` seconds ago."""
    findings = [one for one in comparison.findings if not _came_during(one, elapsed_time, looked_for)]
    inspection, project = Inspection(), comparison.seen.project
    pending: list[Finding] = []
    for finding in findings:
        match finding:
            case NotYetHere(certain=certain):
                (inspection.absent if certain else inspection.uncertain).append(finding)
            case WrittenDown():
                pass  # the delivery that owns the call adopts it
            case _:
                pending.append(finding)
    results = {dispatch.id: dispatch for dispatch in comparison.intended.live}
    is_doubted = any(is_past_doubt(one, comparison.seen) for one in comparison.intended.live)
    if is_doubted:
        await transactions.run(
            lambda connection, _: mark_absent_callers(connection, comparison, context.clock.now()), project=project
        )
    for first in range(0, len(pending), FINDINGS_AT_ONCE):
        part = pending[first : first + FINDINGS_AT_ONCE]
        written = await transactions.run(partial(_write, context, comparison, part), project=project)
        results |= written.results
        inspection.is_clear = inspection.is_clear and not written.is_unclear
    if is_doubted:
        ended = await transactions.run(
            lambda connection, after: end_doubts(connection, after, comparison, context.clock.now()), project=project
        )
        results |= {one.id: one for one in ended}
    inspection.settled = settled_agents(comparison.intended, comparison.seen, findings)
    inspection.is_clear = inspection.is_clear and all(
        one.status not in LIVE or (one.status is DispatchStatus.JOINED and one.worker_id) for one in results.values()
    )
    return inspection


def _came_during(finding: Finding, elapsed_time: ElapsedTime, looked_for: float) -> bool:
    """Return whether the missing agent may have joined after the observation began, the wall clock being set."""
    if not isinstance(finding, AgentGone) or finding.dispatch.joined_at is None:
        return False
    return elapsed_time.seconds_since(finding.dispatch.joined_at) < looked_for


@dataclass(frozen=True, slots=True)
class _Written:
    """The dispatches as they are after a transaction; whether it withdrew anything, or found what has changed since."""

    results: dict[str, Dispatch]
    is_unclear: bool


def _write(
    context: Context,
    comparison: Comparison,
    findings: Sequence[Finding],
    connection: Connection,
    after: AfterCommit,
) -> _Written:
    return _Writing(connection, after, context, comparison).write(findings)


class _Writing:
    """One transaction that writes some findings."""

    def __init__(self, connection: Connection, after: AfterCommit, context: Context, comparison: Comparison) -> None:
        self._connection = connection
        self._after = after
        self._context = context
        self._comparison = comparison
        self._now = context.clock.now()
        self._moves: list[Move] = []
        self._replacements: list[Dispatch] = []

    def write(self, findings: Sequence[Finding]) -> _Written:
        valid, present = still_true(self._connection, self._comparison, findings)
        losing = [one.dispatch for one in valid if isinstance(one, AgentGone)]
        people = people_around(self._connection, losing, {one.session for one in losing})
        left_at = last_left(self._connection, [one.dispatch.id for one in valid if isinstance(one, CallersGone)])
        for finding in valid:
            match finding:
                case AgentGone(dispatch, is_displaced):
                    change, replacement = agent_left(
                        self._connection,
                        self._after,
                        self._context.settings,
                        dispatch,
                        unseen_departure(dispatch, self._now, is_displaced=is_displaced),
                        people=people,
                        now=self._now,
                        present=present,
                    )
                    self._add(change, replacement)
                case CallersGone(dispatch):
                    gone_at = left_at.get(dispatch.id)
                    if dispatch.status in WAITING and gone_at is not None and may_be_reloading(gone_at, self._now):
                        self._after.left_alone.append(dispatch)
                        continue
                    end, withdrawal = after_callers_gone(dispatch, gone_at or self._now, self._now)
                    self._after.withdraw(withdrawal)
                    self._add(end)
                case AgentLost(dispatch):
                    served = self._comparison.intended.callers.get(dispatch.id)
                    lost, replacement = lose_agent(
                        self._connection,
                        self._after,
                        self._context,
                        finding,
                        has_callers=served is None or bool(present.intersection(served)),
                        ghosts=self._comparison.intended.ghosts,
                        now=self._now,
                    )
                    self._add(lost, replacement)
                case _:
                    self._add(self._move_of(finding))
        move(self._connection, self._after, self._moves, self._now)
        replace(self._connection, self._after, self._replacements, self._now)
        is_unclear = bool(self._after.withdrawals) or len(valid) < len(findings)
        return _Written({one.dispatch.id: one.result for one in self._moves}, is_unclear)

    def _add(self, change: Move | None, replacement: Dispatch | None = None) -> None:
        self._moves += [change] if change is not None else []
        self._replacements += [replacement] if replacement is not None else []

    def _move_of(
        self, finding: RoomGone | RoomUnlisted | Arrived | NotOurs | WrittenDown | NotYetHere | Stray
    ) -> Move | None:
        """Return the move of a finding that needs no more than itself; note what to withdraw."""
        match finding:
            case RoomGone(dispatch):
                return room_over(dispatch, Cause.ROOM_LOST, recorded("the room is gone"), self._now)
            case RoomUnlisted(dispatch):
                return room_unlisted(dispatch, self._now, is_served=self._comparison.seen.is_served)
            case Arrived():
                return agent_seen(finding, self._now)
            case NotOurs(dispatch):
                return not_ours(dispatch, self._now)
            case Stray(why=why):
                seen, identities = self._comparison.seen, finding.agent_identities
                _log.warning(
                    "withdrawing an agent that no dispatch needs", room=seen.room_name, agents=identities, why=why
                )
                self._after.withdraw(withdrawal_of_stray(finding, seen))
                return None
            case WrittenDown() | NotYetHere():
                return None
            case _:
                assert_never(finding)
