"""Lookups over the API and in the console, on both kinds of database."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

CRM: dict[str, Any] = {
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "url": "http://127.0.0.1:9/",
    "on_error": {"tier": "none"},
}


@pytest.fixture
async def editor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with running.client(await running.token(Role.EDITOR, "maria")) as client:
        yield client


async def test_a_lookup_is_created_replaced_and_deleted(running: Running, editor: httpx2.AsyncClient) -> None:
    url = "/api/v1/lookups/crm"
    assert (await editor.get(url)).status_code == 404
    made = await editor.put(url, json=CRM)
    assert made.status_code == 200, made.text
    found, tag = made.json(), made.headers["etag"]
    assert (found["name"], found["enabled"], found["timeout_ms"], found["updated_by"]) == ("crm", True, 1500, "maria")
    assert found["problems"] == found["missing_variables"] == []

    assert (await editor.put(url, json=CRM)).status_code == 428
    with_header = {**CRM, "headers": {"authorization": "env:NOT_SET_HERE"}, "cache_s": 5}
    changed = await editor.put(url, json=with_header, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert changed.json()["missing_variables"] == ["NOT_SET_HERE"]
    assert (await editor.put(url, json=CRM, headers={"If-Match": tag})).status_code == 412

    renamed = await editor.put(url, json={**CRM, "name": "customers"}, headers={"If-Match": "*"})
    assert (renamed.json()["name"], renamed.json()["id"]) == ("customers", found["id"])
    assert (await editor.get(url)).status_code == 404
    (listed,) = (await editor.get("/api/v1/lookups")).json()["items"]
    assert (listed["name"], listed["cache_s"]) == ("customers", 0)

    assert (await editor.delete("/api/v1/lookups/customers")).status_code == 428
    assert (await editor.delete("/api/v1/lookups/customers", headers={"If-Match": "*"})).status_code == 200
    assert (await editor.get("/api/v1/lookups")).json()["items"] == []
    changes = await running.read("SELECT change, changed_by FROM lookup_changes ORDER BY id")
    assert [one["change"] for one in changes] == ["insert", "update", "update", "delete"]
    assert {one["changed_by"] for one in changes} == {"maria"}


async def test_true_in_place_of_one_is_a_change(editor: httpx2.AsyncClient) -> None:
    url = "/api/v1/lookups/crm"
    made = await editor.put(url, json={**CRM, "on_error": {"vip": 1}})
    changed = await editor.put(url, json={**CRM, "on_error": {"vip": True}}, headers={"If-Match": made.headers["etag"]})
    assert changed.json()["on_error"]["vip"] is True
    assert changed.headers["etag"] != made.headers["etag"]
    again = await editor.put(url, json={**CRM, "on_error": {"vip": True}}, headers={"If-Match": "*"})
    assert again.headers["etag"] == changed.headers["etag"]


async def test_every_mistake_is_reported_and_nothing_saved(editor: httpx2.AsyncClient) -> None:
    wrong = {"pattern": {"lookup": {"a": [1]}}, "url": "x", "timeout_ms": 9000, "colour": "red"}
    answer = await editor.put("/api/v1/lookups/my-crm", json=wrong)
    assert answer.status_code == 422
    paths = {problem["path"] for problem in answer.json()["errors"]}
    assert paths == {"name", "pattern.lookup.a", "url", "timeout_ms", "colour"}
    assert (await editor.get("/api/v1/lookups")).json()["items"] == []


async def test_a_name_that_is_taken(editor: httpx2.AsyncClient) -> None:
    for name in ("a", "b"):
        assert (await editor.put(f"/api/v1/lookups/{name}", json=CRM)).status_code == 200
    answer = await editor.put("/api/v1/lookups/a", json={**CRM, "name": "b"}, headers={"If-Match": "*"})
    assert answer.status_code == 409


async def test_of_several_who_create_a_lookup_at_once_one_succeeds(editor: httpx2.AsyncClient) -> None:
    made = (editor.put("/api/v1/lookups/crm", json={**CRM, "cache_s": number}) for number in range(5))
    codes = [answer.status_code for answer in await asyncio.gather(*made)]
    assert codes.count(200) == 1
    assert set(codes) <= {200, 409, 428}


async def test_viewers_read_lookups_and_write_none(running: Running) -> None:
    async with running.client(await running.token(Role.VIEWER)) as client:
        assert (await client.get("/api/v1/lookups")).status_code == 200
        assert (await client.put("/api/v1/lookups/crm", json=CRM)).status_code == 403
        assert (await client.post("/api/v1/lookups/crm/test", json={"event_id": "x"})).status_code == 403


async def test_a_test_says_what_was_sent_and_why_there_is_no_answer(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    await editor.put("/api/v1/lookups/crm", json=CRM)
    event_id, _ = await running.join("ana", "hall", metadata={"language": "de"})
    url = "/api/v1/lookups/crm/test"
    tested = (await editor.post(url, json={"event_id": event_id})).json()
    assert (tested["status"], tested["answer"], tested["matches"]) == ("error", {"tier": "none"}, False)
    assert "no connection to 127.0.0.1:9" in tested["error"]
    assert tested["sent"]["participant"]["identity"] == "ana"
    assert "turnPassword" not in json.dumps(tested)
    body = {"event": "participant_joined", "participant": {"identity": "eva", "metadata": '{"language": "es"}'}}
    assert (await editor.post(url, json={"event": body})).json()["matches"] is True
    assert (await editor.post(url, json={})).status_code == 422
    left = {**body, "event": "participant_left"}
    assert (await editor.post(url, json={"event": left})).json()["matches"] is False
    assert (await editor.post(url, json={"event": body, "event_id": event_id})).status_code == 422
    assert (await editor.post(url, json={"event": {"x": 1}})).status_code == 422
    assert (await editor.post(url, json={"event_id": "unknown"})).status_code == 404
    assert (await editor.post("/api/v1/lookups/none/test", json={"event_id": event_id})).status_code == 404


async def test_a_disabled_lookup_matches_what_it_would_be_asked_about(editor: httpx2.AsyncClient) -> None:
    both = {"event": ["participant_joined", "participant_left"]}
    await editor.put("/api/v1/lookups/crm", json={**CRM, "pattern": both, "enabled": False})
    for event, matches in (("participant_joined", True), ("participant_left", False)):
        body = {"event": event, "participant": {"identity": "eva"}}
        tested = await editor.post("/api/v1/lookups/crm/test", json={"event": body})
        assert tested.json()["matches"] is matches


async def test_a_row_that_cannot_be_used_is_shown_with_its_problems(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    running.database.execute(
        "INSERT INTO lookups (name, pattern, url) VALUES ('bad name', '[]', 'ftp://x'), ('good', '{}', 'http://x/')"
    )
    await running.join("ana", "hall")
    bad, good = (await editor.get("/api/v1/lookups")).json()["items"]
    assert [problem["path"] for problem in bad["problems"]] == ["name", "pattern", "url"]
    assert (good["problems"], good["updated_by"].startswith("sql")) == ([], True)
    health = (await editor.get("/api/v1/health")).json()["lookups"]
    assert (health["lookups"], [one["name"] for one in health["bad"]]) == (1, ["bad name"])
    assert health["bad_count"] == 1
    async with running.client() as anybody:
        ready = (await anybody.get("/readyz")).json()["lookups"]
    assert ready["bad"] == [{"id": bad["id"]}]


async def test_the_secret_is_in_no_answer(
    running: Running, editor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "Bearer-wxyz")
    stored = await editor.put("/api/v1/lookups/crm", json={**CRM, "headers": {"authorization": "env:CRM_TOKEN"}})
    event_id, _ = await running.join("ana", "hall")
    tested = await editor.post("/api/v1/lookups/crm/test", json={"event_id": event_id})
    for answer in (stored, tested, await editor.get("/api/v1/lookups")):
        assert answer.status_code == 200
        assert "wxyz" not in answer.text
    rows = await running.read("SELECT * FROM lookups")
    assert re.search("wxyz", str(rows)) is None


async def test_a_rules_file_holds_lookups_and_agents_too(editor: httpx2.AsyncClient) -> None:
    assert (await editor.get("/api/v1/rules/export")).json() == {"rules": []}
    order: dict[str, Any] = {
        "rules": [{"name": "vip", "pattern": {"lookup": {"crm": {"tier": ["gold"]}}}, "agent_name": "concierge"}],
        "lookups": [{**CRM, "name": "crm", "headers": {"authorization": "env:CRM_TOKEN"}}],
        "agents": [{"agent_name": "concierge", "max_calls": 3}],
    }
    planned = (await editor.post("/api/v1/rules/apply", json={**order, "dry_run": True})).json()
    assert [one["name"] for one in planned["lookups"]["changes"]] == ["crm"]
    assert [one for one in planned["warnings"] if one["kind"] == "unknown_lookup"] == []
    assert (planned["written"], planned["version"], planned["agents"]["version"]) == (False, 0, 0)
    assert (await editor.get("/api/v1/lookups")).json()["items"] == []

    unknown = {
        **dict.fromkeys(("expected_version", "expected_lookups_version", "expected_agents_version")),
        "dry_run": True,
    }
    assert (await editor.post("/api/v1/rules/apply", json={**order, **unknown})).status_code == 200
    expected = {"expected_version": 0, "expected_lookups_version": 0, "expected_agents_version": 0}
    done = await editor.post("/api/v1/rules/apply?why=new+crm", json={**order, **expected})
    assert done.status_code == 200, done.text
    assert (done.json()["lookups"]["version"], done.json()["agents"]["version"]) == (1, 1)
    (crm,) = (await editor.get("/api/v1/lookups")).json()["items"]
    assert (crm["headers"], crm["updated_by"]) == ({"authorization": "env:CRM_TOKEN"}, "maria")
    exported = (await editor.get("/api/v1/rules/export")).json()
    assert exported == order
    again = (await editor.post("/api/v1/rules/apply", json={**exported, "delete": True})).json()
    assert [again[key]["changes"] for key in ("lookups", "agents")] == [[], []]

    late = await editor.post("/api/v1/rules/apply", json={**order, "rules": [], "delete": True, **expected})
    assert late.status_code == 409
    touched = (await editor.post("/api/v1/rules/apply", json={"rules": [], "lookups": None, "delete": True})).json()
    assert (touched["lookups"], touched["agents"]) == (None, None)
    assert len((await editor.get("/api/v1/lookups")).json()["items"]) == 1


async def test_mistakes_in_lookups_and_agents_of_a_rules_file_name_their_field(editor: httpx2.AsyncClient) -> None:
    order = {
        "rules": [],
        "lookups": [{"name": "crm", "pattern": {}, "url": "ftp://x"}],
        "agents": [{"agent_name": "a", "max_calls": -1}],
    }
    refused = await editor.post("/api/v1/rules/apply", json=order)
    assert refused.status_code == 422
    assert [one["path"] for one in refused.json()["errors"]] == ["lookups[0].url", "agents[0].max_calls"]
    mistakes: list[dict[str, Any]] = [{"lookups": {}}, {"agents": 7}, {"expected_agents_version": "1"}, {"lookup": []}]
    for wrong in mistakes:
        refused = await editor.post("/api/v1/rules/apply", json={"rules": [], **wrong})
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, next(iter(wrong)))


async def test_a_name_with_a_slash_by_plain_sql_has_its_addresses(running: Running, editor: httpx2.AsyncClient) -> None:
    running.database.execute("INSERT INTO lookups (name, pattern, url) VALUES ('a/b', '{}', 'http://x/')")
    path = f"/api/v1/lookups/{quote('a/b', safe='')}"
    assert (await editor.get(path)).json()["name"] == "a/b"
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        await log_in(client, "eva")
        page = await client.get("/console/lookups/a/b")
        assert (page.status_code, "must have 1 to 63 letters" in page.text) == (200, True)
        tested = await post(client, "/console/lookups/a/b", "/console/lookups/a/b/test", event="none")
        assert (tested.status_code, "it cannot be used" in tested.text) == (200, True)
        gone = await post(client, "/console/lookups/a/b", "/console/lookups/a/b/delete")
    assert gone.status_code == 303
    assert (await editor.get(path)).status_code == 404
