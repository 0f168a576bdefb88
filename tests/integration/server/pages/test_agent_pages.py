"""Agents and queues in the console: limits and service are set by a form, and shown wherever an agent is."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx2

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import csrf_of, log_in

PAGE = "/console/agents/greeter"


async def save(client: httpx2.AsyncClient, **fields: str) -> httpx2.Response:
    page = await client.get(PAGE)
    version = page.text.partition('name="version" value="')[2].partition('"')[0]
    return await client.post(PAGE, data={"csrf": csrf_of(page), "version": version, **fields})


async def editor_of(running: Running, role: Role = Role.EDITOR) -> httpx2.AsyncClient:
    await running.add_user("maria", role)
    client = running.client()
    await log_in(client, "maria")
    return client


async def test_an_agent_is_limited_and_taken_out_of_service(running: Running) -> None:
    client = await editor_of(running)
    saved = await save(client, max_calls="4", service="1h", substitute_agent_name="reception", note="new prompt")
    assert saved.status_code == 303, saved.text
    page = (await client.get(saved.headers["location"])).text
    assert "Saved. It holds for the next call." in page
    assert "0 of 4" in page
    assert "<bdi>reception</bdi> is asked" in page
    assert "<bdi>maria</bdi>: Calls at a time: nothing → <bdi>4</bdi>; Out of service: no → until <time" in page
    listed = (await client.get("/console/agents")).text
    assert "out of service" in listed
    assert "<bdi>reception</bdi> is asked" in listed
    back = await save(client, max_calls="4", note="new prompt")
    assert back.status_code == 303
    assert "out of service for" in (await client.get(PAGE)).text
    assert "<bdi>reception</bdi> is asked" not in (await client.get("/console/agents")).text


async def test_what_cannot_be_saved_is_shown_with_the_text_that_was_typed(running: Running) -> None:
    client = await editor_of(running)
    for fields, message in (
        ({"max_calls": "many"}, "must be a whole number"),
        ({"service": "at", "until": "tonight"}, "must be a time such as"),
        ({"substitute_agent_name": "greeter"}, "must be another agent"),
    ):
        refused = await save(client, **fields)
        assert refused.status_code == 422
        assert message in refused.text
        assert next(iter(fields.values())) in refused.text
    both = await save(client, max_calls="many", service="at", until="tonight")
    assert "must be a whole number" in both.text
    assert "must be a time such as" in both.text
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 1)")
    page = await client.get(PAGE)
    running.database.execute("UPDATE agents SET max_calls = 2")
    version = page.text.partition('name="version" value="')[2].partition('"')[0]
    late = await client.post(PAGE, data={"csrf": csrf_of(page), "version": version, "max_calls": "9"})
    assert late.status_code == 409
    assert "edited meanwhile" in late.text


async def test_a_viewer_sees_the_limits_and_no_form(running: Running) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 1)")
    client = await editor_of(running, Role.VIEWER)
    page = await client.get(PAGE)
    assert "0 of 1" in page.text
    assert 'name="max_calls"' not in page.text
    refused = await client.post(PAGE, data={"csrf": csrf_of(await client.get("/console/account")), "version": "1"})
    assert refused.status_code == 403


async def test_who_waits_for_a_place_is_on_the_pages_queue_now_and_call(running: Running) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 0)")
    running.database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name)"
        " VALUES ('all', '{\"event\": [\"participant_joined\"]}', 'greeter')"
    )
    found: list[Any] = [await running.join(name, f"room of {name}") for name in ("ana", "bob")]
    await running.service.orchestrator.deliverer.run_once()
    client = await editor_of(running)
    page = (await client.get("/console/queue")).text
    assert page.index(">ana<") < page.index(">bob<")
    assert "greeter has 0 of 0 calls" in page
    assert "2 in a queue for a place" in (await client.get("/console/")).text
    call = (await client.get(f"/console/calls/{found[1][0]}")).text
    assert "position <strong>2</strong>" in call


async def test_an_agent_whose_name_has_a_line_break_by_plain_sql_has_its_addresses(running: Running) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES (:name, 3)", name="two\nlines")
    client = await editor_of(running)
    (address,) = set(re.findall(r'href="(/console/agents/two[^"?]*)', (await client.get("/console/agents")).text))
    page = await client.get(address)
    assert (page.status_code, "0 of 3" in page.text) == (200, True)
    async with running.client(await running.token()) as program:
        assert (await program.get(f"/api/v1/agents/{quote('two' + chr(10) + 'lines')}")).json()["max_calls"] == 3
