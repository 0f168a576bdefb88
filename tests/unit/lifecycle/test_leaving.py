from __future__ import annotations

import pytest

from app.db.types import Cause, DispatchStatus, Scope
from app.lifecycle.leaving import (
    AgentGone,
    CallersGone,
    RemainingCallers,
    after_agent_gone,
    after_callers_gone,
    agent_gone,
    callers_gone,
    room_over,
)
from app.outbox.states import WAITING
from tests.world.rows import NOW, dispatch

NOBODY = RemainingCallers(any=False, unserved=False)
SERVED = RemainingCallers(any=True, unserved=False)
UNSERVED = RemainingCallers(any=True, unserved=True)
NO, YES, LATE = AgentGone.NOT_REPLACED, AgentGone.REPLACED, AgentGone.REPLACED_FOR_UNSERVED


@pytest.mark.parametrize(
    ("reason", "rule_and_fate", "remaining", "expected"),
    [
        # rule `recover`: an agent that nobody chose to end is replaced while callers are there
        ("", {"recover": True}, SERVED, YES),
        ("CLIENT_INITIATED", {"recover": True}, SERVED, YES),
        ("SIGNAL_CLOSE", {"recover": True}, NOBODY, NO),
        ("PARTICIPANT_REMOVED", {"recover": True}, SERVED, NO),
        ("ROOM_DELETED", {"recover": True}, SERVED, NO),
        ("DUPLICATE_IDENTITY", {"recover": True}, SERVED, NO),
        ("A_REASON_OF_TOMORROW", {"recover": True}, SERVED, YES),
        # without it, it is not
        ("", {}, SERVED, NO),
        ("SIGNAL_CLOSE", {"withdraw": True}, SERVED, NO),
        # its dispatch was deleted as it joined, so LiveKit removes it: replaced whatever the rule says
        ("PARTICIPANT_REMOVED", {"is_sent_away": True}, SERVED, YES),
        ("PARTICIPANT_REMOVED", {"is_sent_away": True}, NOBODY, NO),
        ("ROOM_CLOSED", {"is_sent_away": True}, SERVED, NO),
        # callers who came while it was leaving get another
        ("CLIENT_INITIATED", {}, UNSERVED, LATE),
        ("PARTICIPANT_REMOVED", {}, UNSERVED, NO),  # an operator removed it
        ("PARTICIPANT_REMOVED", {"withdraw": True}, UNSERVED, LATE),  # we withdrew it
        ("ROOM_CLOSED", {"withdraw": True}, UNSERVED, NO),
        ("", {"recover": True}, UNSERVED, YES),
    ],
)
def test_when_an_agent_is_replaced(
    reason: str, rule_and_fate: dict[str, bool], remaining: RemainingCallers, expected: AgentGone
) -> None:
    joined = dispatch(status=DispatchStatus.JOINED, **rule_and_fate)
    assert agent_gone(joined, reason, remaining, budget=3) is expected
    exhausted = joined._replace(recoveries=3)
    assert agent_gone(exhausted, reason, remaining, budget=3) is (NO if expected is NO else AgentGone.BUDGET_SPENT)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (AgentGone.NOT_REPLACED, "the agent left (SIGNAL_CLOSE)"),
        (AgentGone.BUDGET_SPENT, "2 replacements were made for this call already"),
        (AgentGone.REPLACED, "it is being replaced"),
        (AgentGone.REPLACED_FOR_UNSERVED, "callers who arrived while it was leaving get another"),
    ],
)
def test_the_end_of_a_call_says_whether_the_agent_is_replaced(decision: AgentGone, text: str) -> None:
    joined = dispatch(status=DispatchStatus.JOINED, recoveries=2)
    move = after_agent_gone(joined, "SIGNAL_CLOSE", decision, NOW)
    assert move.status is DispatchStatus.ENDED
    assert text in move.reason
    assert move.result.ended_at == NOW
    assert decision.is_replaced == (decision in {AgentGone.REPLACED, AgentGone.REPLACED_FOR_UNSERVED})


@pytest.mark.parametrize(
    ("status", "withdraw", "scope", "expected"),
    [
        *(
            (status, withdraw, Scope.ROOM, CallersGone.CANCEL)
            for status in sorted(WAITING)
            for withdraw in (True, False)
        ),
        (DispatchStatus.JOINED, False, Scope.ROOM, CallersGone.KEEP),
        (DispatchStatus.JOINED, False, Scope.PARTICIPANT, CallersGone.KEEP),
        (DispatchStatus.JOINED, True, Scope.ROOM, CallersGone.WITHDRAW_IF_ALONE),
        (DispatchStatus.JOINED, True, Scope.PARTICIPANT, CallersGone.WITHDRAW),
    ],
)
def test_what_follows_when_all_callers_have_left(
    status: DispatchStatus, withdraw: bool, scope: Scope, expected: CallersGone
) -> None:
    one = dispatch(status=status, withdraw=withdraw, scope=scope)
    assert callers_gone(one) is expected
    move, withdrawal = after_callers_gone(one, NOW)
    assert (move is not None) == (expected is CallersGone.CANCEL)
    assert (withdrawal is not None) == (expected is not CallersGone.KEEP)
    if move is not None:
        assert move.cause is Cause.CALLER_LEFT
    if withdrawal is not None:
        assert withdrawal.only_if_alone == (expected is CallersGone.WITHDRAW_IF_ALONE)


def test_what_livekit_was_never_asked_for_is_not_taken_back() -> None:
    unsent = dispatch(status=DispatchStatus.PENDING, attempts=0, livekit_dispatch_id=None)
    move, withdrawal = after_callers_gone(unsent, NOW)
    assert move is not None
    assert move.status is DispatchStatus.CANCELLED
    assert withdrawal is None


@pytest.mark.parametrize("status", [*sorted(WAITING), DispatchStatus.JOINED])
def test_a_room_that_is_over_ends_calls_and_cancels_what_waits(status: DispatchStatus) -> None:
    move = room_over(dispatch(status=status), Cause.ROOM_CLOSED, "the room was closed", NOW)
    is_joined = status is DispatchStatus.JOINED
    assert move.status is (DispatchStatus.ENDED if is_joined else DispatchStatus.CANCELLED)
    assert move.result.ended_at == NOW
