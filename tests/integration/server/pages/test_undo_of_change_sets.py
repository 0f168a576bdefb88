"""Undoing a change set in the console and over the API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import csrf_of, log_in, post

RULES: tuple[dict[str, Any], ...] = (
    {"name": "one", "pattern": {"room": {"name": ["a"]}}, "agent_name": "first", "priority": 10},
    {"name": "two", "pattern": {"room": {"name": ["b"]}}, "agent_name": "second", "priority": 20},
)
CHANGED = tuple({**rule, "answer_timeout_s": 7} for rule in RULES)


@pytest.fixture
async def editor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        yield client


@pytest.fixture
async def api(running: Running) -> httpx2.AsyncClient:
    """A client whose token is an editor's, after two rules were changed together."""
    client = running.client(await running.token(Role.EDITOR))
    for rules in (RULES, CHANGED):
        assert (await client.post("/api/v1/rules/apply", json={"rules": rules})).status_code == 200
    return client


async def latest_set(api: httpx2.AsyncClient) -> str:
    return str((await api.get("/api/v1/rules/history")).json()["items"][0]["change_set"])


async def timeouts(api: httpx2.AsyncClient) -> list[int]:
    return [rule["answer_timeout_s"] for rule in (await api.get("/api/v1/rules")).json()["items"]]


async def test_the_history_leads_to_a_preview_and_the_set_is_undone(
    api: httpx2.AsyncClient, editor: httpx2.AsyncClient
) -> None:
    page = (await editor.get("/console/history")).text
    assert page.count("One of 2 changes made together.") == 4
    found = re.search(r'href="(/console/history/set\?id=[^"]+)"', page)
    assert found is not None
    preview = await editor.get(found[1])
    assert "This is a preview: nothing has been changed." in preview.text
    assert preview.text.count("<code>answer_timeout_s</code>") == 2
    assert await timeouts(api) == [7, 7]
    change_set = await latest_set(api)
    done = await editor.post("/console/history/set", data={"csrf": csrf_of(preview), "id": change_set})
    assert done.headers["location"] == "/console/history?done=set-undone"
    assert await timeouts(api) == [15, 15]
    assert f"undo of {change_set}" in (await editor.get("/console/history")).text
    assert "Nothing to undo" in (await editor.get(found[1])).text


async def test_what_was_changed_since_is_named_in_the_preview_and_stays(
    api: httpx2.AsyncClient, editor: httpx2.AsyncClient
) -> None:
    change_set = await latest_set(api)
    path = f"/console/history/set?id={change_set}"
    before = await editor.get(path)
    rule_id = (await api.get("/api/v1/rules")).json()["items"][0]["id"]
    await api.patch(f"/api/v1/rules/{rule_id}", json={"answer_timeout_s": 9}, headers={"If-Match": "*"})
    # The form of a preview from before the edit is refused, and shows what was changed
    refused = await editor.post("/console/history/set", data={"csrf": csrf_of(before), "id": change_set})
    assert refused.status_code == 409
    assert "answer_timeout_s: 7 → 9" in refused.text
    assert "Undo the rest" in refused.text
    assert await timeouts(api) == [9, 7]
    done = await post(editor, path, "/console/history/set", id=change_set, skip_changed="on")
    assert done.status_code == 303
    assert await timeouts(api) == [9, 15]


async def test_the_console_does_not_say_that_a_set_was_undone_of_which_all_was_changed_since(
    api: httpx2.AsyncClient, editor: httpx2.AsyncClient
) -> None:
    change_set = await latest_set(api)
    path = f"/console/history/set?id={change_set}"
    for rule in (await api.get("/api/v1/rules")).json()["items"]:
        await api.patch(f"/api/v1/rules/{rule['id']}", json={"answer_timeout_s": 9}, headers={"If-Match": "*"})
    done = await post(editor, path, "/console/history/set", id=change_set, skip_changed="on")
    assert done.status_code == 409
    assert "All of it was changed again since." in done.text
    assert await timeouts(api) == [9, 9]


async def test_a_set_is_undone_by_editors_and_forms_need_a_token(running: Running, api: httpx2.AsyncClient) -> None:
    change_set = await latest_set(api)
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as viewer:
        await log_in(viewer, "vera")
        assert (await viewer.get(f"/console/history/set?id={change_set}")).status_code == 403
        assert "Undo this change set" not in (await viewer.get("/console/history")).text
        assert (await post(viewer, "/console/account", "/console/history/set", id=change_set)).status_code == 403
    reader = running.client(await running.token(Role.VIEWER))
    assert (await reader.post("/api/v1/rules/undo", json={"change_set": change_set})).status_code == 403
    assert await timeouts(api) == [7, 7]


async def test_the_api_shows_conflicts_in_a_dry_run_and_refuses_them_else(api: httpx2.AsyncClient) -> None:
    change_set = await latest_set(api)
    rule_id = (await api.get("/api/v1/rules")).json()["items"][0]["id"]
    await api.patch(f"/api/v1/rules/{rule_id}", json={"answer_timeout_s": 9}, headers={"If-Match": "*"})
    tried = (await api.post("/api/v1/rules/undo", json={"change_set": change_set, "dry_run": True})).json()
    assert [one["rule"] for one in tried["conflicts"]] == ["one"]
    assert tried["conflicts"][0]["values"] == [{"path": "answer_timeout_s", "before": 7, "after": 9}]
    assert [one["rule"] for one in tried["rules"]] == ["two"]
    assert (await api.post("/api/v1/rules/undo", json={"change_set": change_set})).status_code == 409
    order = {"change_set": change_set, "skip_changed": True}
    done = await api.post("/api/v1/rules/undo?why=too+slow", json=order)
    assert (done.status_code, done.json()["written"]) == (200, True)
    assert await timeouts(api) == [9, 15]
    latest = (await api.get("/api/v1/rules/history")).json()["items"][0]
    assert latest["why"] == f"undo of {change_set}: too slow"
    assert (await api.post("/api/v1/rules/undo", json={"change_set": "unheard-of"})).status_code == 404
