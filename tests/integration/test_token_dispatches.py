"""Promises to a token server: never a second agent, never none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.cli.serve import listen, serve_app
from app.flows.token_dispatches import Promise, decide
from app.plan.expected import Expected
from app.settings import read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET, DispatchOrder
from app.wiring import Service, service
from tests.conftest import Database
from tests.simulator import Simulator

METADATA = '{"department": "support"}'
RULE = (
    "INSERT INTO routing_rules (name, pattern, agent_name) VALUES "
    """('support', '{"participant": {"metadata": {"department": ["support"]}}}', 'ana')"""
)
EXPECTED = Expected("default", "desk", "", "carla", "", "STANDARD", METADATA, {})


@asynccontextmanager
async def world(database: Database) -> AsyncIterator[tuple[Service, Simulator]]:
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/livekit/webhook"
        async with Simulator(webhook_urls=[url]) as simulator:
            environment = {
                "LIVEKIT_URL": simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": database.text,
                "USHER_SWEEP_INTERVAL": "0",
            }
            async with service(read_settings(environment)) as built:
                stop = asyncio.Event()
                serving = asyncio.create_task(serve_app(built.app, listener, stop))
                try:
                    yield built, simulator
                finally:
                    stop.set()
                    await serving


def order(promise: Promise) -> DispatchOrder:
    return DispatchOrder(promise.agent_name, promise.metadata, dict(promise.attributes))


async def joined(database: Database) -> list[dict[str, object]]:
    for _ in range(200):
        rows = database.execute(
            "SELECT id, status, attempts, agent_identity, agent_name, livekit_dispatch_id FROM dispatches"
        )
        if rows and all(row["status"] == "joined" for row in rows):
            return [dict(row) for row in rows]
        await asyncio.sleep(0.05)
    pytest.fail(f"no agent came: {database.execute('SELECT * FROM audit_log')}")


async def test_a_dispatch_that_the_token_carried_is_adopted(database: Database) -> None:
    # Given a rule, its agent, and a token server that asked before it made the token
    database.execute(RULE)
    async with world(database) as (built, simulator):
        simulator.add_worker("ana")
        (promise,) = await decide(built.orchestrator.context, built.orchestrator.book, EXPECTED)
        assert json.loads(promise.metadata)["participant"]["identity"] == "carla"
        # When the participant's join creates the room, so that LiveKit takes the token's dispatch
        simulator.join("desk", "carla", metadata=METADATA, dispatches=[order(promise)])
        # Then Usher watches over that dispatch and asks for no other
        (row,) = await joined(database)
        assert row["id"] == promise.id
        assert row["attempts"] == 0
        # And keeps it as attempt 0, made by the token
        (attempt,) = database.execute("SELECT number, agent_name, outcome, livekit_dispatch_id FROM dispatch_attempts")
        assert dict(attempt) == {
            "number": 0,
            "agent_name": row["agent_name"],
            "outcome": "adopted",
            "livekit_dispatch_id": row["livekit_dispatch_id"],
        }
        await asyncio.sleep(0.5)
        assert len(simulator.agents("desk")) == 1


async def test_a_dispatch_that_livekit_ignored_is_made_now(database: Database) -> None:
    # Given a room that exists already
    database.execute(RULE)
    async with world(database) as (built, simulator):
        simulator.add_worker("ana")
        simulator.join("desk", "somebody")
        (promise,) = await decide(built.orchestrator.context, built.orchestrator.book, EXPECTED)
        # When the participant joins it with the dispatch in the token, which LiveKit then ignores (#4390)
        simulator.join("desk", "carla", metadata=METADATA, dispatches=[order(promise)])
        # Then Usher dispatches the promised agent
        (row,) = await joined(database)
        assert row["id"] == promise.id
        assert row["attempts"] == 1
        await asyncio.sleep(0.5)
        assert len(simulator.agents("desk")) == 1
