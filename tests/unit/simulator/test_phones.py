"""Telephone calls: the attributes of both directions, and when a phone stops ringing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.simulator import Behaviour, Timing
from tests.unit.simulator.world import World

RECORDED = Path(__file__).parents[2] / "data" / "webhooks"


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return document


def status(world: World, identity: str) -> str:
    return world.simulator.participant("call", identity).attributes["sip.callStatus"]


async def test_an_inbound_phone_rings_until_an_agent_publishes_audio(world: World) -> None:
    world.simulator.add_worker("silent")
    world.simulator.add_worker("speaking", Behaviour(publishes_after=0.06))
    caller = world.simulator.phones.call_in("call", "+34600111222", "+15557654321", attributes={"team": "support"})
    await world.wait(1)
    joined = next(each.webhook for each in world.receiver.received if each.event == "participant_joined")
    seen = recorded("participant_joined_sip")["participant"]
    mapped = {"sip.lang"}  # of the recorded call's headers
    assert joined["participant"]["attributes"].keys() == seen["attributes"].keys() - mapped
    assert joined["participant"]["attributes"]["sip.callStatus"] == seen["attributes"]["sip.callStatus"] == "ringing"
    assert joined["participant"].keys() == seen.keys() - {"metadata"}
    assert [each.summary for each in world.receiver.received].count(f"track_published {caller.identity}") == 1
    world.dispatch("call", "silent")
    await world.wait(8)
    assert status(world, caller.identity) == "ringing"
    world.dispatch("call", "speaking")
    await world.wait(1)
    assert status(world, caller.identity) == "active"
    world.simulator.phones.hang_up("call", caller.identity)
    await world.settle()
    left = world.receiver.received[-1].webhook["participant"]
    assert (left["attributes"]["sip.callStatus"], left["disconnectReason"]) == ("hangup", "CLIENT_INITIATED")


async def test_hidden_numbers_leave_the_last_four_digits_in_the_name(world: World) -> None:
    caller = world.simulator.phones.call_in("call", "+34600117000", "+15557654321", hide_number=True)
    assert not {"sip.phoneNumber", "sip.trunkPhoneNumber", "sip.hostname"} & caller.attributes.keys()
    assert caller.attributes["sip.ruleID"]
    assert caller.name == "Phone 7000"
    assert "600117" not in caller.identity


async def test_an_outbound_leg_is_there_while_it_dials(world: World) -> None:
    world.simulator.phones.call_out("call", "callee", "+34911000111", "+15557654321", rings_after=1, answers_after=3)
    await world.wait(0.5)
    attributes = world.receiver.received[-1].webhook["participant"]["attributes"]
    seen = recorded("participant_joined_sip_outbound_dialing")["participant"]["attributes"]
    assert attributes.keys() == seen.keys()
    assert attributes["sip.callStatus"] == seen["sip.callStatus"] == "dialing"
    assert "sip.ruleID" not in attributes
    await world.wait(1)
    world.simulator.join("call", "bob")
    await world.wait(1)
    world.simulator.publish_track("call", "bob")
    assert status(world, "callee") == "ringing"
    await world.wait(2)
    assert status(world, "callee") == "active"


async def test_a_busy_callee_rejects_while_it_rings(world: World) -> None:
    world.simulator.phones.call_out("call", "callee", "+34911000111", "+15557654321", busy=True)
    await world.wait(1)
    left = world.receiver.received[-1].webhook["participant"]
    assert (left["attributes"]["sip.callStatus"], left["disconnectReason"]) == ("ringing", "USER_REJECTED")


async def test_a_callee_that_never_answers_goes_on_ringing(world: World) -> None:
    world.simulator.phones.call_out("call", "callee", "+34911000111", "+15557654321", answers_after=None)
    await world.wait(Timing().departure_timeout)
    assert status(world, "callee") == "ringing"
