from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.db.types import Cause, DispatchStatus, Recover, Scope
from app.lifecycle.departure import Departure, depends_on_people
from app.lifecycle.leaving import (
    AgentGone,
    NoCallers,
    Remaining,
    after_agent_gone,
    after_callers_gone,
    agent_gone,
    callers_gone,
    remaining_of,
    room_over,
)
from app.outbox.people import Caller, Other, People
from app.outbox.states import WAITING
from tests.world.rows import NOW, dispatch, joined

NOBODY = Remaining(served=False)
SERVED = Remaining(served=True)
LATE = Remaining(served=False, late=True)
BOTH = Remaining(served=True, late=True, joined_by=True)
PERSON = Remaining(served=True, person=True)

NO, YES, AGAIN = AgentGone.NOT_REPLACED, AgentGone.REPLACED, AgentGone.NEXT_ATTEMPT
FOR_LATE, TO_PERSON = AgentGone.REPLACED_FOR_LATE, AgentGone.LEFT_TO_PERSON

NEVER: Mapping[str, Any] = {"recover": Recover.NEVER}
LOST: Mapping[str, Any] = {"recover": Recover.LOST}
ALWAYS: Mapping[str, Any] = {"recover": Recover.ALWAYS}
WITHDRAW: Mapping[str, Any] = {"withdraw": True}
SENT_AWAY: Mapping[str, Any] = {"is_sent_away": True}
DONE: Mapping[str, Any] = {"is_done": True}
EARLY: Mapping[str, Any] = {"stayed_s": 2.9}
DONE_EARLY: Mapping[str, Any] = {"stayed_s": 0.4, "is_done": True}
LONG: Mapping[str, Any] = {}

LOSSES = ("", "CONNECTION_TIMEOUT", "AGENT_ERROR", "SIGNAL_CLOSE", "SERVER_SHUTDOWN", "A_REASON_OF_TOMORROW", "17")
ROOM_ENDS = ("ROOM_DELETED", "ROOM_CLOSED")
MOVES = ("DUPLICATE_IDENTITY", "MIGRATION")


