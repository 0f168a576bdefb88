"""What follows a call whose dispatch changed while it was under way; `test_retry` has what follows one that is held."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.db.types import DispatchStatus
from app.lifecycle.arrival import FIRST_CHECK_S
from app.lifecycle.settling import Settled, Settlement, is_held, settled
from app.livekit.outcome import Accepted, Outcome, Rejected
from app.outbox.dispatch import Dispatch
from tests.world.rows import NOW, dispatch

HELD = dispatch(
    status=DispatchStatus.SENDING,
    livekit_dispatch_id=None,
    lease_owner="replica",
    lease_until=NOW + timedelta(seconds=6),
    dispatched_at=None,
    answer_deadline=None,
)


def result(current: Dispatch, outcome: Outcome | None = None) -> Settled:
    settlement = Settlement(HELD, outcome or Accepted("AD_new"), NOW - timedelta(seconds=1), NOW)
    return settled(settlement, current, now=NOW, timeout_s=2.0, jitter=0.5, is_down=False)


def test_a_call_that_is_held_goes_on_as_its_outcome_says() -> None:
    assert is_held(HELD, HELD)
    after = result(HELD)
    assert after.move is not None
    sent = after.move.result
    assert (sent.status, sent.livekit_dispatch_id) == (DispatchStatus.DISPATCHED, "AD_new")
    assert (sent.dispatched_at, sent.answer_deadline) == (NOW, NOW + timedelta(seconds=FIRST_CHECK_S))
    assert sent.lease_owner is None


@pytest.mark.parametrize(
    "changes",
    [
        {"lease_owner": "another"},
        {"lease_until": NOW + timedelta(seconds=12)},
        {"attempts": 2},
        {"status": DispatchStatus.CANCELLED},
    ],
)
def test_a_call_is_not_held_once_another_has_touched_it(changes: dict[str, Any]) -> None:
    assert not is_held(HELD._replace(**changes), HELD)


@pytest.mark.parametrize(
    ("changes", "noted", "check_room", "is_withdrawn"),
    [
        # the agent came while the answer was on its way: only the id is missing
        ({"status": DispatchStatus.JOINED}, {"livekit_dispatch_id": "AD_new"}, False, False),
        # another replica has sent it again: one of the two is too many
        ({"status": DispatchStatus.DISPATCHED, "livekit_dispatch_id": "AD_2", "attempts": 2}, None, True, False),
        ({"status": DispatchStatus.JOINED, "attempts": 2}, {"livekit_dispatch_id": "AD_new"}, True, False),
        ({"status": DispatchStatus.SENDING, "attempts": 2}, None, True, False),
        # it waits for another attempt: LiveKit is looked at first
        ({"status": DispatchStatus.PENDING}, {"must_look": True}, False, False),
        # no agent is wanted any more
        ({"status": DispatchStatus.CANCELLED}, {"livekit_dispatch_id": "AD_new"}, False, True),
        ({"status": DispatchStatus.FAILED}, {"livekit_dispatch_id": "AD_new"}, False, True),
    ],
)
def test_an_accepted_call_that_is_not_held(
    changes: dict[str, Any], noted: dict[str, Any] | None, check_room: bool, is_withdrawn: bool
) -> None:
    current = HELD._replace(**changes)
    after = result(current)
    assert (None if after.move is None else dict(after.move.fields)) == noted
    if after.move is not None:
        assert after.move.status is current.status
    assert after.check_room == check_room
    assert (after.withdrawal is not None) == is_withdrawn
    if after.withdrawal is not None:
        assert after.withdrawal.livekit_dispatch_id == "AD_new"


def test_a_refused_call_that_is_not_held_changes_nothing() -> None:
    refused = Rejected("not_found", "no such room", permanent=True)
    assert result(HELD._replace(status=DispatchStatus.CANCELLED), refused) == Settled()
