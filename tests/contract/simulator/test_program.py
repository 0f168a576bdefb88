"""`python -m tests.simulator`: a LiveKit in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from livekit import api

from tests.harness.network.relay import Relay


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """Start the program, give what it says of itself, and kill it at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.simulator", *options, stdout=PIPE, stderr=PIPE, cwd=Path(__file__).parents[3]
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield process, json.loads(await process.stdout.readline() or "{}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def agents(client: api.LiveKitAPI) -> list[str]:
    """Return the identities of the agents in the room `program`."""
    people = await client.room.list_participants(api.ListParticipantsRequest(room="program"))
    return [each.identity for each in people.participants if each.permission.agent]


async def test_it_serves_calls_and_posts_webhooks_for_its_callers(relay: Relay) -> None:
    options = ["--webhook", relay.url, "--worker", "greeter", "--time-factor", "0.02", "--key", "k", "--secret"]
    async with running(*options, "a secret that is long enough for a test") as (process, ready):
        assert ready["url"].startswith("http://127.0.0.1:")
        async with aiohttp.ClientSession(ready["url"]) as control:
            async with control.post("/simulator/join", json={"room": "program", "identity": "ana"}) as joined:
                assert joined.status == 200
            async with api.LiveKitAPI(ready["url"], ready["key"], ready["secret"]) as client:
                await client.agent_dispatch.create_dispatch(
                    api.CreateAgentDispatchRequest(room="program", agent_name="greeter")
                )
                while not (people := await agents(client)):  # noqa: ASYNC110 - in another process
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(relay.wait_for, "participant_joined", room="program", identity="ana")
            agent = await asyncio.to_thread(relay.wait_for, "participant_joined", room="program", identity=people[0])
            assert agent.webhook["participant"]["kind"] == "AGENT"
            async with control.get("/simulator/verdict") as verdict:
                assert (await verdict.json())["clean"]
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
    receiver = api.WebhookReceiver(api.TokenVerifier(ready["key"], ready["secret"]))
    delivery = relay.deliveries("participant_joined", room="program")[0]
    assert receiver.receive(delivery.body.decode(), delivery.token).participant.identity == "ana"


async def test_it_fails_a_share_of_calls_on_request() -> None:
    async with running("--fault-share", "1", "--fault-after", "0", "--older-server", "--light") as (_, ready):
        async with api.LiveKitAPI(ready["url"], ready["key"], ready["secret"], failover=False) as client:
            failures = 0
            for _attempt in range(5):
                try:
                    await client.room.list_rooms(api.ListRoomsRequest())
                except (api.ServerError, aiohttp.ClientError):
                    failures += 1
        assert failures == 5


async def test_a_taken_port_is_one_clear_line(relay: Relay) -> None:
    port = relay.url.split(":")[2].split("/")[0]
    async with running("--port", port) as (process, ready):
        assert ready == {}
        _, errors = await process.communicate()
        assert process.returncode == 1
        assert errors.decode().startswith(f"cannot listen on 127.0.0.1:{port}: ")
        assert errors.count(b"\n") == 1


async def test_a_wrong_option_is_wrong_use() -> None:
    async with running("--colour", "red") as (process, _):
        await process.communicate()
        assert process.returncode == 2
