"""Flow 2, before a call that is not immediate: whether session and caller are still there, and no agent yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.db.types import DispatchStatus
from app.flows.context import Context
from app.flows.deliver.settle import Settlement, arrived, is_held, settle
from app.lifecycle.leaving import Withdrawal, callers_gone, room_over
from app.lifecycle.transition import move
from app.livekit.outcome import Accepted
from app.observe.compare import Arrived, CallersGone, Finding, RoomGone, Stray, WrittenDown, compare
from app.observe.intentions import recall
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_store import Move


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a look before a call led to; `send` is the dispatch whose call is still to be made, with a fresh lease."""

    send: Dispatch | None = None
    moves: tuple[Move, ...] = ()
    withdrawal: Withdrawal | None = None
    look: bool = False
    """Whether the room is to be looked at again: whose agent is there is not clear yet."""


def conclude(connection: Connection, context: Context, dispatch: Dispatch, seen: RoomObservation) -> Conclusion:
    """Write what `seen` means for a dispatch that is about to be sent; nothing if it is not held any more."""
    now = context.clock.now()
    intended = recall(connection, seen)
    current = next((one for one in intended.live if one.id == dispatch.id), None)
    if current is None or not is_held(current, dispatch):
        return Conclusion()
    for finding in compare(intended, seen):
        if isinstance(finding, Stray) or finding.dispatch.id != current.id:
            continue  # the look at the room that an inspection makes is for those
        conclusion = _act_upon(connection, context, current, finding, now)
        if conclusion is not None:
            return conclusion
    until = now + context.lease
    fields: dict[str, Any] = {"lease_until": until, "next_attempt_at": until}
    reason = "the caller is waiting"
    if current.must_look:
        fields |= {"must_look": False, "attempts": current.attempts + 1}
        reason = "LiveKit does not have it; sending it"
    again = Move(current, DispatchStatus.SENDING, reason, fields=fields)
    move(connection, [again], now)
    return Conclusion(send=current._replace(reason=reason, **fields), moves=(again,))


def _act_upon(
    connection: Connection, context: Context, current: Dispatch, finding: Finding, now: datetime
) -> Conclusion | None:
    match finding:
        case RoomGone():
            change = room_over(current, "the room is gone, or another session has its name", now)
            move(connection, [change], now)
            return Conclusion(moves=(change,))
        case CallersGone():
            gone, withdrawal = callers_gone(current, now)
            moves = (gone,) if gone is not None else ()
            move(connection, moves, now)
            return Conclusion(moves=moves, withdrawal=withdrawal)
        case Arrived():
            change = arrived(finding, now)
            move(connection, [change], now)
            return Conclusion(moves=(change,), look=True)
        case WrittenDown(livekit_dispatch_id=livekit_dispatch_id) if current.must_look:
            settlement = Settlement(current, Accepted(livekit_dispatch_id, adopted=True), now, now)
            settled = settle(connection, context, [settlement])[0]
            # Its agent may have come before we knew that it is ours.
            return Conclusion(moves=settled.moves, withdrawal=settled.withdrawal, look=True)
        case _:
            return None
