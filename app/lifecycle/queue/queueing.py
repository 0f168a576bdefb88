"""What becomes of a dispatch whose agent or rule has no free place, or whose agent is out of service: pure.

It waits in a queue, has another agent asked, or is given up; each with the move that carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.agents.agent_limits import substitute_of
from app.db.types import Cause, DispatchStatus
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import at_rung, ended
from app.outbox.free_places import Places, Shortage
from app.outbox.move import Move
from app.translation import recorded


@dataclass(frozen=True, slots=True)
class Start:
    """A place is free: ask the agent now."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask another agent, if that has a place: one of the fallbacks, or the substitute of one out of service."""

    agent_name: str
    rung: int
    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait in the queue, at most `until`."""

    until: datetime | None
    reason: str
    cause: Cause = Cause.QUEUED


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The time in the queue is over, and no other agent is left to ask."""

    cause: Cause
    reason: str


Placement = Start | Ask | Wait | GiveUp


def placement(dispatch: Dispatch, places: Places) -> Placement:
    """Return what becomes of a dispatch that holds no place."""
    shortage = places.shortage(dispatch, dispatch.agent_to_ask, dispatch.rung)
    if shortage is None:
        return Start()
    why = places.describe(dispatch, dispatch.agent_to_ask, shortage)
    ends = queue_ends(dispatch, places.now)
    is_over = ends is not None and ends <= places.now
    if shortage is Shortage.OUT_OF_SERVICE:
        substitute = substitute_of(dispatch.agent_to_ask, places.limits, places.now)
        if substitute is not None:
            return Ask(substitute, dispatch.rung, Cause.SUBSTITUTE, f"{why}; asking {substitute} in its place")
        following = _next(dispatch, places, only_free=False)
        if following is None and is_over:
            return GiveUp(Cause.OUT_OF_SERVICE, f"{why}; no other agent to ask")
    elif is_over:
        waited = (places.now - (dispatch.queued_at or places.now)).total_seconds()
        why = f"no place within {waited:.0f} s: {why}"
        following = _next(dispatch, places, only_free=False)
        if following is None:
            return GiveUp(Cause.QUEUE_TIMEOUT, f"{why}; no other agent to ask")
    elif dispatch.is_fallback and shortage is not Shortage.TOO_FAST:
        following = _next(dispatch, places, only_free=True)
    else:
        following = None
    if following is not None:
        name, rung = following
        return Ask(name, rung, Cause.FALLBACK, f"{why}; asking {name} instead")
    if shortage is Shortage.OUT_OF_SERVICE:
        limits = places.limits[dispatch.agent_to_ask]
        back_at = None if limits.is_out_indefinitely else limits.out_of_service_until
        ends = min((one for one in (ends, back_at) if one is not None), default=None)
        return Wait(ends, f"{why}; no other agent to ask", Cause.OUT_OF_SERVICE)
    return Wait(ends, f"{recorded('no free place')}: {why}")


def queue_ends(dispatch: Dispatch, now: datetime) -> datetime | None:
    """Return when the wait in the queue that began, or begins now, is over; None if it has no end."""
    if dispatch.queue_timeout_s is None:
        return None
    return (dispatch.queued_at or now) + timedelta(seconds=dispatch.queue_timeout_s)


def _next(dispatch: Dispatch, places: Places, *, only_free: bool) -> tuple[str, int] | None:
    """Return the fallback to ask next, and its rung: the first with a free place, else the first in service."""
    in_service: tuple[str, int] | None = None
    for rung, fallback in enumerate(dispatch.fallbacks or (), start=1):
        name = fallback["agent_name"]
        if rung <= dispatch.rung or name == dispatch.agent_to_ask:
            continue
        asked = substitute_of(name, places.limits, places.now) or name
        if places.is_out_of_service(asked) or asked == dispatch.agent_to_ask:
            continue
        if places.shortage(dispatch, asked, rung) is None:
            return name, rung
        in_service = in_service or (name, rung)
    return None if only_free else in_service


def asking(dispatch: Dispatch, decision: Ask, now: datetime) -> Move:
    """Return the move to another agent, which is due now."""
    fields: dict[str, Any] = {
        **at_rung(dispatch, decision.rung, decision.agent_name),
        "queued_at": None,
        "next_attempt_at": now,
    }
    return Move(dispatch, DispatchStatus.PENDING, decision.cause, decision.reason, fields=fields)


def queued(dispatch: Dispatch, decision: Wait, now: datetime) -> Move | None:
    """Return the move into the queue; None if the dispatch waits there as it did before."""
    is_waiting = dispatch.queued_at is not None and dispatch.cause is decision.cause
    if is_waiting and dispatch.next_attempt_at == decision.until:
        return None
    fields = {
        "queued_at": dispatch.queued_at or now,
        "placed_at": None,
        "next_attempt_at": decision.until,
        "lease_owner": None,
        "lease_until": None,
    }
    return Move(dispatch, DispatchStatus.PENDING, decision.cause, decision.reason, fields=fields)


def given_up(dispatch: Dispatch, decision: GiveUp, now: datetime) -> Move:
    """Return the end of a dispatch without an agent."""
    return Move(dispatch, DispatchStatus.NO_SHOW, decision.cause, decision.reason, fields=ended(now))
