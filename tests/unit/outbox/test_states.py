from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint

from app.db.tables import dispatches
from app.db.types import LIVE, DispatchStatus
from app.outbox import states
from app.outbox.states import REDRIVABLE, TRANSITIONS, WAITING, TransitionError, require_transition

S = DispatchStatus
README = Path(states.__file__).parents[1] / "README.md"

TABLE = """
from \\ to    pending    sending    dispatched joined     ended      no_show    failed     cancelled
(new)        yes        yes        .          .          .          .          yes        yes
pending      .          yes        .          yes        .          yes        .          yes
sending      yes        .          yes        yes        .          .          yes        yes
dispatched   yes        .          .          yes        .          yes        .          yes
joined       yes        .          yes        .          yes        yes        .          .
ended        .          .          .          yes        .          .          .          .
no_show      .          .          .          .          .          .          .          .
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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (S.ENDED, S.PENDING),  # an agent that left is replaced by another dispatch
        (S.JOINED, S.CANCELLED),
        (S.PENDING, S.DISPATCHED),  # without a call
        (S.DISPATCHED, S.SENDING),
        (S.NO_SHOW, S.JOINED),
        (None, S.JOINED),
    ],
)
def test_what_the_table_does_not_allow_is_a_defect(before: DispatchStatus | None, after: DispatchStatus) -> None:
    with pytest.raises(TransitionError, match=f"from {before} to {after}"):
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
    assert {one for one in S if S.JOINED not in TRANSITIONS[one] and one not in LIVE} == REDRIVABLE


EDGE = re.compile(r"^ {4}([a-z])  ([a-z_(), ]+) -> (\w+): \S", re.MULTILINE)


def test_the_diagram_shows_the_transition_table() -> None:
    text = README.read_text("utf-8")
    edges = EDGE.findall(text)
    drawing = text.partition("    a  (new)")[0].rstrip().split("\n\n")[-1]
    assert [letter for letter, _, _ in edges] == list(string.ascii_lowercase[: len(edges)])
    assert [letter for letter, _, _ in edges if not re.search(rf"(?<!\w){letter}(?!\w)", drawing)] == []
    drawn: dict[DispatchStatus | None, set[DispatchStatus]] = {before: set() for before in (None, *S)}
    for _, sources, after in edges:
        for before in sources.split(", "):
            drawn[None if before == "(new)" else S(before)].add(S(after))
    assert drawn == TRANSITIONS