@pytest.mark.parametrize(
    ("reasons", "rule_and_fate", "how", "remaining", "expected"),
    [
        # lost: with recover
        (LOSSES, NEVER, LONG, SERVED, NO),
        (LOSSES, LOST, LONG, SERVED, YES),
        (LOSSES, ALWAYS, LONG, SERVED, YES),
        (LOSSES, LOST, LONG, NOBODY, NO),
        (LOSSES, LOST, DONE, SERVED, NO),
        (LOSSES, LOST, LONG, PERSON, TO_PERSON),
        (LOSSES, ALWAYS, LONG, PERSON, TO_PERSON),
        (LOSSES, LOST, LONG, BOTH, YES),  # a second caller of the same agent is no person who takes over
        # it left by itself: an end, a hand-over, or an exception in its entrypoint
        (("CLIENT_INITIATED",), NEVER, LONG, SERVED, NO),
        (("CLIENT_INITIATED",), LOST, LONG, SERVED, NO),
        (("CLIENT_INITIATED",), ALWAYS, LONG, SERVED, YES),
        (("CLIENT_INITIATED",), ALWAYS, DONE, SERVED, NO),
        (("CLIENT_INITIATED",), ALWAYS, LONG, NOBODY, NO),
        (("CLIENT_INITIATED",), ALWAYS, LONG, PERSON, TO_PERSON),
        (("CLIENT_INITIATED",), ALWAYS, LONG, BOTH, TO_PERSON),  # who came after it may be the one it handed over to
        # too soon: the attempt has failed, whatever the rule says of `recover`
        ((*LOSSES, "CLIENT_INITIATED"), NEVER, EARLY, SERVED, AGAIN),
        ((*LOSSES, "CLIENT_INITIATED"), LOST, EARLY, SERVED, AGAIN),
        ((*LOSSES, "CLIENT_INITIATED"), ALWAYS, EARLY, BOTH, AGAIN),
        ((*LOSSES, "CLIENT_INITIATED"), ALWAYS, EARLY, PERSON, TO_PERSON),
        ((*LOSSES, "CLIENT_INITIATED"), ALWAYS, EARLY, NOBODY, NO),
        ((*LOSSES, "CLIENT_INITIATED"), ALWAYS, DONE_EARLY, SERVED, NO),
        ((*LOSSES, "CLIENT_INITIATED"), {**ALWAYS, "min_stay_s": 2}, EARLY, SERVED, YES),
        # somebody took it out, the room ended, or it goes on under another SID
        *(
            (("PARTICIPANT_REMOVED", *ROOM_ENDS, *MOVES), rule, how, remaining, NO)
            for rule in (NEVER, LOST, ALWAYS)
            for how in (LONG, EARLY, DONE)
            for remaining in (SERVED, PERSON, BOTH, NOBODY)
        ),
        # its dispatch was deleted as it joined, so LiveKit removes it
        (("PARTICIPANT_REMOVED", "CLIENT_INITIATED"), SENT_AWAY, EARLY, SERVED, YES),
        (("PARTICIPANT_REMOVED", "CLIENT_INITIATED"), SENT_AWAY, LONG, NOBODY, NO),
        (ROOM_ENDS, SENT_AWAY, LONG, SERVED, NO),
        # its callers had left; those who came while it was leaving get another
        ((*LOSSES, "CLIENT_INITIATED"), NEVER, LONG, LATE, FOR_LATE),
        ((*LOSSES, "CLIENT_INITIATED"), NEVER, DONE, LATE, FOR_LATE),
        ((*LOSSES, "CLIENT_INITIATED"), NEVER, EARLY, LATE, FOR_LATE),
        (("PARTICIPANT_REMOVED",), WITHDRAW, LONG, LATE, FOR_LATE),  # we withdrew it
        (("PARTICIPANT_REMOVED",), NEVER, LONG, LATE, NO),  # an operator removed it
        (ROOM_ENDS, WITHDRAW, LONG, LATE, NO),
        (LOSSES, NEVER, LONG, BOTH, FOR_LATE),  # they may have met a dead agent
    ],
)
def test_what_follows_when_an_agent_has_left(
    reasons: Sequence[str],
    rule_and_fate: Mapping[str, Any],
    how: Mapping[str, Any],
    remaining: Remaining,
    expected: AgentGone,
) -> None:
    for reason in reasons:
        one = joined(**{"withdraw": False, **rule_and_fate})
        departure = Departure(reason, **{"stayed_s": 60.0, **how})
        assert agent_gone(one, departure, remaining, budget=3) is expected, reason
        exhausted = agent_gone(one._replace(recoveries=3), departure, remaining, budget=3)
        assert exhausted is (AgentGone.BUDGET_SPENT if expected.is_replaced else expected), reason


@pytest.mark.parametrize("reason", [*LOSSES, "CLIENT_INITIATED", "PARTICIPANT_REMOVED", *ROOM_ENDS, *MOVES])
@pytest.mark.parametrize("rule", [NEVER, LOST, ALWAYS, WITHDRAW, SENT_AWAY])
@pytest.mark.parametrize("how", [LONG, EARLY, DONE, DONE_EARLY])
def test_people_decide_nothing_where_nobody_looks_for_them(
    reason: str, rule: Mapping[str, Any], how: Mapping[str, Any]
) -> None:
    one, departure = joined(**{"withdraw": False, **rule}), Departure(reason, **{"stayed_s": 60.0, **how})
    decisions = {
        (agent_gone(one, departure, alone, budget=3), agent_gone(one, departure, replace(alone, person=True), budget=3))
        for alone in (NOBODY, SERVED, LATE, BOTH)
    }
    if not depends_on_people(one, departure):
        assert all(with_person is without for without, with_person in decisions)


