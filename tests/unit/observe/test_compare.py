"""Compare one observation of a room with what was intended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.db.types import DispatchStatus, Scope
from app.observe.compare import (
    AgentGone,
    Arrived,
    CallersGone,
    Finding,
    Intentions,
    NotOurs,
    NotYetHere,
    PromisedMark,
    RoomGone,
    RoomUnlisted,
    Stray,
    WrittenDown,
    compare,
)
from app.observe.observation import RoomObservation
from app.outbox.dispatch import Dispatch
from tests.world.rows import (
    NOW,
    caller,
    dispatch,
    joined,
    room,
    seen_agent,
    seen_dispatch,
    seen_job,
)

HERE = {"dispatch-1": {"PA_ana"}, "dispatch-2": {"PA_bob"}}


def findings_in(seen: RoomObservation, *live: Dispatch, **known: Any) -> list[Finding]:
    callers = known.pop("callers", {one.id: HERE[one.id] for one in live if one.id in HERE})
    return compare(Intentions(live, callers, **known), seen)


def arrivals(findings: list[Finding]) -> dict[str, str]:
    return {one.dispatch.id: one.agent.identity for one in findings if isinstance(one, Arrived)}


def strays(findings: list[Finding]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.livekit_dispatch_id, one.agent_identities) for one in findings if isinstance(one, Stray)]


class TestRoomsAndCallers:
    def test_another_session_of_the_name_is_another_room(self) -> None:
        (finding,) = findings_in(room(caller(), sid="RM_2"), dispatch())
        assert isinstance(finding, RoomGone)

    @pytest.mark.parametrize(
        ("doubted_s", "is_served", "expected"),
        [
            (None, None, RoomUnlisted),
            (None, False, RoomUnlisted),
            (5, False, RoomUnlisted),
            (0, None, RoomUnlisted),
            (0, True, RoomUnlisted),
            (0, False, RoomGone),
        ],
    )
    def test_a_room_that_is_not_listed_may_be_listed_again(
        self, doubted_s: float | None, is_served: bool | None, expected: type
    ) -> None:
        until = None if doubted_s is None else NOW + timedelta(seconds=doubted_s)
        finding, *_ = findings_in(replace(room(sid=""), is_served=is_served), dispatch(doubtful_until=until))
        assert type(finding) is expected

    def test_a_room_opened_after_the_list_is_not_missing(self) -> None:
        assert findings_in(room(sid=""), dispatch(created_at=NOW + timedelta(seconds=0.1))) == []

    def test_a_caller_who_waited_and_left_is_missing(self) -> None:
        (finding,) = findings_in(room(caller("bob")), dispatch())
        assert isinstance(finding, CallersGone)

    def test_another_caller_that_it_serves_is_enough(self) -> None:
        findings = findings_in(room(caller("bob")), dispatch(), callers={"dispatch-1": {"PA_ana", "PA_bob"}})
        assert not [one for one in findings if isinstance(one, CallersGone)]

    def test_a_participant_that_joined_after_the_list_need_not_be_in_it(self) -> None:
        findings = findings_in(room(), dispatch(), newcomers={"PA_ana"})
        assert not [one for one in findings if isinstance(one, CallersGone)]

    def test_a_dispatch_of_scope_room_misses_no_caller(self) -> None:
        findings = findings_in(room(), dispatch(), callers={})
        assert not [one for one in findings if isinstance(one, CallersGone)]

    def test_with_withdraw_the_agent_goes_after_its_caller_and_is_still_watched(self) -> None:
        listed = [seen_dispatch(1, seen_job("1"))]
        gone = findings_in(room(seen_agent("1"), listed=listed), joined(withdraw=True, worker_id="AW_1"))
        assert [type(one) for one in gone] == [CallersGone]
        both = findings_in(room(listed=listed), joined(withdraw=True))
        assert [type(one) for one in both] == [CallersGone, AgentGone]

    def test_without_withdraw_the_agent_may_stay(self) -> None:
        assert (
            findings_in(room(seen_agent("1"), listed=[seen_dispatch(1, seen_job("1"))]), joined(worker_id="AW_1")) == []
        )


class TestWhoseAgent:
    def test_the_job_list_identifies_the_agent(self) -> None:
        seen = room(
            caller("ana"),
            caller("bob"),
            seen_agent("x"),
            seen_agent("y"),
            listed=[seen_dispatch(1, seen_job("y")), seen_dispatch(2, seen_job("x"))],
        )
        findings = findings_in(seen, dispatch(1), dispatch(2))
        assert arrivals(findings) == {"dispatch-1": "agent-AJ_y", "dispatch-2": "agent-AJ_x"}
        assert {(one.job_id, one.worker_id) for one in findings if isinstance(one, Arrived)} == {
            ("AJ_x", "AW_1"),
            ("AJ_y", "AW_1"),
        }

    def test_an_identity_of_its_own_is_in_the_job(self) -> None:
        agent = seen_agent("1", identity="receptionist")
        listed = [seen_dispatch(1, seen_job("1", participant_identity="receptionist"))]
        assert arrivals(findings_in(room(caller(), agent, listed=listed), dispatch())) == {"dispatch-1": "receptionist"}

    def test_an_agent_puts_out_the_one_of_its_identity_and_takes_nobody_elses_dispatch(self) -> None:
        bot = seen_agent("2", name="expert", identity="bot", age_s=3)
        jobs = [seen_job(one, participant_identity="bot") for one in "12"]
        first = joined(1, agent_identity="bot")
        waiting = dispatch(2, agent_name="expert")
        for its_jobs in ((), (jobs[1],)):  # its job may come on the list later
            listed = [seen_dispatch(1, jobs[0]), seen_dispatch(2, *its_jobs, name="expert")]
            findings = findings_in(room(caller(), caller("bob"), bot, listed=listed), first, waiting)
            assert arrivals(findings) == {"dispatch-2": "bot"}
            assert [one for one in findings if isinstance(one, AgentGone)] == [AgentGone(first, is_displaced=True)]

    @pytest.mark.parametrize(
        ("noted", "joined_after_s", "arrived"),
        [("PA_before", 2.0, True), ("PA_bot", 2.0, True), ("PA_bot", -8.0, False)],
    )
    def test_of_two_agents_of_one_name_and_identity_the_later_is_there(
        self, noted: str, joined_after_s: float, arrived: bool
    ) -> None:
        # The second was asked for 9 s ago; the agent that is there joined after that, or has been there since before.
        bot = seen_agent("2", identity="bot", sid="PA_bot", age_s=9 - joined_after_s)
        asked_at = NOW.timestamp() - 9
        listed = [
            seen_dispatch(2, seen_job("2", participant_identity="bot"), created_at=asked_at),
            seen_dispatch(1, seen_job("1", participant_identity="bot"), created_at=asked_at - 60),
        ]
        first = joined(1, agent_identity="bot", agent_sid=noted, worker_id="AW_1")
        findings = findings_in(room(caller(), caller("bob"), bot, listed=listed), first, dispatch(2))
        assert arrivals(findings) == ({"dispatch-2": "bot"} if arrived else {})
        displaced = [AgentGone(first, is_displaced=True)] if arrived else []
        assert [one for one in findings if isinstance(one, AgentGone)] == displaced

    def test_the_name_identifies_the_agent_while_the_list_is_empty_and_no_other_fits(self) -> None:
        seen = room(caller(), seen_agent("1"), listed=[seen_dispatch(1)])
        assert arrivals(findings_in(seen, dispatch())) == {"dispatch-1": "agent-AJ_1"}

    def test_one_agent_for_two_waiting_dispatches_belongs_to_neither_yet(self) -> None:
        seen = room(caller("ana"), caller("bob"), seen_agent("1"), listed=[seen_dispatch(1), seen_dispatch(2)])
        young = {"dispatched_at": NOW - timedelta(seconds=2)}
        findings = findings_in(seen, dispatch(1, **young), dispatch(2, **young))
        assert arrivals(findings) == {}
        assert [one.certain for one in findings if isinstance(one, NotYetHere)] == [False, False]

    def test_two_agents_for_two_waiting_dispatches_have_both_joined(self) -> None:
        seen = room(
            caller("ana"), caller("bob"), seen_agent("1"), seen_agent("2"), listed=[seen_dispatch(1), seen_dispatch(2)]
        )
        assert len(arrivals(findings_in(seen, dispatch(1), dispatch(2)))) == 2

    def test_an_agent_of_another_client_is_left_alone(self) -> None:
        theirs = seen_dispatch(9, seen_job("9"), mark=None, metadata="theirs")
        findings = findings_in(room(caller(), seen_agent("9"), listed=[theirs, seen_dispatch(1)]), dispatch())
        assert arrivals(findings) == {}
        assert strays(findings) == []

    def test_a_dispatch_that_is_not_listed_has_no_agent_here(self) -> None:
        seen = room(caller(), seen_agent("9"), listed=[seen_dispatch(9, mark=None, metadata="theirs")])
        waiting = dispatch(status=DispatchStatus.SENDING, must_look=True, livekit_dispatch_id=None)
        assert arrivals(findings_in(seen, waiting)) == {}

    def test_an_agent_of_another_caller_is_not_taken_when_no_list_was_asked_for(self) -> None:
        waiting = dispatch(2, status=DispatchStatus.SENDING, livekit_dispatch_id=None)
        findings = findings_in(room(caller("ana"), caller("bob"), seen_agent("1"), listed=None), joined(1), waiting)
        assert arrivals(findings) == {}

    def test_automatic_dispatches_and_deleted_ones_are_nothing_to_us(self) -> None:
        automatic = seen_dispatch(7, seen_job("7"), mark=None, name="")
        deleted = seen_dispatch(1, seen_job("1"), deleted=True)
        findings = findings_in(room(caller(), seen_agent("7", ""), listed=[automatic, deleted]), dispatch())
        assert [type(one) for one in findings] == [NotYetHere]

    def test_on_older_servers_agent_and_metadata_identify_a_dispatch(self) -> None:
        entry = seen_dispatch(5, seen_job("5"), mark=None)
        unknown = dispatch(status=DispatchStatus.SENDING, must_look=True, livekit_dispatch_id=None)
        (written,) = findings_in(room(caller(), listed=[seen_dispatch(5, mark=None)]), unknown)
        assert written == WrittenDown(unknown, "AD_5")
        assert arrivals(findings_in(room(caller(), seen_agent("5"), listed=[entry]), unknown)) == {
            "dispatch-1": "agent-AJ_5"
        }

    def test_equal_metadata_without_a_call_of_ours_proves_nothing(self) -> None:
        fresh = dispatch(status=DispatchStatus.PENDING, attempts=0, livekit_dispatch_id=None)
        findings = findings_in(room(caller(), listed=[seen_dispatch(5, mark=None)]), fresh)
        assert not [one for one in findings if isinstance(one, WrittenDown)]

    def test_the_list_corrects_what_the_name_said(self) -> None:
        seen = room(caller(), seen_agent("1"), seen_agent("2"), listed=[seen_dispatch(1, seen_job("2"))])
        assert arrivals(findings_in(seen, joined(1, "1"))) == {"dispatch-1": "agent-AJ_2"}

    def test_an_agent_of_another_dispatch_is_returned_to_it(self) -> None:
        theirs = seen_dispatch(9, seen_job("1"), mark=None, metadata="theirs")
        (finding,) = findings_in(room(caller(), seen_agent("1"), listed=[theirs, seen_dispatch(1)]), joined(1, "1"))
        assert isinstance(finding, NotOurs)

    def test_the_list_confirms_once(self) -> None:
        seen = room(caller(), seen_agent("1"), listed=[seen_dispatch(1, seen_job("1"))])
        (finding,) = findings_in(seen, joined(1, "1"))
        assert isinstance(finding, Arrived)
        assert finding.worker_id == "AW_1"
        assert findings_in(seen, joined(1, "1", worker_id="AW_1")) == []

    def test_an_agent_that_reconnected_is_the_same(self) -> None:
        seen = room(caller(), seen_agent("1", sid="PA_new"), listed=[])
        (finding,) = findings_in(seen, joined(1, "1"))
        assert isinstance(finding, Arrived)
        assert finding.agent.sid == "PA_new"


class TestAbsence:
    @pytest.mark.parametrize(
        ("jobs", "cause", "is_over"),
        [
            ((), "no worker took it", True),
            ((seen_job("1", status="JS_SUCCESS"),), "the worker refused the job or left at once (job AJ_1)", True),
            ((seen_job("1", status="JS_FAILED", error="boom"),), "the job failed: boom (job AJ_1)", True),
            ((seen_job("1"),), "a worker took it and its agent never came (job AJ_1)", False),
        ],
    )
    def test_the_cause_is_named(self, jobs: tuple[Any, ...], cause: str, is_over: bool) -> None:
        (finding,) = findings_in(room(caller(), listed=[seen_dispatch(1, *jobs)]), dispatch())
        assert isinstance(finding, NotYetHere)
        assert (finding.detail, finding.certain, finding.is_over) == (cause, True, is_over)

    def test_an_empty_list_is_no_proof_before_it_can_have_filled(self) -> None:
        young = dispatch(dispatched_at=NOW - timedelta(seconds=2))
        (alone,) = findings_in(room(caller(), listed=[seen_dispatch(1)]), young)
        assert isinstance(alone, NotYetHere)
        assert (alone.certain, alone.is_over) == (True, False)
        nameless = room(caller(), seen_agent("1", ""), listed=[seen_dispatch(1)])
        (unsure,) = findings_in(nameless, young)
        assert isinstance(unsure, NotYetHere)
        assert not unsure.certain

    def test_a_dispatch_that_is_not_listed_any_more_is_no_longer_there(self) -> None:
        (finding,) = findings_in(room(caller(), listed=[]), dispatch())
        assert isinstance(finding, NotYetHere)
        assert finding.certain

    def test_a_missing_agent_has_left_unless_it_joined_after_the_list(self) -> None:
        seen = room(caller(), listed=[seen_dispatch(1)])
        (finding,) = findings_in(seen, joined())
        assert isinstance(finding, AgentGone)
        assert findings_in(seen, joined(joined_at=NOW + timedelta(seconds=0.1))) == []


class TestStrays:
    def test_what_a_settled_dispatch_left_behind_is_withdrawn(self) -> None:
        seen = room(caller(), seen_agent("8"), listed=[seen_dispatch(8, seen_job("8"), mark="cancelled-one")])
        assert strays(findings_in(seen, unwanted={"cancelled-one"})) == [("AD_8", ("agent-AJ_8",))]

    def test_an_earlier_attempt_that_took_effect_late_is_withdrawn(self) -> None:
        seen = room(
            caller(),
            seen_agent("1"),
            seen_agent("2"),
            listed=[seen_dispatch(1, seen_job("1")), seen_dispatch(2, seen_job("2"), mark="dispatch-1")],
        )
        kept = joined(1, "1", worker_id="AW_1")
        assert strays(findings_in(seen, kept)) == [("AD_2", ("agent-AJ_2",))]

    def test_a_second_agent_by_one_dispatch_is_withdrawn_and_the_dispatch_is_kept(self) -> None:
        seen = room(caller(), seen_agent("1"), seen_agent("2"), listed=[seen_dispatch(1, seen_job("1"), seen_job("2"))])
        assert strays(findings_in(seen, joined(1, "1", worker_id="AW_1"))) == [("", ("agent-AJ_2",))]

    def test_an_agent_that_joined_late_is_removed_once_another_is_there(self) -> None:
        seen = room(caller(), seen_agent("1"), seen_agent("late", age_s=7), listed=[seen_dispatch(1, seen_job("1"))])
        kept = joined(1, "1", worker_id="AW_1")
        assert strays(findings_in(seen, kept, given_up={"dispatch-1": {"greeter"}})) == [("", ("agent-AJ_late",))]
        assert strays(findings_in(seen, kept)) == [], "nothing was given up: somebody else's"

    def test_an_agent_that_joined_late_stays_while_it_is_alone(self) -> None:
        seen = room(caller(), seen_agent("late", age_s=7), listed=[seen_dispatch(1)])
        waiting = dispatch(dispatched_at=NOW - timedelta(seconds=1))
        findings = findings_in(seen, waiting, given_up={"dispatch-1": {"greeter"}})
        assert strays(findings) == []
        assert arrivals(findings) == {}, "its name does not tell it from the next one's"

    def test_recent_participants_are_ignored_while_lists_may_be_stale(self) -> None:
        theirs = seen_dispatch(9, mark=None, metadata="theirs")
        seen = room(caller(), seen_agent("1"), seen_agent("9"), listed=[seen_dispatch(1, seen_job("1")), theirs])
        kept = joined(1, "1", worker_id="AW_1")
        assert strays(findings_in(seen, kept, given_up={"dispatch-1": {"greeter"}})) == []

    def test_an_agent_dispatched_for_a_caller_who_left_is_removed(self) -> None:
        seen = room(caller("bob"), seen_agent("late", age_s=7), listed=[])
        assert strays(findings_in(seen, cancelled_agents={"greeter"})) == [("", ("agent-AJ_late",))]
        assert strays(findings_in(seen)) == []


class TestReturning:
    def test_an_agent_that_followed_its_caller_is_kept(self) -> None:
        waiting = dispatch(status=DispatchStatus.PENDING, attempts=0, livekit_dispatch_id=None)
        seen = room(caller(), seen_agent("old"), listed=[])
        assert arrivals(findings_in(seen, waiting, returning={"agent-AJ_old": "ana"})) == {"dispatch-1": "agent-AJ_old"}
        assert arrivals(findings_in(seen, waiting)) == {}

    def test_each_follows_its_own(self) -> None:
        mine = {
            "scope": Scope.PARTICIPANT,
            "status": DispatchStatus.PENDING,
            "attempts": 0,
            "livekit_dispatch_id": None,
        }
        waiting = [dispatch(1, **mine), dispatch(2, participant_identity="bob", **mine)]
        seen = room(caller("ana"), caller("bob"), seen_agent("x"), seen_agent("y"), listed=[])
        findings = findings_in(seen, *waiting, returning={"agent-AJ_x": "bob", "agent-AJ_y": "ana"})
        assert arrivals(findings) == {"dispatch-1": "agent-AJ_y", "dispatch-2": "agent-AJ_x"}

    def test_an_agent_that_comes_back_after_its_replacement_is_removed(self) -> None:
        seen = room(caller(), seen_agent("1"), seen_agent("old"), listed=[seen_dispatch(1, seen_job("1"))])
        kept = joined(1, "1", worker_id="AW_1")
        assert strays(findings_in(seen, kept, returning={"agent-AJ_old": "ana"})) == [("", ("agent-AJ_old",))]


class TestMarksOfTokens:
    """A dispatch that LiveKit launched from a token whose mark is not that of the dispatch which it serves."""

    def token(self, **changes: Any) -> PromisedMark:
        return replace(PromisedMark("promise-7", "greeter", "ana"), **changes)

    def test_it_is_adopted(self) -> None:
        listed = [seen_dispatch(7, mark="promise-7")]
        waiting = dispatch(status=DispatchStatus.SENDING, must_look=True, livekit_dispatch_id=None)
        found = findings_in(room(caller(), listed=listed), waiting, promised=[self.token()])
        assert found == [WrittenDown(waiting, "AD_7")]

    def test_one_that_was_cancelled_in_an_earlier_session_is_adopted_too(self) -> None:
        listed = [seen_dispatch(7, seen_job(), mark="promise-7")]
        seen = room(caller(), seen_agent(), listed=listed)
        found = findings_in(seen, dispatch(), promised=[self.token()], unwanted=["promise-7"])
        assert arrivals(found) == {"dispatch-1": "agent-AJ_1"}
        assert strays(found) == []

    def test_with_scope_room_it_serves_other_callers_of_the_room(self) -> None:
        listed = [seen_dispatch(7, seen_job(), mark="promise-7")]
        seen = room(caller(), seen_agent(), listed=listed)
        assert arrivals(findings_in(seen, dispatch(), promised=[self.token(participant_identity="bob")]))

    @pytest.mark.parametrize(
        "changes",
        [{"participant_identity": "bob"}, {"agent_name": "other"}, {"spent": "AD_7"}],
        ids=lambda changes: next(iter(changes)),
    )
    def test_with_scope_participant_it_serves_no_other_caller(self, changes: dict[str, str]) -> None:
        listed = [seen_dispatch(7, seen_job(), mark="promise-7")]
        seen = room(caller(), seen_agent(), listed=listed)
        alone = dispatch(scope=Scope.PARTICIPANT)
        assert arrivals(findings_in(seen, alone, promised=[self.token(**changes)])) == {}

    def test_of_two_agents_the_one_with_the_conversation_stays(self) -> None:
        own, again = seen_dispatch(1, seen_job("1")), seen_dispatch(7, seen_job("2"), mark="promise-7")
        seen = room(caller(), seen_agent("1", age_s=9), seen_agent("2"), listed=[again, own])
        found = findings_in(seen, joined(worker_id="AW_1"), promised=[self.token()])
        assert strays(found) == [("AD_7", ("agent-AJ_2",))]
        assert arrivals(found) == {}
