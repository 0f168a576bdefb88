"""Who is a caller: who gets an agent, who keeps it in the room, and who is swept in."""

from __future__ import annotations

from typing import Any

import pytest

from app.simulator.entities import Grants
from tests.conftest import Database
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

INTERVAL = 10.0
NUMBERS = {"sip.phoneNumber": "+34911000111", "sip.trunkPhoneNumber": "+15557654321"}
OTHERS: dict[str, dict[str, Any]] = {
    "supervisor": {"grants": Grants(hidden=True)},
    "recorder": {"grants": Grants(hidden=True, recorder=True)},
    "agent": {"grants": Grants(agent=True)},
    "forwarded": {"kind": "SIP", "kind_details": ["FORWARDED"], "attributes": NUMBERS},
    "simulator": {"attributes": {"lk.simulator": "true"}},
    "callee": {"kind": "SIP", "attributes": {**NUMBERS, "sip.callStatus": "dialing"}},
    "avatar": {"kind": "AGENT", "attributes": {"lk.publish_on_behalf": "agent-x"}},
}
ROLES = pytest.mark.parametrize("role", OTHERS)


@ROLES
@pytest.mark.parametrize("webhooks_are_lost", [False, True])
@in_virtual_time
async def test_a_participant_of_another_role_gets_no_agent_and_is_not_swept_in(
    sqlite_database: Database, role: str, *, webhooks_are_lost: bool
) -> None:
    async with World(sqlite_database, sweep=INTERVAL) as world:
        world.rule()
        world.rule("phones", pattern={"participant": {"kind": ["SIP"]}}, scope="participant")
        world.simulator.add_worker("greeter")
        await world.wait(1)
        world.simulator.webhook_faults.outage = webhooks_are_lost
        world.simulator.join("room", "somebody", **OTHERS[role])
        await world.wait(2 * INTERVAL)
        assert world.dispatches() == []
        stored = world.events(type="participant_joined", participant_identity="somebody")
        assert [one["participant_role"] for one in stored] == ([] if webhooks_are_lost else [role])
        assert {one["outcome"] for one in stored} <= {"ignored"}


@ROLES
@in_virtual_time
async def test_a_participant_of_another_role_keeps_no_agent_in_the_room(sqlite_database: Database, role: str) -> None:
    async with World(sqlite_database) as world:
        world.rule(withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.join("room", "somebody", **OTHERS[role])
        await world.wait(1)
        world.simulator.leave("room", "ana")
        await world.until(lambda: not set(world.agents("room")) - {"somebody"}, within=5)


@in_virtual_time
async def test_a_caller_keeps_the_agent_in_the_room(sqlite_database: Database) -> None:
    async with World(sqlite_database) as world:
        world.rule(pattern={"participant": {"identity": ["ana"]}}, withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("room", "ana")
        await world.until_status("joined")
        world.simulator.join("room", "bob")
        await world.wait(1)
        world.simulator.leave("room", "ana")
        await world.wait(5)
        assert world.agents("room")
        world.simulator.leave("room", "bob")
        await world.until(lambda: not world.agents("room"), within=5)


@in_virtual_time
async def test_a_rule_that_names_the_role_is_for_it_also_when_the_webhook_is_lost(database: Database) -> None:
    async with World(database, sweep=INTERVAL) as world:
        pattern = {"participant": {"role": ["callee"], "phone": {"caller": ["+15557654321"]}}}
        world.rule("campaign", pattern=pattern, scope="participant", withdraw=True)
        world.simulator.add_worker("greeter")
        world.simulator.join("told", "first", **OTHERS["callee"])
        await world.until(lambda: world.agents("told"), within=2)
        world.simulator.webhook_faults.outage = True
        world.simulator.join("untold", "second", **OTHERS["callee"])
        world.simulator.join("untold", "watcher", **OTHERS["supervisor"])
        await world.until(lambda: world.agents("untold"), within=INTERVAL + 5)
        assert world.events(participant_identity="watcher") == []
        world.simulator.webhook_faults.outage = False
        world.simulator.leave("told", "first")
        await world.until(lambda: not world.agents("told"), within=5)


@in_virtual_time
async def test_a_rule_for_a_phone_number_matches_inbound_callers_only(database: Database) -> None:
    async with World(database) as world:
        line = {"participant": {"kind": ["SIP"], "phone": {"called": ["+15557654321"]}}}
        world.rule("line", pattern=line, scope="participant")
        world.simulator.add_worker("greeter")
        world.simulator.phones.call_in("in", "+34600111222", "15557654321")
        world.simulator.phones.call_out("out", "callee", "+34911000111", "+15557654321")
        await world.until_status("joined")
        await world.wait(5)
        assert world.dispatch()["room_name"] == "in"
