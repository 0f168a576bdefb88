from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.db.types import Cause, DispatchStatus
from app.lifecycle.arrival import (
    NoShow,
    after_no_show,
    agent_seen,
    arrived,
    is_hopeless,
    may_repeat,
    next_after_no_show,
    not_ours,
    repeat_delay,
)
from app.observe.finding import Arrived
from tests.world.rows import NOW, dispatch, seen_agent


def fallback(agent_name: str, *, max_attempts: int = 1) -> dict[str, Any]:
    return {"agent_name": agent_name, "answer_timeout_s": 7, "max_attempts": max_attempts}


RECEPTION = fallback("reception")


@pytest.mark.parametrize(
    ("counted", "max_attempts", "rung", "fallbacks", "expected"),
    [
        (0, 3, 0, [], NoShow.ASK_AGAIN),
        (1, 3, 0, [RECEPTION], NoShow.ASK_AGAIN),
        (2, 3, 0, [], NoShow.GIVE_UP),
        (2, 3, 0, [RECEPTION], NoShow.ASK_FALLBACK),
        (0, 1, 0, [RECEPTION], NoShow.ASK_FALLBACK),
        (2, 3, 0, [fallback("greeter")], NoShow.GIVE_UP),  # the fallback is the agent itself
        (2, 3, 0, [fallback("greeter"), RECEPTION], NoShow.ASK_FALLBACK),
        (0, 3, 1, [fallback("voicemail", max_attempts=2), RECEPTION], NoShow.ASK_AGAIN),
        (1, 3, 1, [fallback("voicemail", max_attempts=2), RECEPTION], NoShow.ASK_FALLBACK),
        (0, 3, 2, [fallback("voicemail"), RECEPTION], NoShow.GIVE_UP),
    ],
)
def test_what_follows_a_no_show(
    counted: int, max_attempts: int, rung: int, fallbacks: list[dict[str, Any]], expected: NoShow
) -> None:
    agent = fallbacks[rung - 1]["agent_name"] if rung else "greeter"
    one = dispatch(
        counted_attempts=counted,
        max_attempts=max_attempts,
        rung=rung,
        fallbacks=fallbacks or None,
        asked_agent_name=agent if rung else None,
    )
    assert next_after_no_show(one) is expected
    move = after_no_show(one, "no worker took it", NOW)
    after = move.result
    assert "no worker took it" in move.reason
    assert after.livekit_dispatch_id is None
    match expected:
        case NoShow.ASK_AGAIN:
            assert (after.status, after.cause) == (DispatchStatus.PENDING, Cause.NO_AGENT)
            assert after.counted_attempts == counted + 1
            assert (after.agent_to_ask, after.rung, after.next_attempt_at) == (agent, rung, NOW)
        case NoShow.ASK_FALLBACK:
            assert (after.status, after.cause) == (DispatchStatus.PENDING, Cause.FALLBACK)
            assert after.counted_attempts == 0
            assert (after.agent_to_ask, after.next_attempt_at) == ("reception", NOW)
            assert (after.is_fallback, after.wait_s, after.attempts_allowed) == (True, 7, 1)
        case NoShow.GIVE_UP:
            assert (after.status, after.cause) == (DispatchStatus.NO_SHOW, Cause.NO_AGENT)
            assert after.ended_at == NOW
            assert after.next_attempt_at is None


@pytest.mark.parametrize(("answer_timeout_s", "is_overdue"), [(60, False), (1, True)])
def test_an_agent_of_another_dispatch_is_given_back(answer_timeout_s: int, is_overdue: bool) -> None:
    taken = dispatch(
        status=DispatchStatus.JOINED,
        agent_sid="PA_1",
        agent_identity="agent-AJ_1",
        joined_at=NOW,
        answer_timeout_s=answer_timeout_s,
    )
    after = not_ours(taken, NOW).result
    assert after.status is DispatchStatus.DISPATCHED
    assert (after.agent_sid, after.agent_identity, after.joined_at) == (None, None, None)
    assert after.answer_deadline is not None
    assert (after.answer_deadline == NOW) == is_overdue


@pytest.mark.parametrize("status", [DispatchStatus.PENDING, DispatchStatus.SENDING, DispatchStatus.DISPATCHED])
def test_a_webhook_and_the_lists_report_the_same_arrival(status: DispatchStatus) -> None:
    waiting = dispatch(status=status, lease_owner="replica", lease_until=NOW, next_attempt_at=NOW)
    by_webhook = arrived(waiting, "agent-AJ_1", "PA_1", "AJ_1", NOW)
    by_list = agent_seen(Arrived(waiting, seen_agent(sid="PA_1"), "AD_1", "AJ_1", None), NOW)
    assert by_webhook.result == by_list.result._replace(reason=by_webhook.reason)
    assert by_webhook.result.status is DispatchStatus.JOINED
    assert by_webhook.result.lease_until is None


def test_what_a_list_adds_does_not_change_when_the_agent_joined() -> None:
    joined_at = NOW - timedelta(seconds=5)
    joined = dispatch(status=DispatchStatus.JOINED, joined_at=joined_at, agent_sid="PA_1", agent_identity="a")
    after = agent_seen(Arrived(joined, seen_agent(identity="a", sid="PA_1"), "AD_1", "AJ_1", "AW_1"), NOW).result
    assert (after.joined_at, after.worker_id) == (joined_at, "AW_1")


@pytest.mark.parametrize(
    ("announced", "was_sent_away", "expected"), [(None, False, False), (NOW, False, True), (None, True, True)]
)
def test_an_agent_whose_dispatch_was_being_deleted_is_noted_as_sent_away(
    announced: datetime | None, was_sent_away: bool, expected: bool
) -> None:
    status = DispatchStatus.JOINED if was_sent_away else DispatchStatus.DISPATCHED
    one = dispatch(status=status, deletion_announced_at=announced, is_sent_away=was_sent_away)
    after = arrived(one, "agent-AJ_1", "PA_1", "AJ_1", NOW).result
    assert (after.is_sent_away, after.deletion_announced_at) == (expected, None)
    assert not_ours(after, NOW).result.deletion_announced_at == (NOW if expected else None)
    assert not not_ours(after, NOW).result.is_sent_away


@pytest.mark.parametrize(("waited", "delay"), [(0, 0), (60, 0), (120, 6), (660, 60), (86_400, 60)])
def test_a_lost_dispatch_is_repeated_the_less_often_the_longer_its_caller_waits(waited: float, delay: float) -> None:
    assert repeat_delay(waited) == delay


@pytest.mark.parametrize(
    ("counted", "asked", "waited", "expected"),
    [
        (1, None, 12.5, False),  # an attempt is left, which counts
        (2, None, 18.75, True),
        (2, None, 38.0, True),
        (2, None, 39.0, False),  # too late for LiveKit's lists to show what came of it
        (0, "reception", 20.0, False),
    ],
)
def test_the_last_attempt_is_repeated_while_the_time_of_all_attempts_lasts(
    counted: int, asked: str | None, waited: float, expected: bool
) -> None:
    fallbacks = [{"agent_name": "reception", "answer_timeout_s": 15, "max_attempts": 1}] if asked else None
    one = dispatch(
        counted_attempts=counted,
        max_attempts=3,
        answer_timeout_s=15,
        asked_agent_name=asked,
        fallbacks=fallbacks,
        rung=1 if asked else 0,
    )
    assert may_repeat(one, waited) is expected
    assert is_hopeless(one, waited) is (expected or (counted < 2 and asked is None))
