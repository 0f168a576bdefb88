"""Corrects deadlines after the wall clock was set back: what would be due too far in the future becomes due."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from math import inf
from typing import Final

from sqlalchemy import Connection, bindparam, case, select, update

from app.db.any_of import any_of
from app.db.columns.action_types import CallerActionStatus
from app.db.columns.column_types import Timestamp
from app.db.database_clock import CLOCK_OFF_S, DatabaseClock
from app.db.tables import ACTION_IS_LIVE, caller_actions, dispatches, status_in
from app.db.types import Cause, DispatchStatus
from app.flows.context import Context
from app.flows.elapsed_time import ElapsedTime
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import awaited_from
from app.lifecycle.doubt import UNLISTED_S
from app.lifecycle.presence import RETURN_S
from app.lifecycle.retry import LONGEST_DELAY_S
from app.lifecycle.transition import move
from app.livekit.client import TRANSFER_TIMEOUT_S
from app.logs import get_logger
from app.outbox.dispatch import Dispatch
from app.outbox.move import Move
from app.translation import recorded

_log = get_logger(__name__)

_TOLERANCE = timedelta(seconds=5)
"""More than the clocks of replicas should differ by."""
MEASURE_EVERY_S: Final = 2.0
"""How often the database's clock is compared with the one that counts it on."""
CORRECT_EVERY_S, CORRECT_IDLE_S = 2.0, 10.0
"""How often deadlines are compared with the clock: while some are corrected, and although it was not set back."""
_SETTLED_S: Final = 5.0
"""After so long no transaction commits that has read the clock before it was set back."""
_REASON = recorded("the clock was set back")

_DUE_TOO_LATE = (
    select(dispatches)
    .where(
        status_in(DispatchStatus.PENDING, DispatchStatus.SENDING),
        dispatches.c.next_attempt_at > bindparam("horizon", type_=Timestamp()),
        dispatches.c.queued_at.is_(None),
        ~any_of(dispatches.c.id, "in_hand"),
    )
    .with_for_update(skip_locked=True)
)
_SENT_IN_THE_FUTURE = (
    select(dispatches)
    .where(
        status_in(DispatchStatus.DISPATCHED),
        dispatches.c.dispatched_at > bindparam("horizon", type_=Timestamp()),
    )
    .with_for_update(skip_locked=True)
)
_DOUBTED_TOO_LONG = (
    select(dispatches)
    .with_hint(dispatches, "INDEXED BY ix_dispatches_doubtful_until", "sqlite")
    .where(
        dispatches.c.doubtful_until.is_not(None),
        dispatches.c.doubtful_until > bindparam("horizon", type_=Timestamp()),
    )
    .with_for_update(skip_locked=True)
)


class ClockCorrector:
    """Compares what is due with the wall clock.

    A clock that was set forward needs no correction: leases end and rooms are checked early, and `ElapsedTime` says how
    much of a span is really left. One set back by less than the tolerance delays calls by as much.
    """

    def __init__(
        self,
        context: Context,
        transactions: Transactions,
        elapsed_time: ElapsedTime,
        in_hand: Callable[[], Collection[str]],
    ) -> None:
        self._context = context
        self._transactions = transactions
        self._in_hand = in_hand
        self._is_off = False
        self._elapsed_time = elapsed_time
        self._measured_at = -inf
        self._times_set_back = 0
        self._set_back_at = -inf

    def is_set_back(self, connection: Connection) -> bool:
        """Return whether the clock was set back a moment ago; compares it with the database's. Call it often."""
        clock = self._context.clock
        tick = clock.monotonic()
        if isinstance(clock, DatabaseClock) and tick - self._measured_at >= MEASURE_EVERY_S:
            clock.measure(connection)
            self._measured_at = tick
            self._report(clock.machine_ahead_s)
        self._elapsed_time.note_step()
        if self._elapsed_time.times_set_back != self._times_set_back:
            self._times_set_back, self._set_back_at = self._elapsed_time.times_set_back, tick
        return tick - self._set_back_at < _SETTLED_S

    async def run_once(self) -> dict[str, int]:
        """Correct dispatches that are due later than the longest delay allows."""
        return {"brought_back": await self._transactions.run(self._bring_back)}

    def _bring_back(self, connection: Connection, after: AfterCommit) -> int:
        now = self._context.clock.now()
        in_hand = self._in_hand()  # read here, for more may have been begun while this waited for the writer
        call = timedelta(seconds=self._context.settings.request_timeout)
        longest = max(self._context.lease, call, timedelta(seconds=max(1.2 * LONGEST_DELAY_S, RETURN_S)))
        asked = {"horizon": now + longest + _TOLERANCE, "in_hand": in_hand}
        moves = []
        for row in connection.execute(_DUE_TOO_LATE, asked).mappings():
            dispatch = Dispatch.from_row(row)
            # Its holder may be alive and in the middle of the call, which is waited for.
            due = now if dispatch.status is DispatchStatus.PENDING else now + call
            fields = {"next_attempt_at": due, "lease_until": due}
            moves.append(Move(dispatch, dispatch.status, Cause.CLOCK_STEP, _REASON, fields=fields))
        for row in connection.execute(_SENT_IN_THE_FUTURE, {"horizon": now + _TOLERANCE}).mappings():
            dispatch = Dispatch.from_row(row)
            again = {**awaited_from(dispatch, now), "lease_until": None}
            moves.append(Move(dispatch, dispatch.status, Cause.CLOCK_STEP, _REASON, fields=again))
        longest_doubt = timedelta(seconds=UNLISTED_S)
        for row in connection.execute(_DOUBTED_TOO_LONG, {"horizon": now + longest_doubt + _TOLERANCE}).mappings():
            dispatch = Dispatch.from_row(row)
            again = {"doubtful_until": now + longest_doubt}
            moves.append(Move(dispatch, dispatch.status, Cause.CLOCK_STEP, _REASON, fields=again))
        move(connection, after, moves, now)
        return len(moves) + self._bring_back_actions(connection, now)

    def _bring_back_actions(self, connection: Connection, now: datetime) -> int:
        """Make actions on callers due that are due later than a lease allows; a call may be under way until then."""
        call = timedelta(seconds=TRANSFER_TIMEOUT_S)
        due = case((caller_actions.c.status == CallerActionStatus.PENDING, now), else_=now + call)
        too_late = caller_actions.c.next_attempt_at > now + call + self._context.lease + _TOLERANCE
        brought_back = update(caller_actions).where(ACTION_IS_LIVE, too_late).values(next_attempt_at=due)
        return connection.execute(brought_back).rowcount

    def _report(self, ahead_s: float) -> None:
        was_off, self._is_off = self._is_off, abs(ahead_s) > CLOCK_OFF_S
        if self._is_off and not was_off:
            where = "ahead of" if ahead_s > 0 else "behind"
            _log.warning(f"the clock of this machine is {abs(ahead_s):.0f} s {where} the database's; set it right")
