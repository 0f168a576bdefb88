"""The judge is not blind: hand-written handlers of webhooks, each wrong in its own way, are found out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit import api
from starlette.types import Receive, Scope, Send

from app.livekit.vocabulary import DisconnectReason
from app.simulator import Behaviour, Timing
from app.simulator.api.connection import Listener
from app.simulator.entities import Presence, Room
from app.simulator.ledger import DispatchEntry, Fate
from tests.simulator import Mishap, Simulator, Verdict, judge
from tests.simulator.bulk import Callers, Campaign

CALLERS = 150
TEMPO = 0.01

Handler = Callable[[api.LiveKitAPI, str], Awaitable[None]]
FAILURES = (api.ServerError, aiohttp.ClientError)


@asynccontextmanager
async def receiver(handle: Callable[[dict[str, Any]], Awaitable[None]]) -> AsyncIterator[str]:
    """Answer 200 to every webhook once `handle` has done."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await handle(json.loads(body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    listener = Listener(application, host="127.0.0.1", port=0)
    await listener.start()
    try:
        yield f"http://127.0.0.1:{listener.port}/"
    finally:
        await listener.stop()


def has_settled(simulator: Simulator, dispatch: DispatchEntry) -> bool:
    """Return whether an agent came by the dispatch, or none will: nobody took the job, or its room is closed."""
    none_will = dispatch.fate not in {Fate.OPEN, Fate.ASSIGNED} or simulator.room(dispatch.room) is None
    return bool(dispatch.agents) or none_will


async def run_campaign(handler: Handler, *, fault_share: float, prepare: Callable[[Simulator], None]) -> Verdict:
    """Let CALLERS come, each to a room of their own, and let `handler` send them agents."""
    simulator = Simulator(timing=Timing(departure_timeout=1000, empty_timeout=1000).scaled(TEMPO))
    simulator.add_worker("greeter", Behaviour().scaled(TEMPO))
    simulator.faults.by_chance(fault_share, seed=11, methods=["CreateDispatch"])
    prepare(simulator)
    async with simulator, api.LiveKitAPI(simulator.url, simulator.key, simulator.secret, failover=False) as client:

        async def handle(webhook: dict[str, Any]) -> None:
            if webhook["event"] == "participant_joined" and "kind" not in webhook["participant"]:
                await handler(client, webhook["room"]["name"])

        async with receiver(handle) as url:
            simulator.webhooks.urls.append(url)
            await Campaign(simulator, Callers(CALLERS, rate=1000)).run()
            await simulator.wait_until(lambda: len(simulator.ledger.callers) == CALLERS, within=60)
            await simulator.webhooks.drained()
            await simulator.wait_until(lambda: all(has_settled(simulator, one) for one in simulator.ledger.dispatches))
            await simulator.webhooks.drained()
    return judge(simulator.ledger)


async def create(client: api.LiveKitAPI, room: str) -> None:
    await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(room=room, agent_name="greeter"))


async def give_up(client: api.LiveKitAPI, room: str) -> None:
    """Call once; a failure is a failure."""
    try:
        await create(client, room)
    except FAILURES:
        return


async def insist(client: api.LiveKitAPI, room: str) -> None:
    """Call until it works, as a retrying HTTP client does."""
    while True:
        try:
            return await create(client, room)
        except FAILURES:
            continue


async def dawdle(client: api.LiveKitAPI, room: str) -> None:
    """Call a little later, whoever has left meanwhile."""
    await asyncio.sleep(0.05)
    await give_up(client, room)


def leave_all_well(simulator: Simulator) -> None:
    """Change nothing."""


async def test_without_faults_a_naive_handler_passes_the_verdict() -> None:
    verdict = await run_campaign(give_up, fault_share=0, prepare=leave_all_well)
    assert verdict.clean, str(verdict)
    assert verdict.served == CALLERS
    assert not verdict.repeated


async def test_a_handler_without_retries_loses_callers() -> None:
    verdict = await run_campaign(give_up, fault_share=0.3, prepare=leave_all_well)
    assert 5 < len(verdict.lost) < 60, str(verdict)
    assert not verdict.doubled


async def test_a_handler_that_retries_every_failed_call_doubles_agents() -> None:
    verdict = await run_campaign(insist, fault_share=0.3, prepare=leave_all_well)
    assert 5 < len(verdict.doubled) < 60, str(verdict)
    assert verdict.doubled == verdict.repeated
    assert not verdict.lost


async def test_a_handler_that_dispatches_for_a_closed_room_makes_ghosts() -> None:
    def hurry_away(simulator: Simulator) -> None:
        def close(room: Room) -> None:
            if any(each.presence is Presence.ACTIVE for each in room.participants.values()):
                simulator.rooms.finish(room, DisconnectReason.ROOM_DELETED)
            else:  # a slow machine: the caller is still to come, and counts
                simulator.schedule.call_later(0.001, lambda: close(room))

        def opened(room: Room) -> None:
            if not room.by_dispatch:
                simulator.schedule.call_later(0.03, lambda: close(room))

        simulator.rooms.opened.append(opened)

    verdict = await run_campaign(dawdle, fault_share=0, prepare=hurry_away)
    assert verdict.ghosts, str(verdict)
    assert set(verdict.unasked) <= set(verdict.ghosts)


async def test_a_handler_without_deduplication_doubles_agents() -> None:
    def double_all(simulator: Simulator) -> None:
        simulator.webhook_faults.by_chance(0.5, Mishap.DUPLICATE)

    verdict = await run_campaign(give_up, fault_share=0, prepare=double_all)
    assert 40 < len(verdict.doubled) < 110, str(verdict)


async def test_a_handler_that_gets_no_webhook_serves_no_caller() -> None:
    def cut_off(simulator: Simulator) -> None:
        simulator.webhook_faults.outage = True

    verdict = await run_campaign(give_up, fault_share=0, prepare=cut_off)
    assert len(verdict.lost) == CALLERS
