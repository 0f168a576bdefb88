"""Probes of agents from the console and over the API, on a simulated LiveKit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.accounts.roles import Role
from app.flows.probes import probes_on_demand
from app.simulator import Behaviour
from tests.conftest import PASSWORD, Database
from tests.harness.serving import serving, until
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import csrf_of, log_in, post
from tests.simulator import Simulator


@pytest.fixture
async def stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Running, Simulator]]:
    monkeypatch.setattr(probes_on_demand, "EVERY_S", 36_000.0)  # on a slow machine nothing comes back meanwhile
    async with serving(database.text, USHER_SWEEP_INTERVAL="0") as running:
        yield Running(running.service, database), running.simulator


async def signed_in(running: Running, role: Role = Role.EDITOR) -> httpx2.AsyncClient:
    await running.add_user("eva", role)
    client = running.client()
    assert (await log_in(client, "eva", PASSWORD)).status_code == 303
    return client


async def probe(client: httpx2.AsyncClient, agent: str, **fields: str) -> httpx2.Response:
    return await post(client, "/console/account", "/console/probe", probe=agent, **fields)


async def test_a_probe_says_how_soon_the_agent_joined(stage: tuple[Running, Simulator]) -> None:
    running, simulator = stage
    simulator.add_worker("greeter", Behaviour(join_after=0.05))
    client = await signed_in(running)
    page = await client.get("/console/agents/greeter")
    assert 'action="/console/probe"' in page.text
    answer = await probe(client, "greeter")
    assert answer.status_code == 200
    assert "Probe of" in answer.text
    assert "after it was asked for" in answer.text
    fragment = await client.post(
        "/console/probe", data={"csrf": csrf_of(page), "probe": "greeter"}, headers={"X-Fragment": "1"}
    )
    assert fragment.headers["x-probe"] == "done"
    assert "<html" not in fragment.text
    assert "joined" in fragment.text
    rows = await running.read("SELECT agent_name, arrived FROM probes")
    assert [(row["agent_name"], bool(row["arrived"])) for row in rows] == [("greeter", True)] * 2
    assert simulator.rooms.by_name == {}


async def test_an_agent_without_a_worker_did_not_join_and_what_to_do_is_said(
    stage: tuple[Running, Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _ = stage
    monkeypatch.setattr(probes_on_demand.ProbesOnDemand.probe, "__kwdefaults__", {"project": None, "timeout_s": 0.5})
    answer = await probe(await signed_in(running), "ghost")
    assert "did not join" in answer.text
    assert "no worker took the job" in answer.text
    assert "Is a worker running" in answer.text
    assert "/docs/troubleshooting#no-agent-joined" in answer.text


async def test_probes_are_for_editors_and_need_the_token_of_the_session(stage: tuple[Running, Simulator]) -> None:
    running, _ = stage
    client = await signed_in(running, Role.VIEWER)
    assert (await probe(client, "greeter")).status_code == 403
    assert (await client.post("/console/probe", data={"probe": "greeter", "csrf": "0" * 64})).status_code == 403
    assert "/console/probe" not in (await client.get("/console/agents/greeter")).text
    api = running.client(await running.token(Role.VIEWER))
    assert (await api.post("/api/v1/agents/greeter/probe", json={})).status_code == 403
    assert await running.read("SELECT * FROM probes") == []


async def test_the_api_probes_and_refuses_what_cannot_be_probed(stage: tuple[Running, Simulator]) -> None:
    running, simulator = stage
    simulator.add_worker("greeter", Behaviour(join_after=0.05))
    api = running.client(await running.token(Role.EDITOR))
    found = await api.post("/api/v1/agents/greeter/probe", json={"timeout_s": 30})
    assert found.status_code == 200, found.text
    assert found.json()["arrived"] is True
    assert found.json()["cause"] is None
    absent = (await api.post("/api/v1/agents/ghost/probe", json={"timeout_s": 0.5})).json()
    assert (absent["arrived"], absent["cause"]) == (False, "no_worker")
    typo = await api.post("/api/v1/agents/greeter/probe", json={"project": "defualt"})
    assert typo.status_code == 422
    assert "default" in typo.text
    assert (await api.post(f"/api/v1/agents/{'x' * 300}/probe", json={})).status_code == 422
    assert (await api.post("/api/v1/agents/greeter/probe", json={"timeout_s": 600})).status_code == 422


async def test_one_user_starts_a_bounded_number_of_probes(stage: tuple[Running, Simulator]) -> None:
    running, simulator = stage
    simulator.add_worker("greeter", Behaviour(join_after=0.01))
    api = running.client(await running.token(Role.EDITOR))
    statuses = [
        (await api.post("/api/v1/agents/greeter/probe", json={})).status_code for _ in range(probes_on_demand.BURST + 1)
    ]
    assert statuses == [200] * probes_on_demand.BURST + [429]
    other = running.client(await running.token(Role.ADMIN))
    assert (await other.post("/api/v1/agents/greeter/probe", json={})).status_code == 200


async def test_an_agent_is_probed_once_at_a_time(stage: tuple[Running, Simulator]) -> None:
    running, _ = stage
    api = running.client(await running.token(Role.EDITOR))
    first = asyncio.create_task(api.post("/api/v1/agents/ghost/probe", json={"timeout_s": 30}))

    await until(lambda: running.database.execute("SELECT id FROM probes"))
    second = await api.post("/api/v1/agents/ghost/probe", json={})
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert second.status_code == 429
    assert "under way" in second.text
    assert second.headers["retry-after"]


async def test_the_rule_editor_offers_to_probe_an_agent_that_was_never_seen(stage: tuple[Running, Simulator]) -> None:
    running, _ = stage
    client = await signed_in(running)
    page = await client.get("/console/rules/new")
    checked = await client.post(
        "/console/rules/check",
        data={"csrf": csrf_of(page), "name": "new", "agent_name": "never seen", "pattern": "{}"},
        headers={"X-Fragment": "1"},
    )
    assert 'data-probe="never seen"' in checked.text, checked.text[:3000]
