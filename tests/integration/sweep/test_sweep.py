"""An outage costs delay, not callers: what the sweep finds and makes good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.lifecycle.doubt import UNLISTED_S
from app.simulator import Behaviour, Fault, FaultKind
from tests.conftest import Database
from tests.simulator import Mishap, Unit
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

INTERVAL = 10.0


@in_virtual_time
async def test_callers_of_an_outage_are_served_at_the_start(database: Database) -> None:
    async with World(database, replicas=0, sweep=INTERVAL) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(3):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(40)  # LiveKit has given up its webhooks
        await world.add_replica()
        await world.until(lambda: len(world.dispatches(status="joined")) == 3, within=2)
        assert {event["source"] for event in world.events(type="participant_joined") if event["phone_number"] is None}
        sources = world.rows("SELECT source FROM events WHERE participant_kind = 'STANDARD'")
        assert {row["source"] for row in sources} == {"sweep"}
        assert world.judge().clean
        assert world.usher.metric("usher_swept_in_total", project="default") == 3
        # They joined before this Usher listened: no reason to doubt the webhooks.
        assert world.usher.metric("usher_webhooks_silent", project="default") == 0


@pytest.mark.parametrize("webhooks_are_lost", [True, False])
@in_virtual_time
async def test_a_participant_of_an_unknown_kind_gets_its_agent_and_costs_no_sweep(
    sqlite_database: Database, *, webhooks_are_lost: bool
) -> None:
    async with World(sqlite_database, sweep=INTERVAL) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.wait(1)
        world.simulator.webhook_faults.outage = webhooks_are_lost
        world.simulator.join("new", "hologram", kind="9")
        world.simulator.join("room", "ana")
        await world.until(lambda: world.agents("new") and world.agents("room"), within=INTERVAL + 4)
        await world.wait(2 * INTERVAL)
        assert world.events(participant_identity="hologram")[0]["participant_kind"] == "9"
        assert world.judge().clean


@in_virtual_time
async def test_lost_webhooks_are_repaired_within_an_interval_and_counted(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=INTERVAL) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        await world.wait(1)
        world.simulator.webhook_faults.outage = True
        world.simulator.join("room", "ana")
        await world.until(lambda: world.agents("room"), within=INTERVAL + 4)
        assert world.usher.metric("usher_webhooks_silent", project="default") == 1
        ready = await world.usher.get("/readyz")
        assert ready["database"]["sweeps"]["default"]["webhooks_silent"] is True
        # The agent's own join is lost as well: the next sweep sees it.
        await world.until_status("joined", within=INTERVAL + 4)
        # The alarm stays on while nothing else is heard, and goes with the first webhook.
        await world.wait(2 * INTERVAL)
        assert world.usher.metric("usher_webhooks_silent", project="default") == 1
        world.simulator.webhook_faults.outage = False
        world.simulator.join("other", "bob")
        await world.until(
            lambda: world.usher.metric("usher_webhooks_silent", project="default") == 0, within=INTERVAL + 4
        )
        assert world.judge().clean


@in_virtual_time
async def test_a_webhook_that_comes_after_the_sweep_changes_nothing(database: Database) -> None:
    async with World(database, sweep=5) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.order(Mishap.DELAY, event="participant_joined", identity="ana", seconds=20)
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=15)
        await world.wait(20)
        assert len(world.events(type="participant_joined", participant_identity="ana")) == 1
        assert len(world.simulator.ledger.dispatches) == 1


@in_virtual_time
async def test_a_webhook_on_its_way_is_not_overtaken(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=1) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.order(Mishap.DELAY, event="participant_joined", identity="ana", seconds=2)
        world.simulator.join("room", "ana")
        await world.until_status("joined", within=5)
        assert world.events(participant_identity="ana", type="participant_joined")[0]["source"] == "webhook"


@in_virtual_time
async def test_a_change_after_joining_is_an_event_once_per_change(database: Database) -> None:
    async with World(database, sweep=5) as world:
        world.rule(
            "escalation",
            "supervisor",
            {"event": ["participant_updated"], "participant": {"metadata": {"escalate": [True]}}},
        )
        world.simulator.add_worker("supervisor")
        world.simulator.join("room", "ana", metadata='{"escalate": false}')
        await world.wait(12)
        assert world.events(type="participant_updated") == []
        world.simulator.update("room", "ana", metadata='{"escalate": true}')
        row = await world.until_status("joined", within=8)
        assert json.loads(row["metadata"])["participant"]["metadata"] == {"escalate": True}
        await world.wait(15)
        assert len(world.events(type="participant_updated")) == 1
        world.simulator.update("room", "ana", attributes={"mood": "cross"})
        await world.wait(12)
        changes = world.events(type="participant_updated")
        assert [event["outcome"] for event in changes] == ["planned", "served"]
        assert {event["source"] for event in changes} == {"sweep"}
        assert world.judge().clean


@pytest.mark.parametrize("is_asked_for", [False, True])
@in_virtual_time
async def test_a_phone_that_is_answered_is_a_change_only_for_rules_that_ask_for_it(
    sqlite_database: Database, is_asked_for: bool
) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule("phones", pattern={"participant": {"kind": ["SIP"]}}, priority=9)
        world.rule("changes", "other", {"event": ["participant_updated"], "participant": {"metadata": {"x": [1]}}})
        status: dict[str, Any] = {"attributes": {"sip.callStatus": ["active"]}}
        if is_asked_for:
            world.rule("answered", "listener", {"event": ["participant_updated"], "participant": status})
        world.simulator.add_worker("greeter")
        world.simulator.add_worker("listener")
        phone = {"sip.callStatus": "ringing", "sip.phoneNumber": "+34600", "sip.ruleID": "SDR_1"}
        world.simulator.join("room", "sip_+34600", kind="SIP", attributes=phone)
        await world.until_status("joined")
        world.simulator.update("room", "sip_+34600", attributes={**phone, "sip.callStatus": "active"})
        await world.wait(20)
        changes = world.events(type="participant_updated")
        assert [one["outcome"] for one in changes] == ["planned"] * is_asked_for
        assert len(world.agents("room")) == 1 + is_asked_for


@in_virtual_time
async def test_a_room_whose_name_cannot_be_passed_on_gets_no_agent(sqlite_database: Database) -> None:
    """LiveKit would make another room for it, `a\ufffdb`."""
    async with World(sqlite_database, sweep=2) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.join("a\0b", "ana")
        world.simulator.join("a\ufffdc", "bob")
        await world.wait(10)
        (event,) = world.events(type="participant_joined", participant_identity="ana")
        assert event["outcome"] == "ignored"
        assert "the room's name holds NUL" in event["decision"]
        assert [entry.room for entry in world.simulator.ledger.dispatches] == ["a\ufffdc"]


@in_virtual_time
async def test_what_is_redacted_is_not_a_change(sqlite_database: Database) -> None:
    settings = {"USHER_REDACT": "participant.attributes.sip.phoneNumber,participant.metadata.card"}
    async with World(sqlite_database, sweep=5, settings=settings) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        metadata = json.dumps({"card": "4111-1111", "tier": "gold"})
        world.simulator.join("room", "ana", metadata=metadata, attributes={"sip.phoneNumber": "+34600", "x": "y"})
        await world.wait(20)
        assert world.events(type="participant_updated") == []
        sent = "".join(entry.metadata for entry in world.simulator.ledger.dispatches)
        stored = "".join(str({**row, "body": world.body(row["id"])}) for row in world.events())
        assert "gold" in sent
        assert "gold" in stored
        for secret in ("4111-1111", "+34600"):
            assert secret not in sent + stored


@in_virtual_time
async def test_rooms_that_vanished_without_a_webhook_are_settled(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=INTERVAL) as world:
        world.rule()
        world.rule("absent", "absent", {"room": {"name": ["waiting"]}}, priority=1, answer_timeout_s=60)
        world.simulator.add_worker("greeter")
        world.simulator.join("talking", "ana")
        world.simulator.join("waiting", "bob")
        await world.until_status("joined")
        await world.until_status("dispatched")
        world.simulator.webhook_faults.outage = True
        for room in ("talking", "waiting"):
            world.simulator.finish_room(room)
        within = INTERVAL + UNLISTED_S + 10
        await world.until_status("ended", room_name="talking", within=within)
        await world.until_status("cancelled", room_name="waiting", within=within)


@in_virtual_time
async def test_one_room_that_cannot_be_swept_does_not_keep_the_others(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(6):
            world.simulator.join(f"room-{number}", "ana")
        world.simulator.join("odd", "eva", metadata="a\0b", attributes={"\0": "\0"})
        await world.wait(40)
        world.simulator.faults.script("ListParticipants", *[Fault(FaultKind.REFUSE)] * 3)
        await world.add_replica()
        await world.until(lambda: len(world.dispatches(status="joined")) == 7, within=8)
        assert world.judge().clean


@in_virtual_time
async def test_a_livekit_that_stops_to_answer_ends_the_sweep(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(60):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(40)
        world.simulator.faults.always("ListParticipants", Fault(FaultKind.HANG_BEFORE, seconds=60))
        await world.add_replica()
        await world.until(
            lambda: world.usher.metric("usher_sweeps_total", project="default", outcome="failed"), within=60
        )
        ready = await world.usher.get("/readyz")
        assert "have failed: timed out after" in ready["database"]["sweeps"]["default"]["error"]
        world.simulator.faults.clear()
        await world.until(lambda: len(world.dispatches(status="joined")) == 60, within=70)
        assert world.judge().clean


@in_virtual_time
async def test_a_quiet_call_is_not_asked_about_again_and_again(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(5):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(20)
        before = world.simulator.ledger.counts["ListDispatch"]
        await world.wait(30)
        assert world.simulator.ledger.counts["ListDispatch"] == before
        assert {row["worker_id"] is not None for row in world.dispatches()} == {True}


@in_virtual_time
async def test_an_agent_that_left_without_a_webhook_is_noticed_and_replaced(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule(recover="lost")
        worker = world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.webhook_faults.outage = True
        world.simulator.add_worker("greeter")
        world.simulator.kill_worker(worker)
        await world.until(lambda: len(world.dispatches()) == 2, within=27)
        await world.until_status("joined", within=15)
        assert len(world.agents("room")) == 1


@in_virtual_time
async def test_a_caller_that_joined_just_now_is_checked_again_in_the_same_sweep(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.outage = True
        world.simulator.join("room", "ana")
        await world.wait(0.5)
        await world.add_replica()
        await world.until(lambda: world.agents("room"), within=6)


@in_virtual_time
async def test_many_rooms_are_swept_gently(sqlite_database: Database) -> None:
    rooms = 1000
    async with World(sqlite_database, replicas=0, sweep=60, light=True) as world:
        world.rule("unused", "unused", {"room": {"name": ["none such"]}})
        world.simulator.webhook_faults.outage = True
        for number in range(rooms):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(35)
        began = world.loop.time()
        await world.add_replica()
        await world.until(
            lambda: world.usher.metric("usher_sweeps_total", project="default", outcome="done"), within=rooms / 100
        )
        assert world.loop.time() - began >= (rooms - 1) / 200, "no more than 200 rooms a second"
        assert len(world.events(source="sweep")) == rooms


@in_virtual_time
async def test_rooms_with_unknown_callers_are_swept_first(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        usher = await world.add_replica()
        for number in range(400):
            world.simulator.join(f"served-{number}", f"ana-{number}")
        await world.until(lambda: len(world.dispatches(status="joined")) == 400, within=20)
        await usher.kill()
        for number in range(5):
            world.simulator.join(f"unseen-{number}", "ana")
            world.simulator.join(f"served-{number * 9}", "bob")  # in a room that is known
        await world.wait(40)
        asked = len(world.simulator.ledger.calls)
        await world.add_replica()
        await world.until(lambda: len(world.dispatches(status="joined")) == 405, within=1)
        assert len(world.events(participant_identity="bob")) == 5
        await world.wait(20)
        methods = [call.method for call in world.simulator.ledger.calls[asked:]]
        last_listed = max(number for number, method in enumerate(methods) if method == "ListParticipants")
        assert methods[:30].count("ListParticipants") >= 10
        assert methods.count("ListParticipants") >= 402
        assert "ListDispatch" not in methods[:last_listed] or methods.index("ListDispatch") > 400
        assert world.judge().clean


@in_virtual_time
async def test_a_sweep_under_way_does_not_hold_up_the_end(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60, light=True) as world:
        world.rule("unused", "unused", {"room": {"name": ["none such"]}})
        world.simulator.webhook_faults.outage = True
        for number in range(1000):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(10)
        usher = await world.add_replica()
        await world.until(lambda: len(world.events()) >= 100, within=3)
        began = world.loop.time()
        await usher.stop()
        assert world.loop.time() - began < 1
        # The next start takes up what is left, and does not wait for the one that cannot be there any more.
        await world.add_replica()
        await world.until(lambda: len(world.events()) == 1000, within=10)


@in_virtual_time
async def test_a_sweeper_that_was_killed_is_not_waited_for(sqlite_database: Database) -> None:
    async with World(sqlite_database, replicas=0, sweep=60) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        world.simulator.webhook_faults.outage = True
        for number in range(300):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(10)
        usher = await world.add_replica()
        await world.until(lambda: len(world.events()) >= 50, within=3)
        await usher.kill()
        await world.add_replica()
        await world.until(lambda: len(world.events()) >= 300, within=4)


@in_virtual_time
async def test_while_all_is_well_rooms_are_asked_about_evenly(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=20) as world:
        world.rule()
        world.simulator.add_worker("greeter")
        for number in range(100):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(30)
        asked = len(world.simulator.ledger.calls)
        await world.wait(60)
        times = [call.asked for call in world.simulator.ledger.calls[asked:] if call.method == "ListParticipants"]
        assert 200 <= len(times) <= 400
        busiest = max(sum(1 for other in times if 0 <= other - one < 1) for one in times)
        assert busiest <= 20 + 16, "a hundred rooms in half of twenty seconds are ten a second; never below twenty"


@in_virtual_time
async def test_half_of_all_webhooks_lost_loses_no_caller(sqlite_database: Database) -> None:
    async with World(sqlite_database, sweep=5) as world:
        world.rule(scope="participant")
        world.simulator.add_worker("greeter", Behaviour())
        world.simulator.webhook_faults.by_chance(0.5, Mishap.DROP)
        for number in range(20):
            world.simulator.join(f"room-{number // 2}", f"caller-{number}")
            await world.wait(0.3)
        await world.until(lambda: len(world.dispatches(status="joined")) == 20, within=40)
        await world.wait(10)
        assert world.judge(unit=Unit.PARTICIPANT).clean, world.describe()
