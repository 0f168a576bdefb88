"""Webhooks go out as LiveKit sends them: signed, in order per room, retried a little, then dropped."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import jwt
import pytest
from livekit import api

from app.simulator.webhooks import Answer, WebhookFacts
from tests.simulator import Mishap, Simulator
from tests.unit.simulator.world import Received, World


async def test_a_webhook_is_signed_as_the_sdk_wants_it(world: World) -> None:
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    joined = world.receiver.received[-1]
    token = joined.headers["Authorization"]
    assert joined.headers["Content-Type"] == "application/webhook+json"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == world.simulator.key
    assert claims["exp"] - claims["nbf"] == timedelta(minutes=5).total_seconds()
    # The world's time stands still in the past or future; only the lifetime must not be checked against ours.
    verified = jwt.decode(
        token, world.simulator.secret, algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False}
    )
    assert verified["sha256"]


async def test_the_sdks_receiver_accepts_it_in_real_time() -> None:
    received: list[tuple[str, str]] = []

    async def post(url: str, body: bytes, headers: object) -> Answer:  # noqa: ARG001 - the poster's signature
        assert isinstance(headers, dict)
        received.append((body.decode(), headers["Authorization"]))
        return Answer(200)

    simulator = Simulator(webhook_urls=["http://receiver.test/"], post=post)
    simulator.rooms.open("lobby")
    await simulator.webhooks.drained()
    verifier = api.WebhookReceiver(api.TokenVerifier(simulator.key, simulator.secret))
    event = verifier.receive(*received[0])
    assert (event.event, event.room.name) == ("room_started", "lobby")
    await simulator.webhooks.stop()


async def test_the_webhooks_of_a_room_keep_their_order_while_another_room_goes_on(world: World) -> None:
    world.receiver.gates["slow"] = asyncio.Event()
    for room in ("slow", "quick"):
        world.simulator.join(room, "ana")
        world.simulator.join(room, "bob")
    await world.wait(1)
    assert world.receiver.summaries("slow") == ["room_started"]
    assert world.receiver.summaries("quick") == ["room_started", "participant_joined ana", "participant_joined bob"]
    world.receiver.gates["slow"].set()
    await world.settle()
    assert world.receiver.summaries("slow") == ["room_started", "participant_joined ana", "participant_joined bob"]


@pytest.mark.parametrize("status", [0, 429, 500, 502, 503, 504])
async def test_a_refused_webhook_is_tried_five_times_and_then_given_up(world: World, status: int) -> None:
    world.receiver.answer = lambda _: Answer(status)
    world.simulator.rooms.open("lobby")
    await world.wait(40)
    assert [later.at - earlier.at for earlier, later in pairwise(world.receiver.received)] == [1, 2, 4, 8]
    assert len({(each.body, each.headers["Authorization"]) for each in world.receiver.received}) == 1
    [sending] = world.simulator.webhooks.sent
    assert (sending.outcome, sending.tries, sending.status) == ("failed", 5, status)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 413, 501])
async def test_any_other_answer_counts_as_sent(world: World, status: int) -> None:
    world.receiver.answer = lambda _: Answer(status)
    world.simulator.rooms.open("lobby")
    await world.wait(40)
    assert len(world.receiver.received) == 1
    assert world.simulator.webhooks.sent[0].outcome == "delivered"


@pytest.mark.parametrize(("status", "waits"), [(429, 5), (503, 5), (500, 1)])
async def test_retry_after_is_obeyed_on_429_and_503_only(world: World, status: int, waits: float) -> None:
    world.receiver.answer = lambda _: Answer(status if len(world.receiver.received) == 1 else 200, retry_after=5)
    world.simulator.rooms.open("lobby")
    await world.wait(10)
    first, second = world.receiver.received
    assert second.at - first.at == waits


async def test_what_waited_more_than_thirty_seconds_is_dropped(world: World) -> None:
    world.receiver.gates["lobby"] = asyncio.Event()
    world.simulator.join("lobby", "ana")
    await world.wait(25)
    world.simulator.join("lobby", "bob")
    await world.wait(10)
    world.receiver.gates["lobby"].set()
    await world.settle()
    assert world.receiver.summaries() == ["room_started", "participant_joined bob"]
    assert [each.outcome for each in world.simulator.webhooks.sent] == ["delivered", "dropped: too old", "delivered"]


async def test_beyond_two_hundred_waiting_the_newest_are_dropped(world: World) -> None:
    world.receiver.gates["lobby"] = asyncio.Event()
    for number in range(210):
        world.simulator.join("lobby", f"p{number}")
    await world.wait(1)
    outcomes = [each.outcome for each in world.simulator.webhooks.sent]
    assert outcomes.count("dropped: queue full") == 10
    assert set(outcomes[-10:]) == {"dropped: queue full"}


async def test_every_receiver_gets_each_webhook() -> None:
    world = World(webhook_urls=["http://one.test/", "http://two.test/"])
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    for receiver in ("http://one.test/", "http://two.test/"):
        received = [each.summary for each in world.receiver.received if each.url == receiver]
        assert received == ["room_started", "participant_joined ana"]
    assert set(world.receiver.tries().values()) == {2}


async def test_without_a_receiver_nothing_is_kept() -> None:
    world = World(webhook_urls=[])
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    assert not world.simulator.webhooks.sent


# Faults


async def received_with(world: World, mishap: Mishap, seconds: float = 0.0) -> list[str]:
    world.simulator.webhook_faults.order(mishap, event="participant_joined", identity="ana", seconds=seconds)
    world.simulator.join("lobby", "ana")
    world.simulator.join("lobby", "bob")
    await world.wait(10)
    return world.receiver.summaries("lobby")


async def test_a_webhook_can_be_lost(world: World) -> None:
    assert await received_with(world, Mishap.DROP) == ["room_started", "participant_joined bob"]


async def test_a_webhook_can_come_twice_with_one_id(world: World) -> None:
    received = await received_with(world, Mishap.DUPLICATE, seconds=5)
    assert received == ["room_started", "participant_joined ana", "participant_joined bob", "participant_joined ana"]
    assert sorted(world.receiver.tries().values()) == [1, 1, 2]


async def test_a_webhook_can_be_late(world: World) -> None:
    received = await received_with(world, Mishap.DELAY, seconds=5)
    assert received == ["room_started", "participant_joined bob", "participant_joined ana"]
    assert 5 < world.receiver.received[-1].at < 6


async def test_a_webhook_can_be_overtaken(world: World) -> None:
    received = await received_with(world, Mishap.REORDER)
    assert received == ["room_started", "participant_joined bob", "participant_joined ana"]


async def test_a_webhook_that_nothing_overtakes_comes_all_the_same(world: World) -> None:
    world.simulator.webhook_faults.order(Mishap.REORDER, event="participant_joined")
    world.simulator.join("lobby", "ana")
    await world.wait(0.5)
    assert world.receiver.summaries() == ["room_started"]
    await world.wait(1)
    assert world.receiver.summaries() == ["room_started", "participant_joined ana"]


async def test_an_outage_loses_everything_until_it_is_over(world: World) -> None:
    faults = world.simulator.webhook_faults
    faults.outage = True
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    faults.clear()
    world.simulator.join("lobby", "bob")
    await world.wait(1)
    assert world.receiver.summaries() == ["participant_joined bob"]


async def test_random_faults_are_the_same_for_the_same_seed() -> None:
    async def lost() -> list[str]:
        world = World()
        world.simulator.webhook_faults.by_chance(0.5, Mishap.DROP)
        for number in range(40):
            world.simulator.join(f"room-{number}", "ana")
        await world.wait(1)
        return world.receiver.summaries()

    first, second = await lost(), await lost()
    assert first == second
    assert 20 < len(first) < 60


async def test_a_stopped_server_forgets_what_waits(world: World) -> None:
    world.receiver.gates["lobby"] = asyncio.Event()
    world.simulator.join("lobby", "ana")
    await world.wait(1)
    await world.simulator.webhooks.stop()
    world.receiver.gates["lobby"].set()
    await world.wait(1)
    assert world.receiver.summaries() == ["room_started"]


def test_only_the_first_matching_order_applies() -> None:
    faults = Simulator().webhook_faults
    faults.order(Mishap.DROP, room="a", times=2)
    faults.order(Mishap.DUPLICATE, times=None)
    in_a, in_b = WebhookFacts("participant_joined", "a", "x"), WebhookFacts("participant_joined", "b", "x")
    assert [faults.next(each) for each in (in_a, in_b, in_a, in_a)] == [
        (Mishap.DROP, 0.0),
        (Mishap.DUPLICATE, 0.0),
        (Mishap.DROP, 0.0),
        (Mishap.DUPLICATE, 0.0),
    ]


def test_scripted_faults_follow_one_by_one_after_those_on_request() -> None:
    faults = Simulator().webhook_faults
    faults.script((Mishap.DROP, 0.0), None, (Mishap.DELAY, 2.0), (Mishap.DROP, 0.0))
    faults.order(Mishap.DUPLICATE, room="a")
    in_a, in_b = WebhookFacts("participant_joined", "a", "x"), WebhookFacts("participant_joined", "b", "x")
    assert [faults.next(each) for each in (in_b, in_a, in_b, in_b)] == [
        (Mishap.DROP, 0.0),
        (Mishap.DUPLICATE, 0.0),
        None,
        (Mishap.DELAY, 2.0),
    ]
    faults.clear()
    assert faults.next(in_b) is None


def test_what_was_received_names_event_and_identity() -> None:
    body = b'{"event":"participant_left","room":{"name":"r"},"participant":{"identity":"x"}}'
    assert Received(0.0, "", body, {}).summary == "participant_left x"
