"""A clock that is set must not make anybody wait, or be believed for a span that never was.

What is due in a future that nobody chose is brought back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from threading import Lock

from sqlalchemy import Connection, bindparam, select

from app.clock import Clock
from app.db.any_of import any_of
from app.db.tables import dispatches, status_in
from app.db.types import Cause, DispatchStatus, Timestamp
from app.flows.context import Context
from app.flows.transactions import Transactions
from app.lifecycle.after_commit import AfterCommit
from app.lifecycle.arrival import awaited_from
from app.lifecycle.presence import RETURN_S
from app.lifecycle.retry import LONGEST_DELAY_S
from app.lifecycle.transition import move
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move

WORTH_WAITING_S = 0.5
"""What must be left of a span, by a clock that nobody sets, for it to be waited for once the other says it is over."""
_TOLERANCE = timedelta(seconds=5)
"""What clocks of replicas may differ by, with room to spare."""
_STEP_S = 1.0
"""By how much a clock is set at least, rather than slewed."""
_SLEWED_S = 0.1
"""By how much a clock may be slewed between the two."""
_REMEMBERED = 64
"""Settings of the clock that are remembered: more than one makes within the longest wait for an answer."""
_REASON = "the clock was set back"

_TOO_LATE = (
    select(dispatches)
    .where(
        status_in(DispatchStatus.PENDING, DispatchStatus.SENDING),
        dispatches.c.next_attempt_at > bindparam("horizon", type_=Timestamp()),
        ~any_of(dispatches.c.id, "in_hand"),
    )
    .with_for_update(skip_locked=True)
)
_FROM_THE_FUTURE = (
    select(dispatches)
    .where(
        status_in(DispatchStatus.DISPATCHED),
        dispatches.c.dispatched_at > bindparam("horizon", type_=Timestamp()),
    )
    .with_for_update(skip_locked=True)
)


class Stopwatch:
    """Tells how long ago an instant really was that the clock gave, although the clock may have been set since.

    It compares the clock with the one that nobody sets, and remembers from when to when they differed by how much.
    Any thread may ask.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        first = _Setting(self._measure(), since=-inf, until=clock.monotonic())
        self._settings = deque([first], maxlen=_REMEMBERED)

    def look(self) -> None:
        """Notice whether the clock was set; to be done often, for it may have been anywhen since the last look."""
        with self._lock:
            self._look()

    def seconds_since(self, instant: datetime) -> float:
        """Return the least number of seconds that can have passed since the clock gave `instant`."""
        given = instant.timestamp()
        with self._lock:
            tick = self._look()
            ticks = (given - setting.offset for setting in self._settings if setting.may_have_given(given))
            return max(0.0, tick - max(ticks, default=given - self._settings[-1].offset))

    def _look(self) -> float:
        tick, offset = self._clock.monotonic(), self._measure()
        latest = self._settings[-1]
        if abs(offset - latest.offset) >= _STEP_S:
            self._settings.append(_Setting(offset, since=latest.until, until=tick))
        else:
            latest.offset = offset
        latest.until = tick
        return tick

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


@dataclass(slots=True)
class _Setting:
    """The clock was `offset` seconds ahead of the monotonic one, at most from tick `since` to tick `until`."""

    offset: float
    since: float
    until: float

    def may_have_given(self, timestamp: float) -> bool:
        return self.since - _SLEWED_S <= timestamp - self.offset <= self.until + _SLEWED_S


class Timekeeper:
    """Compares what is due with the clock.

    One that is set forward needs no help: leases end, looks are taken, and `Stopwatch` tells what to make of them. One
    that is set back by a few seconds only lets calls that are due wait for as much longer.
    """

    def __init__(self, context: Context, transactions: Transactions, in_hand: Callable[[], Collection[str]]) -> None:
        self._context = context
        self._transactions = transactions
        self._in_hand = in_hand

    async def run_once(self) -> dict[str, int]:
        """Bring back what is due later than anything can be."""
        in_hand = tuple(self._in_hand())
        return {
            "brought_back": await self._transactions.run(
                lambda connection, after: self._bring_back(connection, after, in_hand)
            )
        }

    def _bring_back(self, connection: Connection, after: AfterCommit, in_hand: Collection[str]) -> int:
        now = self._context.clock.now()
        call = timedelta(seconds=self._context.settings.request_timeout)
        longest = max(self._context.lease, call, timedelta(seconds=max(1.2 * LONGEST_DELAY_S, RETURN_S)))
        asked = {"horizon": now + longest + _TOLERANCE, "in_hand": in_hand}
        moves = []
        for row in connection.execute(_TOO_LATE, asked).mappings():
            dispatch = Dispatch.from_row(row)
            # Its holder may be alive and in the midst of the call: that is waited out.
            due = now if dispatch.status is DispatchStatus.PENDING else now + call
            fields = {"next_attempt_at": due, "lease_until": due}
            moves.append(Move(dispatch, dispatch.status, Cause.CLOCK_STEP, _REASON, fields=fields))
        for row in connection.execute(_FROM_THE_FUTURE, {"horizon": now + _TOLERANCE}).mappings():
            dispatch = Dispatch.from_row(row)
            again = {**awaited_from(dispatch, now), "lease_until": None}
            moves.append(Move(dispatch, dispatch.status, Cause.CLOCK_STEP, _REASON, fields=again))
        move(connection, after, moves, now)
        return len(moves)
