"""What follows when an agent arrives, or does not: pure decisions, each with the move that carries it out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, assert_never

from app.db.types import Cause, DispatchStatus
from app.observe.compare import JOB_LIST_LAG_S, Arrived
from app.outbox.dispatch import Dispatch
from app.outbox.dispatch_factory import at_rung, ended
from app.outbox.move import Move
from app.translation import recorded

LONGEST_REPEAT_DELAY_S = 60.0
"""Longest delay of an attempt that is repeated because LiveKit has lost the one before."""
FIRST_CHECK_S = JOB_LIST_LAG_S + 0.25
"""When LiveKit's lists are certain about an agent that has not joined: no worker took the job, or one refused it.

Seen: a phone rang 15.6 s although a worker was there after 8.5 s, since only the answer deadline was waited for.
"""


def arrived(dispatch: Dispatch, identity: str, sid: str, job_id: str | None, joined_at: datetime) -> Move:
    """Return the arrival of an agent that a webhook reported."""
    fields = {**_with_agent(dispatch, identity, sid), "job_id": job_id, "joined_at": joined_at}
    return Move(
        dispatch, DispatchStatus.JOINED, Cause.AGENT_JOINED, recorded("the agent is in the room"), fields=fields
    )


def agent_seen(finding: Arrived, now: datetime) -> Move:
    """Return the arrival of an agent that LiveKit lists; of one that had joined, what the list adds."""
    dispatch = finding.dispatch
    fields = {
        **_with_agent(dispatch, finding.agent.identity, finding.agent.sid),
        "job_id": finding.job_id or dispatch.job_id,
        "worker_id": finding.worker_id or dispatch.worker_id,
        "livekit_dispatch_id": finding.livekit_dispatch_id or dispatch.livekit_dispatch_id,
        "joined_at": dispatch.joined_at or now,
    }
    reason = recorded("the agent is in the room")
    if dispatch.status is DispatchStatus.JOINED:
        reason = f"LiveKit lists {finding.agent.identity} as the agent"
    return Move(dispatch, DispatchStatus.JOINED, Cause.AGENT_JOINED, reason, fields=fields)


def _with_agent(dispatch: Dispatch, identity: str, sid: str) -> dict[str, Any]:
    return {
        "agent_identity": identity,
        "agent_sid": sid,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": None,
        "must_look": False,
        "deletion_announced_at": None,
        "is_sent_away": dispatch.is_sent_away or dispatch.deletion_announced_at is not None,
    }


def not_ours(dispatch: Dispatch, now: datetime) -> Move:
    """Return the move of a dispatch whose agent came by another one back to waiting for its own."""
    deadline = (dispatch.dispatched_at or now) + timedelta(seconds=dispatch.wait_s)
    fields: dict[str, Any] = {
        "agent_identity": None,
        "agent_sid": None,
        "job_id": None,
        "worker_id": None,
        "joined_at": None,
        "is_sent_away": False,
        "deletion_announced_at": now if dispatch.is_sent_away else None,
        "answer_deadline": max(now, deadline),
    }
    reason = f"LiveKit's job list gives {dispatch.agent_identity} to another dispatch; waiting for its own agent"
    return Move(dispatch, DispatchStatus.DISPATCHED, Cause.AGENT_NOT_OURS, reason, fields=fields)


class NoShow(Enum):
    """What follows when an agent did not join by its deadline."""

    ASK_AGAIN = auto()
    ASK_FALLBACK = auto()
    GIVE_UP = auto()


def next_after_no_show(dispatch: Dispatch) -> NoShow:
    """Return what follows an attempt whose agent did not join; this attempt is not counted in `dispatch` yet."""
    if dispatch.counted_attempts + 1 < dispatch.attempts_allowed:
        return NoShow.ASK_AGAIN
    return NoShow.GIVE_UP if next_rung(dispatch) is None else NoShow.ASK_FALLBACK


def next_rung(dispatch: Dispatch) -> int | None:
    """Return the place in `fallbacks`, from 1, of the agent to ask after the present one; None after the last.

    One that is the present agent again is passed over: it did not come just now.
    """
    for place, fallback in enumerate(dispatch.fallbacks or (), start=1):
        if place > dispatch.rung and fallback["agent_name"] != dispatch.agent_to_ask:
            return place
    return None


def time_allowed(dispatch: Dispatch) -> float:
    """Return for how many seconds the rule lets a caller wait for its agent: all attempts with their whole time."""
    return float(dispatch.answer_timeout_s * dispatch.max_attempts)


def may_repeat(dispatch: Dispatch, waited_s: float) -> bool:
    """Return whether the last attempt, if LiveKit has lost it, is made once more without being counted.

    Attempts that LiveKit's lists show to be lost end early. Without this, a caller would be given up after 28 s, with
    the defaults, where a worker that is back after 40 s would serve them.
    """
    is_last = not dispatch.is_fallback and next_after_no_show(dispatch) is NoShow.GIVE_UP
    return is_last and waited_s + FIRST_CHECK_S <= time_allowed(dispatch)


def repeat_delay(waited_s: float) -> float:
    """Return the seconds before an attempt is repeated whose caller has waited so long.

    A rule may allow hours. In the first minute there is none, after 11 minutes a lost dispatch is made every 66 s.
    """
    return min(LONGEST_REPEAT_DELAY_S, max(0.0, (waited_s - 60.0) / 10))


def is_hopeless(dispatch: Dispatch, waited_s: float) -> bool:
    """Return whether an attempt that LiveKit has lost is given up at once, after its caller has waited so long.

    The last one is given up when the time that the rule allows is over, of a fallback at its own deadline.
    """
    if next_after_no_show(dispatch) is not NoShow.GIVE_UP or may_repeat(dispatch, waited_s):
        return True
    return not dispatch.is_fallback and waited_s >= time_allowed(dispatch)


def after_no_show(
    dispatch: Dispatch, finding: str, now: datetime, *, delay_s: float = 0.0, is_repeated: bool = False
) -> Move:
    """Return the move by which `next_after_no_show` is carried out; `finding` says what LiveKit's lists showed.

    `delay_s`: when the next attempt is made, if there is one. `is_repeated`: this one is made again, see `may_repeat`.
    """
    reason = f"{dispatch.agent_to_ask} did not join: {finding}"
    if is_repeated:
        fields = {**_failed(dispatch, now + timedelta(seconds=delay_s)), "counted_attempts": dispatch.counted_attempts}
        return Move(dispatch, DispatchStatus.PENDING, Cause.NO_AGENT, f"{reason}; asking again", fields=fields)
    return _after_failed_attempt(dispatch, Cause.NO_AGENT, reason, now, delay_s=delay_s)


def after_early_leaving(dispatch: Dispatch, finding: str, now: datetime) -> Move:
    """Return the move of a joined dispatch whose agent left too soon: what follows is as after a no-show."""
    move = _after_failed_attempt(dispatch, Cause.AGENT_LEFT_EARLY, f"{dispatch.agent_to_ask} {finding}", now)
    no_agent = ("agent_identity", "agent_sid", "job_id", "worker_id", "joined_at")
    return replace(move, fields={**move.fields, **dict.fromkeys(no_agent), "is_sent_away": False})


def _after_failed_attempt(
    dispatch: Dispatch, cause: Cause, reason: str, now: datetime, *, delay_s: float = 0.0
) -> Move:
    fields = _failed(dispatch, now + timedelta(seconds=delay_s))
    decision = next_after_no_show(dispatch)
    match decision:
        case NoShow.ASK_AGAIN:
            return Move(dispatch, DispatchStatus.PENDING, cause, f"{reason}; asking again", fields=fields)
        case NoShow.ASK_FALLBACK:
            rung = next_rung(dispatch) or 0
            name = (dispatch.fallbacks or ())[rung - 1]["agent_name"]
            fields |= at_rung(dispatch, rung, name)
            reason += f"; asking {name} instead"
            return Move(dispatch, DispatchStatus.PENDING, Cause.FALLBACK, reason, fields=fields)
        case NoShow.GIVE_UP:
            reason += "; no other agent to ask"
            return Move(dispatch, DispatchStatus.NO_SHOW, cause, reason, fields={**fields, **ended(now)})
        case _:
            assert_never(decision)


def _failed(dispatch: Dispatch, next_attempt_at: datetime) -> dict[str, Any]:
    return {
        "counted_attempts": dispatch.counted_attempts + 1,
        "livekit_dispatch_id": None,
        "answer_deadline": None,
        "lease_owner": None,
        "lease_until": None,
        "next_attempt_at": next_attempt_at,
        "deletion_announced_at": None,
    }


def awaited_from(dispatch: Dispatch, instant: datetime) -> dict[str, Any]:
    """Return the columns of a dispatch whose agent has been awaited since `instant`: when LiveKit is checked first."""
    wait = min(float(dispatch.wait_s), FIRST_CHECK_S)
    return {"dispatched_at": instant, "answer_deadline": instant + timedelta(seconds=wait)}
