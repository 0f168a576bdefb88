"""A clock that is set must not make anybody wait, or be believed for a span that never was.

What is due in a future that nobody chose is brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from math import inf
from typing import Any

from sqlalchemy import Connection, bindparam, select

from app.clock import Clock
from app.db.any_of import any_of
from app.db.tables import dispatches, status_in
from app.db.types import DispatchStatus, Timestamp
from app.dispatch.retry import LONGEST_DELAY_S
from app.outbox.dispatch import Dispatch
from app.outbox.store import Move
from app.pipeline.context import Context
from app.pipeline.departure import RETURN_S
from app.pipeline.transition import move

_TOLERANCE = timedelta(seconds=5)
"""What clocks of replicas may differ by, with room to spare."""
_STEP_S = 1.0
"""By how much a clock is set at least, rather than slewed."""
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


class Steadiness:
    """Tells whether the clock has lately been set: the spans it measures are then not to be believed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = self._measure()
        self._set_at = -inf

    def look(self) -> None:
        """Compare the clock with the one that nobody sets; done often, it tells when the other was set."""
        offset = self._measure()
        if abs(offset - self._offset) >= _STEP_S:
            self._set_at = self._clock.monotonic()
        self._offset = offset

    def holds_for(self, seconds: float) -> bool:
        """Return whether the clock was not set within the last `seconds`."""
        self.look()
        return self._clock.monotonic() - self._set_at >= seconds

    def _measure(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class Timekeeper:
    """Compares what is due with the clock. One that is set forward needs no help: leases end, and looks are taken.

    What those looks may conclude, `Steadiness` tells.
    """

    def __init__(self, context: Context, in_hand: Callable[[], Collection[str]]) -> None:
        self._context = context
        self._in_hand = in_hand

    async def run_once(self) -> dict[str, int]:
        """Bring back what is due later than anything can be."""
        in_hand = tuple(self._in_hand())
        return {
            "brought_back": await self._context.writer.run(lambda connection: self._bring_back(connection, in_hand))
        }

    def _bring_back(self, connection: Connection, in_hand: Collection[str]) -> int:
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
            moves.append(Move(dispatch, dispatch.status, _REASON, fields=fields))
        for row in connection.execute(_FROM_THE_FUTURE, {"horizon": now + _TOLERANCE}).mappings():
            dispatch = Dispatch.from_row(row)
            again: dict[str, Any] = {
                "dispatched_at": now,
                "answer_deadline": now + timedelta(seconds=dispatch.answer_timeout_s),
                "lease_until": None,
            }
            moves.append(Move(dispatch, dispatch.status, _REASON, fields=again))
        move(connection, moves, now)
        return len(moves)