def test_people_are_looked_for_where_they_decide() -> None:
    lost, by_itself = Departure("CONNECTION_TIMEOUT", 60.0), Departure("CLIENT_INITIATED", 60.0)
    assert depends_on_people(joined(**LOST), lost)
    assert depends_on_people(joined(**ALWAYS), by_itself)
    assert depends_on_people(joined(**NEVER), Departure("CLIENT_INITIATED", 0.5))
    assert not depends_on_people(joined(**NEVER), by_itself)


ARRIVAL = NOW - timedelta(seconds=60)
BEFORE, AFTER = ARRIVAL - timedelta(seconds=1), ARRIVAL + timedelta(seconds=1)
COLLEAGUE = Other(AFTER, was_dialled=False)
JUST_NOW = NOW - timedelta(seconds=2)


def person(sid: str, at: datetime, identity: str = "", left_at: datetime | None = None) -> Caller:
    event = "event-1" if sid == "PA_ana" else f"event-{sid}"
    return Caller(sid, identity or sid.removeprefix("PA_"), event, at, left_at)


@pytest.mark.parametrize(
    ("callers", "others", "expected"),
    [
        ([person("PA_ana", BEFORE)], {}, SERVED),
        ([person("PA_ana", BEFORE, left_at=NOW)], {}, NOBODY),
        (None, {}, SERVED),
        ([person("PA_ana", BEFORE)], {"PA_sue": COLLEAGUE}, PERSON),
        ([person("PA_ana", BEFORE)], {"PA_doctor": Other(BEFORE, was_dialled=False)}, SERVED),
        ([person("PA_ana", BEFORE)], {"PA_phone": Other(BEFORE, was_dialled=True)}, PERSON),
        ([person("PA_ana", BEFORE), person("PA_bob", JUST_NOW)], {}, BOTH),
        ([person("PA_ana", BEFORE), person("PA_bob", AFTER)], {}, Remaining(served=True, joined_by=True)),
        ([person("PA_ana", BEFORE, left_at=NOW), person("PA_bob", JUST_NOW)], {}, LATE),
        ([person("PA_ana", BEFORE, left_at=NOW), person("PA_bob", AFTER)], {}, SERVED),
        # a caller who reloaded the page is nobody new
        (
            [person("PA_ana", BEFORE, left_at=NOW), person("PA_bob", BEFORE), person("PA_ana2", AFTER, "ana")],
            {},
            SERVED,
        ),
    ],
)
def test_remaining_callers(callers: Sequence[Caller] | None, others: Mapping[str, Other], expected: Remaining) -> None:
    one = joined(joined_at=ARRIVAL)
    people = People({} if callers is None else {one.id: callers}, {one.session: others})
    assert remaining_of(one, people, NOW) == expected


def test_a_caller_that_is_not_listed_does_not_remain() -> None:
    one = joined(joined_at=ARRIVAL)
    people = People(
        {one.id: [person("PA_ana", BEFORE), person("PA_bob", BEFORE)]},
        {one.session: {"PA_sue": COLLEAGUE}},
    )
    assert remaining_of(one, people, NOW, present={"PA_bob"}) == SERVED
    assert remaining_of(one, people, NOW, present={"PA_sue"}) == Remaining(served=False, person=True)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (AgentGone.NOT_REPLACED, "the agent left (SIGNAL_CLOSE)"),
        (AgentGone.LEFT_TO_PERSON, "somebody else is there for the caller"),
        (AgentGone.BUDGET_SPENT, "2 replacements were made for this call already"),
        (AgentGone.REPLACED, "it is being replaced"),
        (AgentGone.REPLACED_FOR_LATE, "callers who arrived while it was leaving get another"),
    ],
)
def test_the_end_of_a_call_says_whether_the_agent_is_replaced(decision: AgentGone, text: str) -> None:
    move = after_agent_gone(joined(recoveries=2), Departure("SIGNAL_CLOSE", 60.0), decision, NOW)
    assert move.status is DispatchStatus.ENDED
    assert text in move.reason
    assert move.result.ended_at == NOW


