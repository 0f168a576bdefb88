"""An agent that leaves its caller: a failed attempt, a loss, an end, or a hand-over to a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour
from tests.conftest import Database
from tests.simulator.webhook_faults import Mishap
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World


def leave(world: World, identity: str, reason: DisconnectReason, **attributes: str) -> None:
    """Let a participant leave, with these attributes set just before."""
    room = world.simulator.room("room")
    assert room is not None
    room.participants[identity].attributes |= attributes
    world.simulator.leave("room", identity, reason)


@in_virtual_time
async def test_an_agent_that_crashes_at_once_is_a_failed_attempt(database: Database) -> None:
    async with World(database) as world:
        world.rule(max_attempts=2, fallbacks=["reception"], objective_percent=95, objective_s=5)
        world.simulator.add_worker("greeter", Behaviour(leaves_after=0.4))
        world.simulator.add_worker("reception")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined", asked_agent_name="reception")
        assert world.agents("room") == [row["agent_identity"]]
        story = world.story(row["id"])
        assert story.count("joined") == 3
        first, second, third = world.attempts(row["id"])
        assert [one["outcome"] for one in (first, second, third)] == ["left_early", "left_early", "accepted"]
        stay = world.instant(first["left_at"]) - world.instant(first["joined_at"])
        assert 0.3 < stay.total_seconds() < 0.6
        assert first["error_text"].startswith("left after 0.4 s of at least 3 (CLIENT_INITIATED)")
        assert world.usher.metric("usher_left_early_total", agent="greeter") == 2
        assert not world.judge().doubled


@in_virtual_time
async def test_agents_that_never_stay_end_in_a_no_show(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(max_attempts=3, recover="always")
        world.simulator.add_worker("greeter", Behaviour(leaves_after=1.0))
        world.simulator.join("room", "ana")
        row = await world.until_status("no_show", within=15)
        assert row["joined_at"] is None
        assert row["cause"] == "agent_left_early"
        await world.wait(10)
        assert len(world.simulator.ledger.dispatches) == 3


@pytest.mark.parametrize("min_stay_s", [0, 1])
@in_virtual_time
async def test_the_rule_says_how_long_is_long_enough(sqlite_database: Database, min_stay_s: int) -> None:
    async with World(sqlite_database) as world:
        world.rule(min_stay_s=min_stay_s)
        world.simulator.add_worker("greeter", Behaviour(leaves_after=1.2))
        world.simulator.join("room", "ana")
        row = await world.until_status("ended")
        assert row["joined_at"] is not None
        await world.wait(5)
        assert len(world.simulator.ledger.dispatches) == 1


@pytest.mark.parametrize("stay", [0.5, 10.0])
@pytest.mark.parametrize("recover", ["never", "lost", "always"])
@in_virtual_time
async def test_an_agent_that_is_done_is_not_replaced(sqlite_database: Database, recover: str, stay: float) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover=recover)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(stay)
        leave(world, row["agent_identity"], DisconnectReason.CLIENT_INITIATED, **{"usher.done": "resolved"})
        await world.wait(10)
        (row,) = world.dispatches()
        assert (row["status"], row["joined_at"] is not None) == ("ended", True)
        assert "it was done" in row["reason"]
        assert world.attempts(row["id"])[0]["outcome"] == "accepted"


def metadata_sent(world: World) -> list[dict[str, Any]]:
    """Return the metadata of LiveKit's dispatches, in the order in which they were made."""
    return [json.loads(row["metadata"]) for row in world.dispatches()]


