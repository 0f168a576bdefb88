"""The comparison of a room takes steps in proportion to the people in it: counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from app import observe
from app.db.types import Scope
from app.observe.compare import Intentions, compare
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from tests.world.rows import caller, dispatch, joined, room, seen_agent, seen_dispatch, seen_job

FOLDER = observe.__path__[0]
FEW, MANY = 40, 160
SLACK = 1.15
"""Beside what grows with the room there is sorting; four times the people are four times the steps, and little more."""


def own(number: int, **changes: Any) -> Dispatch:
    """Return the dispatch of one caller of many."""
    name = f"caller-{number}"
    return dispatch(number, scope=Scope.PARTICIPANT, participant_identity=name, participant_sid=f"PA_{name}", **changes)


def callers_of(live: list[Dispatch]) -> dict[str, set[str]]:
    return {one.id: {one.participant_sid} for one in live}


def all_arrive(people: int) -> tuple[Intentions, RoomObservation]:
    live = [own(number) for number in range(people)]
    present = [caller(f"caller-{number}") for number in range(people)]
    agents = [seen_agent(str(number)) for number in range(people)]
    listed = [seen_dispatch(number, seen_job(str(number))) for number in range(people)]
    return Intentions(live, callers_of(live)), room(*present, *agents, listed=listed)


def none_arrives(people: int) -> tuple[Intentions, RoomObservation]:
    live = [own(number) for number in range(people)]
    present = [caller(f"caller-{number}") for number in range(people)]
    foreign = [seen_agent(f"foreign-{number}", age_s=9) for number in range(people)]
    return Intentions(live, callers_of(live)), room(
        *present, *foreign, listed=[seen_dispatch(n) for n in range(people)]
    )


def all_are_strays(people: int) -> tuple[Intentions, RoomObservation]:
    live = [joined(number, str(number)) for number in range(people)]
    present = [caller(f"caller-{number}") for number in range(people)]
    agents = [seen_agent(str(number)) for number in range(2 * people)]
    listed = [
        seen_dispatch(number, seen_job(str(number)), mark=f"old-{number}") for number in range(people, 2 * people)
    ]
    intended = Intentions(
        live,
        {},
        unwanted={f"old-{number}" for number in range(people, 2 * people)},
        given_up={one.id: {"greeter"} for one in live},
        cancelled_agents={"greeter"},
    )
    return intended, room(*present, *agents, listed=listed)


def all_come_back(people: int) -> tuple[Intentions, RoomObservation]:
    live = [own(number, livekit_dispatch_id=None, attempts=0) for number in range(people)]
    present = [caller(f"caller-{number}") for number in range(people)]
    agents = [seen_agent(str(number)) for number in range(people)]
    returning = {f"agent-AJ_{number}": f"caller-{number}" for number in range(people)}
    return Intentions(live, callers_of(live), returning=returning), room(*present, *agents, listed=())


def steps_of(make: Callable[[int], tuple[Intentions, RoomObservation]], people: int) -> int:
    """Return how many lines of `app.observe` a comparison runs, each turn of a loop counted."""
    intended, seen = make(people)
    steps = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        compare(intended, seen)
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize("make", [all_arrive, none_arrives, all_are_strays, all_come_back])
def test_four_times_the_people_take_four_times_the_steps(
    make: Callable[[int], tuple[Intentions, RoomObservation]],
) -> None:
    few, many = steps_of(make, FEW), steps_of(make, MANY)
    assert few > FEW
    assert many <= few * MANY / FEW * SLACK
