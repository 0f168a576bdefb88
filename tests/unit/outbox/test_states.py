from __future__ import annotations

import re
from itertools import product

import pytest
from sqlalchemy import CheckConstraint

from app.db.tables import LIVE, dispatches
from app.db.types import DispatchStatus
from app.outbox import states
from app.outbox.states import REDRIVABLE, TRANSITIONS, WAITING, TransitionError, require_transition

S = DispatchStatus

TABLE = """
from \\ to    pending    sending    dispatched joined     ended      no_show    failed     cancelled
(new)        yes        yes        .          .          .          .          yes        .
pending      .          yes        .          yes        .          yes        yes        yes
sending      yes        .          yes        yes        .          yes        yes        yes
dispatched   yes        .          .          yes        .          yes        yes        yes
joined       .          .          yes        .          yes        .          .          .
ended        .          .          .          .          .          .          .          .
no_show      yes        .          .          .          .          .          .          .
failed       yes        .          .          .          .          .          .          .
cancelled    yes        .          .          .          .          .          .          .
"""


def test_the_transition_table() -> None:
    lines = ["from \\ to    " + " ".join(f"{after:10}" for after in S).rstrip()]
    for before in (None, *S):
        cells = " ".join(f"{'yes' if after in TRANSITIONS[before] else '.':10}" for after in S)
        lines.append(f"{before or '(new)':12} {cells}".rstrip())
    print("\n".join(lines))
    assert lines == TABLE.strip("\n").splitlines()


def test_the_check_constraint_allows_the_states_of_the_table_and_no_others() -> None:
    (check,) = [
        str(one.sqltext)
        for one in dispatches.constraints
        if isinstance(one, CheckConstraint) and str(one.name).endswith("status")
    ]
    assert (
        set(re.findall(r"'(\w+)'", check)) == {str(status) for status in S} == {str(one) for one in TRANSITIONS if one}
    )


@pytest.mark.parametrize(("before", "after"), list(product((None, *S), S)))
def test_only_what_the_table_allows_is_let_through(before: DispatchStatus | None, after: DispatchStatus) -> None:
    if after in TRANSITIONS[before]:
        require_transition(before, after)
    else:
        with pytest.raises(TransitionError):
            require_transition(before, after)


def test_every_state_can_be_reached_and_every_live_one_can_end() -> None:
    reached: set[DispatchStatus] = set()
    front = set(TRANSITIONS[None])
    while front:
        reached |= front
        front = {after for one in front for after in TRANSITIONS[one]} - reached
    assert reached == set(S)
    ends = {one for one in S if one not in LIVE}
    for status in LIVE:
        found, front = set(), {status}
        while front:
            found |= front
            front = {after for one in front for after in TRANSITIONS[one]} - found
        assert found & ends


def test_the_sets_of_states_fit_each_other() -> None:
    assert frozenset(LIVE) - {S.JOINED} == WAITING
    assert not REDRIVABLE & set(LIVE)
    assert {one for one in S if S.PENDING in TRANSITIONS[one] and one not in LIVE} == REDRIVABLE


def test_the_diagram_names_every_state() -> None:
    assert states.__doc__ is not None
    for status in S:
        assert status in states.__doc__
