"""Rules that ignore, remove or transfer callers, in virtual time, on both databases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from app.db.types import format_instant
from app.simulator import Behaviour, Fault, FaultKind
from app.simulator.phones import STATUS
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

PHONES = {"participant": {"kind": ["SIP"]}}
DESK = "tel:+34911222333"


def actions(world: World) -> list[Any]:
    return list(world.rows("SELECT * FROM caller_actions ORDER BY id"))


def document(value: Any) -> Any:
    """Return a stored document, which SQLite gives as text."""
    return json.loads(value) if isinstance(value, str) else value


async def ended(world: World, *, within: float = 10.0) -> Any:
    """Return the only action once it is over."""
    await world.until(
        lambda: [one for one in actions(world) if one["ended_at"]], within=within, what="the action is over"
    )
    (row,) = actions(world)
    return row


def calls(world: World, method: str) -> int:
    return sum(call.method == method for call in world.simulator.ledger.calls)


def present(world: World, room: str) -> Sequence[str]:
    found = world.simulator.rooms.find(room)
    return [] if found is None else sorted(found.participants)


@in_virtual_time
async def test_an_ignored_caller_gets_no_agent_and_the_event_names_the_rule(database: Database) -> None:
    # Given a rule that ignores Ana, before one that sends everybody an agent
    async with World(database) as world:
        world.rule("not ana", None, {"participant": {"identity": ["ana"]}}, action="ignore", priority=1)
        world.rule("all")
        world.simulator.add_worker("greeter")

        # When Ana and Bob join
        world.simulator.join("one", "ana")
        world.simulator.join("two", "bob")
        await world.until_status("joined")
        await world.wait(20)

        # Then only Bob has an agent, and Ana's event says why
        assert [row["participant_identity"] for row in world.dispatches()] == ["bob"]
        (event,) = world.events(participant_identity="ana", type="participant_joined")
        assert event["outcome"] == "ignored"
        decision = document(event["decision"])
        assert [(one["rule"], one["action"]) for one in decision["matched"]] == [("not ana", "ignore")]
        assert decision["reason"] == "rule 'not ana' ignores it"
        assert actions(world) == []
        assert present(world, "one") == ["ana"]


@in_virtual_time
async def test_a_caller_is_removed_once_and_on_record(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        ana = world.simulator.join("room", "ana")
        row = await ended(world)
        await world.wait(10)
        assert (row["kind"], row["status"], row["cause"]) == ("remove", "done", "accepted")
        assert (row["participant_sid"], row["rule_name"], row["attempts"]) == (ana.sid, "blocked", 1)
        assert world.story(row["id"]) == ["pending", "sending", "done"]
        assert present(world, "room") == []
        assert (calls(world, "RemoveParticipant"), world.dispatches()) == (1, [])
        (left,) = world.events(type="participant_left")
        assert left["participant_sid"] == ana.sid


@in_virtual_time
async def test_a_phone_call_that_was_answered_is_transferred(database: Database) -> None:
    # Given phones are transferred, and an agent answers them meanwhile
    async with World(database) as world:
        world.rule("moved", None, PHONES, action="transfer", transfer_to=DESK, on_match="continue", priority=1)
        world.rule("all", recover="never")
        world.simulator.add_worker("greeter", Behaviour(publishes_after=0.1))

        # When a phone calls, rings, and is answered
        phone = world.simulator.phones.call_in("room", "+34600111222", "+34911000000")
        row = await ended(world, within=20)

        # Then LiveKit is asked again until it transfers, and the transfer is on record
        assert (row["status"], row["cause"], row["answer"]) == ("done", "accepted", "LiveKit transferred the call")
        assert world.simulator.phones.transfers == [(phone.sid, DESK)]
        assert row["refusals"] == 0
        await world.wait(5)
        assert world.simulator.phones.transfers == [(phone.sid, DESK)]


@in_virtual_time
async def test_a_phone_that_rings_is_not_transferred_before_it_is_answered(database: Database) -> None:
    async with World(database) as world:
        world.rule("moved", None, PHONES, action="transfer", transfer_to=DESK)
        phone = world.simulator.phones.call_in("room", "+34600111222", "+34911000000")
        await world.until(lambda: [one for one in actions(world) if one["cause"] == "not_answered"])
        await world.wait(60)
        (row,) = actions(world)
        assert (row["status"], row["cause"], row["refusals"]) == ("pending", "not_answered", 0)
        world.simulator.phones.hang_up("room", phone.identity)
        row = await ended(world)
        assert (row["status"], row["cause"]) == ("cancelled", "caller_left")
        assert world.simulator.phones.transfers == []


@in_virtual_time
async def test_a_caller_who_is_no_phone_is_not_transferred_and_the_reason_is_on_record(database: Database) -> None:
    async with World(database) as world:
        world.rule("moved", None, action="transfer", transfer_to=DESK)
        world.simulator.join("room", "ana")
        row = await ended(world)
        await world.wait(5)
        assert (row["status"], row["cause"]) == ("failed", "no_phone_call")
        assert "only phone calls" in row["reason"]
        assert (calls(world, "TransferSIPParticipant"), present(world, "room")) == (0, ["ana"])


@in_virtual_time
async def test_a_transfer_that_the_other_side_refuses_is_tried_three_times(database: Database) -> None:
    async with World(database) as world:
        world.rule("moved", None, PHONES, action="transfer", transfer_to=DESK)
        world.simulator.phones.busy.add(DESK)
        phone = world.simulator.join("room", "sip_1", kind="SIP", attributes={STATUS: "active", "sip.ruleID": "SDR_1"})
        row = await ended(world, within=60)
        assert (row["status"], row["cause"], row["refusals"]) == ("failed", "refused", 3)
        assert "486" in row["answer"]
        assert world.simulator.phones.transfers == [(phone.sid, DESK)] * 3
        assert present(world, "room") == ["sip_1"]


@pytest.mark.parametrize("on_no_show", ["remove", "transfer"])
@in_virtual_time
async def test_callers_of_a_no_show_are_removed_or_transferred(database: Database, on_no_show: str) -> None:
    # Given a rule whose agent nobody runs
    async with World(database) as world:
        world.rule("all", answer_timeout_s=5, max_attempts=1, on_no_show=on_no_show, transfer_to=DESK)

        # When a phone calls that was answered by the trunk
        attributes = {STATUS: "active", "sip.ruleID": "SDR_1"}
        phone = world.simulator.join("room", "sip_1", kind="SIP", attributes=attributes)
        dispatch = await world.until_status("no_show", within=30)
        row = await ended(world, within=30)

        # Then its caller is removed or transferred, and the dispatch stays a no-show
        assert (row["kind"], row["status"], row["dispatch_id"]) == (on_no_show, "done", dispatch["id"])
        await world.until(lambda: not present(world, "room"))
        await world.wait(5)
        assert world.simulator.phones.transfers == ([(phone.sid, DESK)] if on_no_show == "transfer" else [])
        assert world.dispatch()["status"] == "no_show"


@in_virtual_time
async def test_a_caller_whom_another_agent_serves_is_not_removed(database: Database) -> None:
    async with World(database) as world:
        world.rule("first", "absent", on_match="continue", on_no_show="remove", answer_timeout_s=3, max_attempts=1)
        world.rule("second", "greeter", priority=200)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("no_show", within=30)
        await world.wait(10)
        assert actions(world) == []
        assert "ana" in present(world, "room")


@in_virtual_time
async def test_the_last_of_several_dispatches_to_fail_decides_for_the_first(database: Database) -> None:
    async with World(database) as world:
        world.rule("first", "absent", on_match="continue", on_no_show="remove", answer_timeout_s=3, max_attempts=1)
        world.rule("second", "absent too", priority=200, answer_timeout_s=20, max_attempts=1)
        world.simulator.join("room", "ana")
        await world.until(lambda: len(world.dispatches(status="no_show")) == 2, within=60)
        row = await ended(world)
        assert (row["kind"], row["status"], row["rule_name"]) == ("remove", "done", "first")


@in_virtual_time
async def test_after_a_redrive_the_rule_as_it_is_then_says_what_becomes_of_the_caller(database: Database) -> None:
    # Given a caller whose agent did not join, and whose transfer the other side has refused
    async with World(database) as world:
        columns = {"answer_timeout_s": 3, "max_attempts": 1, "on_no_show": "transfer", "transfer_to": DESK}
        world.rule("all", "greeter", PHONES, **columns)
        world.simulator.phones.busy.add(DESK)
        attributes = {STATUS: "active", "sip.ruleID": "SDR_1"}
        phone = world.simulator.join("room", "sip_1", kind="SIP", attributes=attributes)
        first = await world.until_status("no_show", within=30)
        refused = await ended(world, within=90)
        assert (refused["status"], refused["dispatch_id"]) == ("failed", first["id"])
        transfers = len(world.simulator.phones.transfers)

        # When the rule says `wait` from now on, and the dispatch is redriven, and again no agent joins
        world.database.execute("UPDATE routing_rules SET on_no_show = 'wait', transfer_to = NULL")
        world.simulator.join("other", "eva")  # the next webhook brings the edited book
        await world.until(lambda: world.events(participant_identity="eva", type="participant_joined"))
        assert not (await world.usher.orchestrator.operations.redrive([first["id"]], "maria")).refused
        await world.until(lambda: len(world.dispatches(status="no_show")) == 2, within=30)
        await world.wait(20)

        # Then the caller is left alone
        assert len(actions(world)) == 1
        assert world.simulator.phones.transfers == [(phone.sid, DESK)] * transfers


@in_virtual_time
async def test_callers_of_a_dispatch_that_cannot_be_rendered_are_removed(database: Database) -> None:
    async with World(database) as world:
        world.rule("all", metadata={"$eval": "participant.nothing"}, on_no_show="remove")
        world.simulator.join("room", "ana")
        row = await ended(world)
        assert world.dispatch()["status"] == "failed"
        assert (row["kind"], row["status"], row["dispatch_id"]) == ("remove", "done", world.dispatch()["id"])


@in_virtual_time
async def test_a_removal_whose_answer_was_lost_is_looked_into_and_not_repeated(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.faults.script("RemoveParticipant", Fault(FaultKind.RESET_AFTER))
        world.simulator.join("room", "ana")
        row = await ended(world, within=30)
        assert (row["status"], row["cause"], row["attempts"]) == ("done", "caller_gone", 1)
        assert calls(world, "RemoveParticipant") == 1


@in_virtual_time
async def test_a_removal_that_got_lost_is_made_again(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.faults.script("RemoveParticipant", Fault(FaultKind.RESET_BEFORE), Fault(FaultKind.REFUSE))
        world.simulator.join("room", "ana")
        row = await ended(world, within=30)
        assert (row["status"], row["cause"], row["attempts"]) == ("done", "accepted", 3)
        assert present(world, "room") == []


@in_virtual_time
async def test_a_caller_who_returned_under_its_identity_is_not_removed_for_the_stay_before(database: Database) -> None:
    # Given the removal of Ana gets no answer, and had no effect
    async with World(database) as world:
        world.rule("blocked", None, {"participant": {"metadata": {"v": [1]}}}, action="remove")
        world.simulator.faults.script("RemoveParticipant", Fault(FaultKind.HANG_BEFORE, seconds=30))
        world.simulator.join("room", "ana", metadata='{"v": 1}')
        await world.until(lambda: calls(world, "RemoveParticipant"))

        # When she leaves and returns as somebody who is not blocked
        world.simulator.leave("room", "ana")
        await world.wait(0.5)
        back = world.simulator.join("room", "ana", metadata='{"v": 2}')
        row = await ended(world, within=30)
        await world.wait(30)

        # Then she stays
        assert row["status"] in {"done", "cancelled"}
        assert calls(world, "RemoveParticipant") == 1
        found = world.simulator.rooms.find("room")
        assert found is not None
        assert found.participants["ana"] is back


@in_virtual_time
async def test_a_transfer_whose_answer_was_lost_is_not_made_twice(database: Database) -> None:
    async with World(database) as world:
        world.rule("moved", None, PHONES, action="transfer", transfer_to=DESK)
        world.simulator.faults.script("TransferSIPParticipant", Fault(FaultKind.RESET_AFTER))
        world.simulator.join("room", "sip_1", kind="SIP", attributes={STATUS: "active", "sip.ruleID": "SDR_1"})
        row = await ended(world, within=120)
        assert (row["status"], row["cause"], row["attempts"]) == ("done", "caller_gone", 1)
        assert len(world.simulator.phones.transfers) == 1


@in_virtual_time
async def test_an_action_goes_on_in_another_replica_when_its_sender_is_killed(postgres_database: Database) -> None:
    # Given two replicas, and LiveKit that does not answer the removal
    async with World(postgres_database, replicas=2) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.faults.script("RemoveParticipant", Fault(FaultKind.HANG_AFTER, seconds=60))
        world.simulator.join("room", "ana")
        await world.until(lambda: calls(world, "RemoveParticipant"))

        # When the one that asks is killed in the middle of the call
        (row,) = actions(world)
        (sender,) = [one for one in world.replicas if one.orchestrator.context.owner == row["lease_owner"]]
        await sender.kill()
        row = await ended(world, within=60)

        # Then the other finds out that the caller is gone
        assert (row["status"], row["cause"]) == ("done", "caller_gone")
        assert calls(world, "RemoveParticipant") == 1


@in_virtual_time
async def test_an_action_waits_for_a_livekit_that_is_down_and_not_for_a_caller_who_left(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.faults.always("ListParticipants", Fault(FaultKind.RESET_BEFORE))
        world.simulator.join("room", "ana")
        await world.until(lambda: [one for one in actions(world) if one["cause"] == "livekit_unreachable"])
        world.simulator.leave("room", "ana")
        await world.wait(5)
        world.simulator.faults.clear()
        row = await ended(world, within=60)
        assert (row["status"], row["cause"], row["attempts"]) == ("cancelled", "caller_left", 0)


@in_virtual_time
async def test_metrics_count_actions_by_outcome(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.join("room", "ana")
        await ended(world)
        metrics = world.usher.orchestrator.context.metrics.registry
        labels = {"action": "remove", "outcome": "done"}
        assert metrics.get_sample_value("usher_caller_actions_total", labels) == 1.0


@in_virtual_time
async def test_an_action_that_a_clock_set_back_moved_into_the_future_is_done_now(database: Database) -> None:
    async with World(database) as world:
        world.rule("blocked", None, action="remove")
        world.simulator.faults.always("ListParticipants", Fault(FaultKind.RESET_BEFORE))
        world.simulator.join("room", "ana")
        await world.until(lambda: [one for one in actions(world) if one["cause"] == "livekit_unreachable"])
        world.simulator.faults.clear()
        later = format_instant(world.clock.now() + timedelta(hours=1))
        database.execute("UPDATE caller_actions SET next_attempt_at = :later", later=later)
        row = await ended(world, within=20)
        assert (row["status"], row["cause"]) == ("done", "accepted")