@in_virtual_time
async def test_a_replacement_gets_previous_with_the_agent_it_replaces(database: Database) -> None:
    async with World(database) as world:
        world.rule(recover="lost")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana", metadata='{"language": "es"}')
        row = await world.until_status("joined")
        assert "previous" not in metadata_sent(world)[0]
        world.database.execute("UPDATE routing_rules SET metadata = '\"edited since\"'")
        await world.wait(10)
        leave(world, row["agent_identity"], DisconnectReason.AGENT_ERROR, **{"usher.context": '{"topic": "invoice"}'})
        await world.until(lambda: len(world.dispatches()) == 2)
        await world.until_status("joined")
        first, second = metadata_sent(world)
        previous = second.pop("previous")
        assert second == first
        assert previous.pop("joined_at") < previous.pop("left_at")
        assert previous == {
            "agent_name": "greeter",
            "cause": "lost",
            "attempt": 1,
            "context": {"topic": "invoice"},
        }
        room = world.simulator.room("room")
        assert room is not None
        sent = [one.metadata for one in room.dispatches.values() if one.agent_name]
        assert "previous" in json.loads(sent[-1])


@in_virtual_time
async def test_a_later_attempt_gets_previous_with_the_one_before(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        template = '{"was": {"$eval": "previous"}}'
        world.rule(answer_timeout_s=7, max_attempts=2, fallbacks=["reception"], metadata=template)
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        assert metadata_sent(world) == [{"was": None}]
        await world.until(lambda: metadata_sent(world)[0]["was"] is not None, within=10)
        assert metadata_sent(world)[0]["was"] == {
            "agent_name": "greeter",
            "cause": "no_show",
            "attempt": 1,
            "joined_at": None,
            "left_at": None,
            "context": None,
        }
        world.simulator.add_worker("reception", Behaviour(leaves_after=0.5))
        await world.until_status("joined", asked_agent_name="reception", within=20)
        assert (metadata_sent(world)[0]["was"]["attempt"], metadata_sent(world)[0]["was"]["cause"]) == (2, "no_show")


@in_virtual_time
async def test_an_agent_that_was_with_the_caller_is_named_rather_than_one_that_did_not_join(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="lost", answer_timeout_s=7)
        worker = world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(5)
        worker.full_until = float("inf")
        leave(world, row["agent_identity"], DisconnectReason.CONNECTION_TIMEOUT)
        await world.until(lambda: len(world.dispatches()) == 2)
        second = world.dispatches()[1]["id"]
        await world.until(lambda: len(world.attempts(second)) == 2, within=20)
        previous = metadata_sent(world)[1]["previous"]
        assert (previous["cause"], previous["attempt"]) == ("lost", 1)


@pytest.mark.parametrize(
    ("reason", "recover", "is_replaced"),
    [
        (DisconnectReason.CLIENT_INITIATED, "lost", False),
        (DisconnectReason.CLIENT_INITIATED, "always", True),
        (DisconnectReason.CONNECTION_TIMEOUT, "never", False),
        (DisconnectReason.CONNECTION_TIMEOUT, "lost", True),
        (DisconnectReason.AGENT_ERROR, "lost", True),
        (DisconnectReason.AGENT_ERROR, "always", True),
        (DisconnectReason.PARTICIPANT_REMOVED, "always", False),
    ],
)
@in_virtual_time
async def test_which_agents_are_replaced(
    sqlite_database: Database, reason: DisconnectReason, recover: str, is_replaced: bool
) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover=recover)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(10)
        leave(world, row["agent_identity"], reason)
        await world.wait(5)
        assert [one["status"] for one in world.dispatches()] == ["ended"] + ["joined"] * is_replaced
        assert len(world.agents("room")) == is_replaced


@pytest.mark.parametrize("reason", [DisconnectReason.CLIENT_INITIATED, DisconnectReason.CONNECTION_TIMEOUT])
@in_virtual_time
async def test_a_caller_who_was_handed_to_a_person_is_left_to_them(
    sqlite_database: Database, reason: DisconnectReason
) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern={"participant": {"identity": ["ana"]}}, recover="always")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(20)
        world.simulator.join("room", "sue")
        await world.wait(1)
        leave(world, row["agent_identity"], reason)
        await world.wait(10)
        (row,) = world.dispatches()
        assert "somebody else is there for the caller" in row["reason"]
        assert world.agents("room") == []


