"""Agents and queues over the API: what is set is recorded, versions are compared, waiting callers are listed."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running

URL = "/api/v1/agents/support-es"


@pytest.fixture
async def editor(running: Running) -> httpx2.AsyncClient:
    return running.client(await running.token(Role.EDITOR))


async def put(client: httpx2.AsyncClient, version: str = "*", **columns: Any) -> httpx2.Response:
    return await client.put(URL, json=columns, headers={"If-Match": version})


async def test_an_agent_is_created_changed_and_removed_by_version(editor: httpx2.AsyncClient) -> None:
    assert (await editor.get(URL)).status_code == 404
    made = await put(editor, '"0"', max_calls=3, note="two machines")
    assert made.status_code == 200
    assert (made.json()["max_calls"], made.json()["note"], made.json()["in_service"]) == (3, "two machines", True)
    etag = made.headers["etag"]
    assert (await editor.get(URL)).headers["etag"] == etag
    until = "2999-01-01T00:00:00Z"
    body = {"out_of_service_until": until, "substitute_agent_name": "reception"}
    changed = await editor.patch(URL, json=body, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert (changed.json()["max_calls"], changed.json()["in_service"]) == (3, False)
    assert changed.json()["out_of_service_until"] == "2999-01-01T00:00:00.000000Z"
    stale = await editor.patch(URL, json={"max_calls": 9}, headers={"If-Match": etag})
    assert stale.status_code == 412
    assert "edited meanwhile by editor user" in stale.json()["detail"]
    assert (await editor.patch(URL, json={"max_calls": 9})).status_code == 428
    whole = await put(editor, changed.headers["etag"], max_calls=1)
    assert (whole.json()["note"], whole.json()["substitute_agent_name"], whole.json()["in_service"]) == ("", None, True)
    assert (await editor.delete(URL, headers={"If-Match": "*"})).status_code == 200
    history = (await editor.get(f"{URL}/history")).json()["items"]
    assert [(one["change"], one["changed_by"]) for one in history] == [
        ("delete", "editor user"), ("update", "editor user"), ("update", "editor user"), ("insert", "editor user"),
    ]  # fmt: skip
    assert len((await editor.get("/api/v1/agents/history?limit=2")).json()["items"]) == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"max_calls": -1}, "max_calls"),
        ({"max_calls": "5"}, "max_calls"),
        ({"max_calls": True}, "max_calls"),
        ({"starts_per_second": 0}, "starts_per_second"),
        ({"out_of_service_until": "tomorrow"}, "out_of_service_until"),
        ({"out_of_service_until": 5}, "out_of_service_until"),
        ({"substitute_agent_name": "support-es"}, "substitute_agent_name"),
        ({"substitute_agent_name": ""}, "substitute_agent_name"),
        ({"note": None}, "note"),
        ({"max_cals": 3}, "max_cals"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_path(
    editor: httpx2.AsyncClient, body: dict[str, Any], path: str
) -> None:
    answer = await put(editor, **body)
    assert answer.status_code == 422, answer.text
    assert [one["path"] for one in answer.json()["errors"]] == [path]


async def test_viewers_read_and_do_not_edit(running: Running) -> None:
    viewer = running.client(await running.token(Role.VIEWER))
    assert (await put(viewer, max_calls=3)).status_code == 403
    assert (await viewer.get("/api/v1/agents")).status_code == 200
    assert (await viewer.get("/api/v1/queue")).status_code == 200


async def test_an_edit_by_sql_is_recorded_and_listed(running: Running, editor: httpx2.AsyncClient) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('line/1', 2)")
    running.database.execute("UPDATE agents SET max_calls = 4 WHERE agent_name = 'line/1'")
    (line,) = (await editor.get("/api/v1/agents")).json()["items"]
    assert (line["agent_name"], line["name"], line["max_calls"], line["calls"]) == ("line/1", "line/1", 4, 0)
    one = await editor.get("/api/v1/agents/line/1")
    assert one.json()["updated_by"].startswith("sql")
    history = (await editor.get("/api/v1/agents/line/1/history")).json()["items"]
    assert [(change["change"], change["after"]["max_calls"]) for change in history] == [("update", 4), ("insert", 2)]


async def test_waiting_callers_are_listed_with_position_and_expected_wait(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES ('greeter', 1)")
    running.database.execute(
        "INSERT INTO routing_rules (name, pattern, agent_name, queue_timeout_s)"
        " VALUES ('all', '{\"event\": [\"participant_joined\"]}', 'greeter', 600)"
    )
    for number in range(3):
        await running.join(f"caller-{number}", f"room-{number}")
    await running.service.orchestrator.deliverer.run_once()
    queue = (await editor.get("/api/v1/queue")).json()
    (only,) = queue["queues"]
    assert (only["agent_name"], only["length"], only["starts_last_hour"]) == ("greeter", 2, 1)
    assert [(one["position"], one["expected_wait_s"]) for one in queue["items"]] == [(1, None), (2, None)]
    assert "usher_queue_expected_wait_seconds{" not in (await editor.get("/metrics")).text
    assert {one["waits_until"] for one in queue["items"]} != {None}
    assert len({one["participant_identity"] for one in queue["items"]}) == 2
    (line,) = (await editor.get("/api/v1/agents")).json()["items"]
    assert (line["calls"], line["waiting"], line["max_calls"]) == (1, 2, 1)
    metrics = (await running.client(await running.token()).get("/metrics")).text
    assert 'usher_queue_length{agent="greeter",rule=""} 2.0' in metrics
    assert 'usher_agent_calls{agent="greeter"} 1.0' in metrics
    await running.service.orchestrator.deliverer.drain(5)
