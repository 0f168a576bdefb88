"""A call goes on with another agent: pure decisions about both dispatches of a hand-over.

Warm: the first agent stays until the next one is there (`handed_to` of the first names the dispatch of the next). Cold:
the first has left and named the next. However it goes, one of the two is left with the caller, and of them the one that
has the call holds the intent key, so that no other event of the session asks for another agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from app.db.types import LIVE, Cause, DispatchStatus, ReplacesKind
from app.lifecycle.departure import Departure
from app.outbox.dispatch import BESIDE, Dispatch
from app.outbox.dispatch_factory import ended, ladder_back_to, replacement_of
from app.outbox.move import Move
from app.outbox.states import WAITING
from app.translation import recorded


def next_dispatch(first: Dispatch, agent_name: str, identity: str, reason: str, now: datetime) -> Dispatch:
    """Return the pending dispatch of the agent that the call of `first` is handed over to, with its intent key."""
    return replacement_of(first, identity, now)._replace(
        agent_name=agent_name,
        replaces_kind=ReplacesKind.HANDOVER,
        cause=Cause.HANDOVER,
        reason=reason,
        recoveries=first.recoveries,
        placed_at=None,
        fallbacks=None,
        queue_timeout_s=first.answer_timeout_s if first.queue_timeout_s is None else first.queue_timeout_s,
    )


def dispatch_beside(first: Dispatch, agent_name: str, identity: str, reason: str, now: datetime) -> Dispatch:
    """Return the same while `first` is live: until it has ended, the other has an intent key of its own."""
    return next_dispatch(first, agent_name, identity, reason, now)._replace(intent_key=f"{BESIDE}{first.id}")


def is_beside(dispatch: Dispatch) -> bool:
    """Return whether `dispatch` was to take over from another that has kept the call so far."""
    return dispatch.intent_key.startswith(BESIDE)


def handed_over_by_itself(
    first: Dispatch, departure: Departure, identity: str, now: datetime, *, budget: int
) -> tuple[Move, Dispatch]:
    """Return the end of a dispatch whose agent left and named the next one, and the dispatch of that.

    If the next one fails, agents that had the call before are asked again as far as the `budget` of recoveries allows.
    """
    end_reason = f"the agent has left, and handed over to {departure.next_agent}"
    end = Move(first, DispatchStatus.ENDED, Cause.HANDED_OVER, end_reason, fields=ended(now))
    recoveries = first.recoveries + departure.is_early(first)
    returns = max(0, budget - recoveries)
    reason = f"handed over by {first.agent_to_ask}"
    if not returns:
        reason += f", which is not asked again: {recoveries} replacements were made for this call already"
    after = next_dispatch(first, departure.next_agent, identity, reason, now)
    return end, after._replace(fallbacks=ladder_back_to(first, returns=returns) or None, recoveries=recoveries)


def is_handed_over(first: Dispatch, departure: Departure, *, budget: int) -> bool:
    """Return whether the agent's leaving hands its callers over.

    An agent that left before `min_stay_s` hands over only if it was not lost, and at most `budget` times.
    """
    if not departure.next_agent:
        return False
    return not departure.is_early(first) or not (departure.is_lost or first.recoveries >= budget)


def left_during_handover(first: Dispatch, departure: Departure, now: datetime) -> Move:
    """Return the end of a dispatch whose agent left while the one it is handed over to is on its way."""
    why = f" ({departure.disconnect_reason})" if departure.disconnect_reason else ""
    reason = f"the agent left{why} while the call was handed over"
    return Move(first, DispatchStatus.ENDED, Cause.AGENT_LEFT, reason, fields=ended(now))


def partners_of(moves: Iterable[Move]) -> dict[str, Dispatch]:
    """Return by the id of the other dispatch of its hand-over what these moves ended, or whose agent they brought.

    What counts is how all of them leave a dispatch: an agent may join and leave in one batch.
    """
    found: dict[str, Dispatch] = {}
    before_all: dict[str, Dispatch] = {}
    results: dict[str, Dispatch] = {}
    for one in moves:
        before_all.setdefault(one.dispatch.id, one.dispatch)
        results[one.dispatch.id] = one.result
    for dispatch_id, after in results.items():
        before = before_all[dispatch_id]
        if before.handed_to is not None and before.status in LIVE and after.status not in LIVE:
            found[before.handed_to] = after
        is_next = before.replaces_kind is ReplacesKind.HANDOVER and before.status in WAITING
        if is_next and before.replaces is not None and after.status not in WAITING:
            found[before.replaces] = after
    return found


def moves_of_partners(concerned: Mapping[str, Dispatch], others: Mapping[str, Dispatch], now: datetime) -> list[Move]:
    """Return what follows for the `others` of hand-overs, by the id that `partners_of` gave them."""
    moves = []
    for other_id, one in concerned.items():
        other = others.get(other_id)
        if other is None or other.status not in LIVE:
            continue
        if one.handed_to == other.id:
            moves.append(_take_over(one, other))
        elif other.handed_to == one.id:
            is_there = one.status is DispatchStatus.JOINED
            moves.append(_end_first(other, one, now) if is_there else _keep_first(other, one))
    return moves


def _take_over(first: Dispatch, following: Dispatch) -> Move:
    """Give the next dispatch the place of the first, which has ended, and the first agent as its fallback."""
    fields = {"intent_key": first.intent_key, "fallbacks": ladder_back_to(first)}
    reason = recorded("it has the place of the dispatch that it replaces")
    return Move(following, following.status, following.cause, reason, fields=fields)


def _end_first(first: Dispatch, following: Dispatch, now: datetime) -> Move:
    status = DispatchStatus.ENDED if first.status is DispatchStatus.JOINED else DispatchStatus.CANCELLED
    return Move(first, status, Cause.HANDED_OVER, f"{following.agent_to_ask} has the call", fields=ended(now))


def _keep_first(first: Dispatch, following: Dispatch) -> Move:
    reason = f"{recorded('not handed over')}: {following.reason}"
    return Move(first, first.status, Cause.HANDOVER_FAILED, reason, fields={"handed_to": None})