@in_virtual_time
async def test_a_phone_that_was_dialled_is_a_person(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(recover="always", scope="participant")
        world.simulator.join("room", "phone", kind="SIP", attributes={"sip.callStatus": "active"})
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        await world.wait(5)
        leave(world, row["agent_identity"], DisconnectReason.CONNECTION_TIMEOUT)
        await world.wait(5)
        assert [one["status"] for one in world.dispatches()] == ["ended"]


@in_virtual_time
async def test_a_person_who_left_again_does_not_keep_the_agent_from_being_replaced(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern={"participant": {"identity": ["ana"]}}, recover="lost")
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        row = await world.until_status("joined")
        world.simulator.join("room", "sue")
        await world.wait(5)
        world.simulator.leave("room", "sue")
        await world.wait(5)
        leave(world, row["agent_identity"], DisconnectReason.CONNECTION_TIMEOUT)
        await world.until(lambda: len(world.dispatches(status="joined")) == 1, within=5)


@in_virtual_time
async def test_the_dispatch_of_an_agent_that_left_is_deleted_at_livekit(sqlite_database: Database) -> None:
    """Else an agent of a fixed identity would be taken for the one before it."""
    async with World(sqlite_database, sweep=5) as world:
        world.rule(recover="lost")
        worker = world.simulator.add_worker("greeter", Behaviour(identity="receptionist-{room}"))
        world.simulator.join("room", "ana")
        first = await world.until_status("joined")
        await world.wait(20)
        world.simulator.add_worker("greeter", Behaviour(identity="receptionist-{room}"))
        world.simulator.kill_worker(worker)
        await world.until_status("ended", within=25)
        second = await world.until_status("joined", within=2)
        await world.wait(12)
        room = world.simulator.room("room")
        assert room is not None
        listed = [one.id for one in room.dispatches.values() if one.agent_name]
        assert listed == [second["livekit_dispatch_id"]] != [first["livekit_dispatch_id"]]
        assert world.story(second["id"]) == ["pending", "sending", "dispatched", "joined"]
        assert len(world.agents("room")) == 1


@pytest.mark.parametrize(
    ("columns", "says", "outcome"),
    [
        ({"min_stay_s": 3}, {"usher.done": "1"}, "it was done"),
        ({"min_stay_s": 0, "recover": "lost"}, {}, "CLIENT_INITIATED"),
        ({"min_stay_s": 0, "recover": "always"}, {}, "somebody else is there"),
    ],
)
@in_virtual_time
async def test_how_an_agent_left_is_known_although_the_webhook_of_its_joining_comes_later(
    database: Database, columns: dict[str, Any], says: dict[str, str], outcome: str
) -> None:
    async with World(database) as world:
        world.rule(pattern={"participant": {"identity": ["ana"]}}, **columns)
        world.simulator.add_worker("greeter", Behaviour(join_after=1.0, leaves_after=0.4, says_on_leaving=says))
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        if columns.get("recover") == "always":
            world.simulator.join("room", "phone", kind="SIP", attributes={"sip.callStatus": "active"})
            await world.wait(0.3)
        world.simulator.webhook_faults.order(Mishap.REORDER, event="participant_joined", room="room")
        row = await world.until_status("ended")
        assert outcome in row["reason"]
        kinds = [one["type"] for one in world.events(participant_kind="AGENT")]
        assert kinds == ["participant_left", "participant_joined"]
        await world.wait(10)
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_a_handover_is_known_although_the_webhook_of_the_agents_joining_comes_later(
    sqlite_database: Database,
) -> None:
    async with World(sqlite_database) as world:
        world.rule(min_stay_s=0)
        says = {"usher.next": "billing", "usher.context": '{"topic": "invoice"}'}
        world.simulator.add_worker("greeter", Behaviour(join_after=1.0, leaves_after=0.4, says_on_leaving=says))
        world.simulator.add_worker("billing")
        world.simulator.join("room", "ana")
        await world.until_status("dispatched")
        world.simulator.webhook_faults.order(Mishap.REORDER, event="participant_joined", room="room")
        row = await world.until_status("joined", agent_name="billing")
        assert row["replaces_kind"] == "handover"
        assert metadata_sent(world)[-1]["previous"]["context"] == {"topic": "invoice"}
        await world.wait(10)
        assert len(world.agents("room")) == 1
