"""Callers come and go, agents are lost, replicas are killed: no limit is exceeded, and no place leaks."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from app.livekit.vocabulary import DisconnectReason
from tests.conftest import Database
from tests.integration.capacity.test_queues import agent
from tests.world.virtual_time import in_virtual_time
from tests.world.world import World

LIMIT, RULE_LIMIT, ACTIONS = 4, 3, 80
HELD = """
    SELECT count(*) AS of_agent,
           coalesce(sum(CASE WHEN rule_name = 'hall' AND rung = 0 THEN 1 ELSE 0 END), 0) AS of_rule
      FROM dispatches
     WHERE coalesce(asked_agent_name, agent_name) = 'greeter'
       AND (status IN ('sending', 'dispatched', 'joined') OR (status = 'pending' AND placed_at IS NOT NULL))
"""
LIVE = "SELECT id FROM dispatches WHERE status IN ('pending', 'sending', 'dispatched', 'joined')"


def require_limits(world: World) -> None:
    (held,) = world.rows(HELD)
    assert held["of_agent"] <= LIMIT, world.describe()
    assert held["of_rule"] <= RULE_LIMIT, world.describe()


def rooms_with_agents(world: World) -> list[str]:
    """Return the open rooms of joined dispatches; the webhook about one that is closed may be on its way."""
    joined = [row["room_name"] for row in world.dispatches(status="joined")]
    return [name for name in joined if world.simulator.room(name) is not None]


async def act(world: World, chance: random.Random, number: int) -> None:
    """Do one of the things that happen to callers, agents and replicas."""
    there = rooms_with_agents(world)
    choice = chance.random()
    if choice < 0.5:
        prefix = chance.choice(["hall", "vip"])
        world.simulator.join(f"{prefix}-{number}", f"caller-{number}")
    elif choice < 0.7 and there:
        world.simulator.finish_room(chance.choice(there))
    elif choice < 0.8 and there and (agents := world.agents(room := chance.choice(there))):
        world.simulator.leave(room, agents[0], DisconnectReason.CONNECTION_TIMEOUT)
    elif choice < 0.9:
        waiting = world.rows("SELECT room_name, participant_identity FROM dispatches WHERE queued_at IS NOT NULL")
        if waiting:
            row = chance.choice(waiting)
            with suppress(KeyError):  # who has left while no replica was there to hear of it
                world.simulator.leave(row["room_name"], row["participant_identity"])
    elif choice < 0.94:
        alive = [one for one in world.replicas if one.alive]
        await chance.choice(alive).kill()
        await world.add_replica()
    await world.wait(chance.choice([0.0, 0.05, 0.3, 1.0]))


@pytest.mark.parametrize("seed", range(2))
@in_virtual_time
async def test_limits_hold_and_everybody_is_served_in_the_end(database: Database, seed: int) -> None:
    replicas = 2 if database.kind == "postgresql" else 1
    async with World(database, replicas=replicas, sweep=5) as world:
        chance = random.Random(seed)
        agent(world, "greeter", max_calls=LIMIT)
        hall, vip = ({"room": {"name": [{"prefix": name}]}} for name in ("hall", "vip"))
        # Three agents lost within their first seconds would end a call as a no-show, which is right.
        recovering: dict[str, Any] = {"recover": "lost", "max_attempts": 20}
        world.rule("hall", pattern=hall, max_calls=RULE_LIMIT, **recovering)
        world.rule("vip", pattern=vip, queue_priority=10, **recovering)
        world.simulator.add_worker("greeter")
        world.route = lambda _: [chance.choice([one for one in world.replicas if one.alive])]
        for number in range(ACTIONS):
            await act(world, chance, number)
            require_limits(world)
        # Then every call ends in its turn, until the queue is empty: a place that leaked would keep it from moving.
        for _ in range(ACTIONS):
            if not world.rows(LIVE):
                break
            if there := rooms_with_agents(world):
                world.simulator.finish_room(there[0])
            await world.wait(1.0)
            require_limits(world)
        assert not world.rows(LIVE), world.describe()
        assert {row["status"] for row in world.dispatches()} <= {"ended", "cancelled"}
        assert len(world.dispatches(status="ended")) >= LIMIT
