"""The judge sees every wrong that can be done to a caller, and no wrong where there is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count

import pytest

from app.simulator.ledger import AgentStay, CallerEntry, DispatchEntry, Ledger
from tests.simulator import Unit, judge

numbers = count(1)


class Story:
    """A ledger received line by line; the room's SID is its name with RM_ before it."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def caller(self, room: str, identity: str = "ana", *, joined: float = 0, left: float | None = None) -> Story:
        sid = f"PA_{next(numbers)}"
        self.ledger.enter_caller(CallerEntry(room, f"RM_{room}", identity, sid, "STANDARD", joined, left))
        return self

    def dispatch(
        self,
        room: str,
        *stays: tuple[float, float | None],
        agent: str = "greeter",
        metadata: object = None,
        created_room: bool = False,
    ) -> Story:
        entry = DispatchEntry(
            number=next(numbers),
            id=f"AD_{next(numbers)}",
            room=room,
            room_sid=f"RM_{room}",
            agent_name=agent,
            metadata="" if metadata is None else json.dumps(metadata),
            attributes={},
            deployment="",
            restart_policy=0,
            request_id="",
            at=datetime(2026, 11, 22, tzinfo=UTC),
            asked=0.0,
            created_room=created_room,
        )
        self.ledger.enter_dispatch(entry)
        for joined, gone in stays:
            stay = AgentStay(f"RM_{room}", "agent", f"PA_{next(numbers)}", "AJ", "AW", joined, gone)
            self.ledger.enter_agent(entry.id, stay)
        return self


def test_a_caller_with_one_agent_is_well_served() -> None:
    verdict = judge(Story().caller("a", joined=1).dispatch("a", (3, None)).ledger)
    assert verdict.clean
    assert (verdict.callers, verdict.served, verdict.longest_wait) == (1, 1, 2)


def test_a_caller_without_an_agent_is_lost() -> None:
    verdict = judge(Story().caller("a").dispatch("a").caller("b").ledger)
    assert verdict.lost == ("a", "b")
    assert not verdict.clean


def test_a_caller_who_left_before_any_agent_joined_gave_up() -> None:
    verdict = judge(Story().caller("a", left=9).ledger)
    assert (verdict.lost, verdict.gave_up, verdict.clean) == ((), 1, True)


def test_two_agents_at_once_are_a_double() -> None:
    verdict = judge(Story().caller("a").dispatch("a", (1, 5)).dispatch("a", (4, None)).ledger)
    assert verdict.doubled == ("a",)
    assert not verdict.clean
    assert str(verdict).startswith("1 callers, 1 served")


@pytest.mark.parametrize(("tolerance", "doubled"), [(0.0, ("a",)), (1.5, ())])
def test_a_short_overlap_of_two_agents_may_be_allowed(tolerance: float, doubled: tuple[str, ...]) -> None:
    story = Story().caller("a").dispatch("a", (1, None)).dispatch("a", (4, 5))
    assert judge(story.ledger, tolerance=tolerance).doubled == doubled


def test_one_agent_after_the_other_is_no_double_but_a_second_dispatch() -> None:
    verdict = judge(Story().caller("a").dispatch("a", (1, 5)).dispatch("a", (5, None)).ledger)
    assert (verdict.doubled, verdict.repeated, verdict.clean) == ((), ("a",), True)


def test_two_different_agents_are_no_double() -> None:
    verdict = judge(Story().caller("a").dispatch("a", (1, None)).dispatch("a", (1, None), agent="scribe").ledger)
    assert (verdict.doubled, verdict.repeated) == ((), ())


def test_two_agents_of_one_dispatch_are_a_double_too() -> None:
    assert judge(Story().caller("a").dispatch("a", (1, None), (2, None)).ledger).doubled == ("a",)


def test_a_caller_who_lost_the_agent_is_alone() -> None:
    verdict = judge(Story().caller("a").dispatch("a", (1, 5)).caller("b", left=7).dispatch("b", (1, 5)).ledger)
    assert (verdict.alone, verdict.lost) == (("a",), ())


def test_a_room_made_by_a_dispatch_is_a_ghost_and_its_agent_unwanted() -> None:
    verdict = judge(Story().dispatch("g", (1, None), created_room=True).ledger)
    assert (verdict.ghosts, verdict.unasked, verdict.clean) == (("g",), ("g",), False)


def test_a_participant_that_should_have_no_agent_is_not_counted_but_its_agent_is() -> None:
    story = Story().caller("a", "bot").dispatch("a", (1, None)).caller("b", "bot")
    verdict = judge(story.ledger, expected=lambda caller: caller.identity != "bot")
    assert (verdict.callers, verdict.lost, verdict.unasked) == (0, (), ("a",))


def test_each_participant_may_have_an_agent_of_their_own() -> None:
    story = Story().caller("a", "ana").caller("a", "bob")
    for identity in ("ana", "bob"):
        story.dispatch("a", (1, None), metadata={"participant": {"identity": identity}})
    verdict = judge(story.ledger, unit=Unit.PARTICIPANT)
    assert verdict.clean
    assert verdict.served == 2
    assert judge(story.ledger, unit=Unit.ROOM).doubled == ("a",)


def test_a_participant_is_lost_or_doubled_by_name() -> None:
    story = Story().caller("a", "ana").caller("a", "bob")
    for _ in range(2):
        story.dispatch("a", (1, None), metadata={"identity": "ana"})
    verdict = judge(story.ledger, unit=Unit.PARTICIPANT)
    assert (verdict.doubled, verdict.lost) == (("a/ana",), ("a/bob",))


@pytest.mark.parametrize("metadata", [None, "text", ["list"], {"participant": 7}, {"identity": 7}])
def test_a_dispatch_that_names_no_caller_is_for_the_only_one_there(metadata: object) -> None:
    alone = Story().caller("a").dispatch("a", (1, None), metadata=metadata)
    assert judge(alone.ledger, unit=Unit.PARTICIPANT).served == 1
    crowd = Story().caller("b", "ana").caller("b", "bob").dispatch("b", (1, None), metadata=metadata)
    verdict = judge(crowd.ledger, unit=Unit.PARTICIPANT)
    assert (verdict.served, verdict.unasked) == (0, ("b",))


def test_a_caller_who_comes_back_to_a_served_room_is_served() -> None:
    verdict = judge(Story().caller("a", left=5).caller("a", joined=6).dispatch("a", (1, None)).ledger)
    assert (verdict.callers, verdict.served, verdict.clean) == (1, 1, True)


def test_an_agent_that_was_there_first_means_no_waiting() -> None:
    assert judge(Story().caller("a", joined=5).dispatch("a", (1, None)).ledger).longest_wait == 0


def test_a_verdict_is_json() -> None:
    received = json.loads(json.dumps(judge(Story().caller("a").ledger).as_json()))
    assert (received["lost"], received["clean"]) == (["a"], False)