@pytest.mark.parametrize(
    ("attempts_before", "fallback", "status", "asked"),
    [
        (0, None, DispatchStatus.PENDING, "greeter"),
        (2, "reception", DispatchStatus.PENDING, "reception"),
        (2, None, DispatchStatus.NO_SHOW, "greeter"),
    ],
)
def test_an_agent_that_left_too_soon_is_followed_as_one_that_did_not_come(
    attempts_before: int, fallback: str | None, status: DispatchStatus, asked: str
) -> None:
    ladder = fallback and [{"agent_name": fallback, "answer_timeout_s": 7, "max_attempts": 1}]
    one = joined(counted_attempts=attempts_before, fallbacks=ladder)
    move = after_agent_gone(one, Departure("CLIENT_INITIATED", 0.4), AgentGone.NEXT_ATTEMPT, NOW)
    assert move.reason.startswith("greeter left after 0.4 s of at least 3 (CLIENT_INITIATED); ")
    after = move.result
    assert (after.status, after.agent_to_ask) == (status, asked)
    assert (after.joined_at, after.agent_sid, after.agent_identity, after.livekit_dispatch_id) == (None,) * 4
    assert (after.next_attempt_at == NOW) == (status is DispatchStatus.PENDING)
    assert (after.cause is Cause.FALLBACK) == (fallback is not None)


@pytest.mark.parametrize(
    ("status", "withdraw", "scope", "expected"),
    [
        *((status, withdraw, Scope.ROOM, NoCallers.CANCEL) for status in sorted(WAITING) for withdraw in (True, False)),
        (DispatchStatus.JOINED, False, Scope.ROOM, NoCallers.KEEP),
        (DispatchStatus.JOINED, False, Scope.PARTICIPANT, NoCallers.KEEP),
        (DispatchStatus.JOINED, True, Scope.ROOM, NoCallers.WITHDRAW_IF_ALONE),
        (DispatchStatus.JOINED, True, Scope.PARTICIPANT, NoCallers.WITHDRAW),
    ],
)
def test_what_follows_when_all_callers_have_left(
    status: DispatchStatus, withdraw: bool, scope: Scope, expected: NoCallers
) -> None:
    one = dispatch(status=status, withdraw=withdraw, scope=scope)
    assert callers_gone(one) is expected
    move, withdrawal = after_callers_gone(one, NOW, NOW)
    assert (move is not None) == (expected is NoCallers.CANCEL)
    assert (withdrawal is not None) == (expected is not NoCallers.KEEP)
    if move is not None:
        assert move.cause is Cause.CALLER_LEFT
    if withdrawal is not None:
        assert withdrawal.only_if_alone == (expected is NoCallers.WITHDRAW_IF_ALONE)


def test_what_livekit_was_never_asked_for_is_not_taken_back() -> None:
    unsent = dispatch(status=DispatchStatus.PENDING, attempts=0, livekit_dispatch_id=None)
    move, withdrawal = after_callers_gone(unsent, NOW, NOW)
    assert move is not None
    assert move.status is DispatchStatus.CANCELLED
    assert withdrawal is None


@pytest.mark.parametrize("status", [*sorted(WAITING), DispatchStatus.JOINED])
def test_a_room_that_is_over_ends_calls_and_cancels_what_waits(status: DispatchStatus) -> None:
    move = room_over(dispatch(status=status), Cause.ROOM_CLOSED, "the room was closed", NOW)
    is_joined = status is DispatchStatus.JOINED
    assert move.status is (DispatchStatus.ENDED if is_joined else DispatchStatus.CANCELLED)
    assert move.result.ended_at == NOW
