"""Scripted faults as a caller meets them over HTTP, and what the ledger knows of the effect."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from livekit import api

from app.simulator import Fault, FaultKind
from tests.simulator import Simulator


@pytest.fixture(autouse=True)
async def somebody_waits(simulator: Simulator) -> None:
    simulator.join("lobby", "ana")


async def dispatch(client: api.LiveKitAPI) -> api.AgentDispatch:
    return await client.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter")
    )


async def give_up(simulator: Simulator, client: api.LiveKitAPI, effects: list[str]) -> None:
    """Ask for an agent, and give up once the call has arrived and had these effects; it must not be answered by then.

    However long that takes: a time limit could end before a busy machine has made the call.
    """
    calling = asyncio.create_task(dispatch(client))
    counts = simulator.ledger.counts
    await simulator.wait_until(lambda: counts["CreateDispatch"] == 1 and answers(simulator) == effects)
    await asyncio.wait([calling], timeout=0.1)
    assert not calling.done()
    calling.cancel()
    await asyncio.wait([calling])


def answers(simulator: Simulator) -> list[str]:
    return [entry.answered for entry in simulator.ledger.dispatches]


STATUS = {"unavailable": 503, "internal": 500, "resource_exhausted": 429, "invalid_argument": 400}


@pytest.mark.parametrize("code", STATUS)
@pytest.mark.parametrize(("kind", "effects"), [(FaultKind.REFUSE, []), (FaultKind.ERROR_AFTER, ["error_after"])])
async def test_an_error_may_or_may_not_have_taken_effect(
    simulator: Simulator, client: api.LiveKitAPI, kind: FaultKind, effects: list[str], code: str
) -> None:
    simulator.faults.script("CreateDispatch", Fault(kind, code=code))
    with pytest.raises(api.ServerError) as failed:
        await dispatch(client)
    assert (failed.value.code, failed.value.status) == (code, STATUS[code])
    assert answers(simulator) == effects
    assert (await dispatch(client)).id
    assert answers(simulator) == [*effects, "ok"]


@pytest.mark.parametrize(("kind", "effects"), [(FaultKind.RESET_BEFORE, []), (FaultKind.RESET_AFTER, ["reset_after"])])
async def test_a_connection_may_be_cut_before_or_after_the_effect(
    simulator: Simulator, client: api.LiveKitAPI, kind: FaultKind, effects: list[str]
) -> None:
    simulator.faults.script("CreateDispatch", Fault(kind))
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await dispatch(client)
    assert answers(simulator) == effects
    assert (await dispatch(client)).id


@pytest.mark.parametrize(
    ("kind", "effects"), [(FaultKind.HANG_BEFORE, []), (FaultKind.HANG_AFTER, ["hang_after"]), (FaultKind.LATE, [])]
)
async def test_a_call_may_hang_until_its_caller_gives_up(
    simulator: Simulator, client: api.LiveKitAPI, kind: FaultKind, effects: list[str]
) -> None:
    simulator.faults.script("CreateDispatch", Fault(kind, seconds=30))
    await give_up(simulator, client, effects)
    assert answers(simulator) == effects


async def test_an_effect_may_come_after_the_caller_has_given_up(simulator: Simulator, client: api.LiveKitAPI) -> None:
    simulator.faults.script("CreateDispatch", Fault(FaultKind.LATE, seconds=2))
    await give_up(simulator, client, [])
    assert answers(simulator) == []
    await simulator.wait_until(lambda: answers(simulator) == ["late"])


async def test_a_slow_call_is_answered_rightly(simulator: Simulator, client: api.LiveKitAPI) -> None:
    simulator.faults.always("CreateDispatch", Fault(FaultKind.SLOW, seconds=0.1))
    begun = asyncio.get_running_loop().time()
    made = await dispatch(client)
    assert asyncio.get_running_loop().time() - begun >= 0.1
    assert [entry.id for entry in simulator.ledger.dispatches] == [made.id]


async def test_a_share_of_all_calls_fails_and_the_ledger_shows_which_took_effect(
    simulator: Simulator, client: api.LiveKitAPI
) -> None:
    simulator.faults.by_chance(0.4, seed=5)
    failures = 0
    for _ in range(100):
        try:
            await dispatch(client)
        except (api.ServerError, aiohttp.ClientError):
            failures += 1
    hidden = [answer for answer in answers(simulator) if answer != "ok"]
    assert 25 < failures < 55
    assert 10 < len(hidden) < failures
    assert len(simulator.ledger.dispatches) == 100 - failures + len(hidden)
    assert len(simulator.ledger.calls) == simulator.ledger.counts["CreateDispatch"] == 100


async def test_every_call_is_passed_to_observers_and_fails_when_one_raises(
    simulator: Simulator, client: api.LiveKitAPI
) -> None:
    heard: list[str] = []
    simulator.on_call(heard.append)
    await client.room.list_rooms(api.ListRoomsRequest())
    assert heard == ["ListRooms"]

    def object_to(method: str) -> None:
        raise AssertionError(f"{method} while a transaction is open")

    simulator.on_call(object_to)
    with pytest.raises(api.ServerError) as failed:
        await dispatch(client)
    assert (failed.value.status, failed.value.code) == (500, "internal")
    assert "while a transaction is open" in failed.value.message
    assert simulator.ledger.dispatches == []
    assert simulator.objections == ["CreateDispatch: CreateDispatch while a transaction is open"]


async def test_a_server_that_stops_cuts_even_the_calls_that_hang(simulator: Simulator, client: api.LiveKitAPI) -> None:
    simulator.faults.script("CreateDispatch", Fault(FaultKind.HANG_AFTER, seconds=600))
    request = api.CreateAgentDispatchRequest(room="lobby", agent_name="greeter")
    hanging = asyncio.ensure_future(client.agent_dispatch.create_dispatch(request))
    await simulator.wait_until(lambda: answers(simulator) == ["hang_after"])
    await simulator.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging
    with pytest.raises(aiohttp.ClientConnectorError):
        await dispatch(client)


async def test_an_older_server_drops_attributes_silently() -> None:
    async with Simulator(keeps_attributes=False) as simulator:
        simulator.join("lobby", "ana")
        async with api.LiveKitAPI(simulator.url, simulator.key, simulator.secret) as client:
            wish: dict[str, Any] = {"room": "lobby", "agent_name": "greeter", "attributes": {"a": "b"}}
            made = await client.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(**wish))
            listed = await client.agent_dispatch.get_dispatch(made.id, "lobby")
        assert listed is not None
        assert dict(listed.attributes) == {}
        assert simulator.ledger.dispatches[0].attributes == {"a": "b"}


async def test_a_light_server_asks_for_no_token_and_keeps_no_calls() -> None:
    async with Simulator(light=True) as simulator:
        simulator.join("lobby", "ana")
        async with api.LiveKitAPI(simulator.url, "any-key", "any-secret-that-is-long-enough-for-jwt") as client:
            await dispatch(client)
        assert len(simulator.ledger.dispatches) == 1
        assert simulator.ledger.calls == []
        assert simulator.ledger.counts == {"CreateDispatch": 1}
