"""Saved views in the console and over the API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.accounts.roles import Role
from app.audit import CallOutcome, CallState
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

QUERY = "state=waiting&agent=support"


@pytest.fixture
async def editor(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as client:
        assert (await log_in(client, "eva")).status_code == 303
        yield client


async def save(client: httpx2.AsyncClient, name: str, query: str = QUERY, **fields: str) -> httpx2.Response:
    """Save the filters as the form above the list does."""
    return await post(client, f"/console/calls?{query}", "/console/views", name=name, query=query, **fields)


async def tabs_of(client: httpx2.AsyncClient, address: str = "/console/calls") -> list[tuple[str, bool]]:
    """Return the names of the views above the list, each with whether the list is this view."""
    page = (await client.get(address)).text
    row = re.search(r'<nav class="views".*?</nav>', page, re.DOTALL)
    found = re.findall(r"<a ([^>]*)><bdi>([^<]*)</bdi>", row[0] if row else "")
    return [(name, "aria-current" in attributes) for attributes, name in found]


async def test_a_filtered_list_is_saved_and_stands_above_the_list(running: Running, editor: httpx2.AsyncClient) -> None:
    assert "Save this view" not in (await editor.get("/console/calls")).text
    assert "Save this view" in (await editor.get(f"/console/calls?{QUERY}")).text
    saved = await save(editor, "Waiting for support")
    assert saved.headers["location"] == f"/console/calls?{QUERY}&done=view-saved"
    assert await tabs_of(editor) == [("Waiting for support", False)]
    assert await tabs_of(editor, saved.headers["location"]) == [("Waiting for support", True)]
    reordered = "/console/calls?agent=support&q=&outcome=&state=waiting&zone=-60&tz=Europe%2FMadrid"
    assert await tabs_of(editor, reordered) == [("Waiting for support", True)]
    assert "Save this view" not in (await editor.get(reordered)).text
    async with running.client() as other:
        await running.add_user("bob", Role.EDITOR)
        await log_in(other, "bob")
        assert await tabs_of(other) == []


async def test_what_cannot_be_saved_is_said_above_the_same_list(editor: httpx2.AsyncClient) -> None:
    await save(editor, "mine")
    taken = await save(editor, "mine", "outcome=fallback")
    assert taken.status_code == 409
    assert "You already have a view named &#39;mine&#39;." in taken.text
    assert 'name="query" value="outcome=fallback"' in taken.text
    assert 'value="mine"' in taken.text
    nameless = await save(editor, " ", "outcome=fallback")
    assert nameless.status_code == 422
    assert "must have 1 to 60 characters" in nameless.text
    replaced = await save(editor, "mine", "outcome=fallback", replace="on")
    assert replaced.status_code == 303
    assert await tabs_of(editor, "/console/calls?outcome=fallback") == [("mine", True)]


@pytest.mark.parametrize(
    ("query", "field"),
    [("q=%00", "q"), ("since=0001-01-01T00:00:00Z", "since"), ("until=9999-12-31T00:00:00Z", "until")],
)
async def test_a_filter_that_no_list_can_use_is_not_saved(running: Running, query: str, field: str) -> None:
    editor = running.client(await running.token(Role.EDITOR))
    answer = await editor.post("/api/v1/views", json={"name": "odd", "query": f"agent=support&{query}"})
    assert answer.status_code == 422
    assert f"{field}: " in answer.text


async def test_a_view_that_sql_has_written_badly_does_not_stop_the_list(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    if running.database.kind != "sqlite":
        return  # which refuses such values by its types
    await save(editor, "mine")
    running.database.execute(
        "INSERT INTO saved_views (id, user_id, name, query, created_at, updated_at, shared)"
        " SELECT 'bad', user_id, x'ff', x'fe', '2026-13-01', 'x', true FROM saved_views"
    )
    assert ("mine", False) in await tabs_of(editor)
    assert (await editor.get("/console/views")).status_code == 200
    reader = running.client(await running.token(Role.VIEWER))
    assert len((await reader.get("/api/v1/views")).json()["items"]) == 1


async def test_a_name_that_is_taken_is_shown_as_it_was_typed(editor: httpx2.AsyncClient) -> None:
    await save(editor, "No-shows of ANA")
    assert "named &#39;No-shows of ANA&#39;." in (await save(editor, "No-shows of ANA", "outcome=fallback")).text


async def test_views_are_renamed_shared_and_deleted(running: Running, editor: httpx2.AsyncClient) -> None:
    await save(editor, "mine")
    [row] = await running.read("SELECT id FROM saved_views")
    path = f"/console/views/{row['id']}"
    renamed = await post(editor, "/console/views", path, name="ours", shared="on")
    assert renamed.headers["location"] == "/console/views?done=view-changed"
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as viewer:
        await log_in(viewer, "vera")
        assert await tabs_of(viewer) == [("ours", False)]
        assert path not in (await viewer.get("/console/views")).text
        for refused in (path, f"{path}/delete"):
            assert (await post(viewer, "/console/views", refused, name="theirs")).status_code == 403
        assert (await save(viewer, "own")).status_code == 303
        assert (await save(viewer, "for all", "state=ended", shared="on")).status_code == 403
        deleted = await post(editor, "/console/views", f"{path}/delete")
        assert deleted.status_code == 303
        assert await tabs_of(viewer) == [("own", False)]


async def test_forms_of_views_need_the_token_of_the_session(running: Running, editor: httpx2.AsyncClient) -> None:
    await save(editor, "mine")
    [row] = await running.read("SELECT id FROM saved_views")
    for path in ("/console/views", f"/console/views/{row['id']}", f"/console/views/{row['id']}/delete"):
        answer = await editor.post(path, data={"name": "x", "query": QUERY, "csrf": "0" * 64})
        assert answer.status_code == 403, path
    assert await tabs_of(editor) == [("mine", False)]


async def test_a_view_whose_filters_cannot_be_read_any_more_says_so(
    running: Running, editor: httpx2.AsyncClient
) -> None:
    await save(editor, "old")
    await running.join("ana", "hall")
    stored = "outcome=no_agnet&mood=sad&since=then&agent=support"
    running.database.execute("UPDATE saved_views SET query = :query", query=stored)
    page = (await editor.get(f"/console/calls?{stored}")).text
    assert "Not all of these filters can be read" in page
    for part in ("<code>outcome</code>", "<code>no_agent</code>", "<code>mood</code>", "<code>since</code>"):
        assert part in page
    assert "not readable" in (await editor.get("/console/calls")).text
    assert "Not readable" in (await editor.get("/console/views")).text
    token = await running.token(Role.EDITOR)
    owner = await running.read("SELECT id FROM users WHERE name = 'editor user'")
    running.database.execute("UPDATE saved_views SET user_id = :owner", owner=owner[0]["id"])
    listed = await running.client(token).get("/api/v1/views")
    assert [one["query"] for one in listed.json()["items"]] == [stored]


@pytest.mark.parametrize(
    ("address", "is_readable"),
    [
        (f"state={CallState.NO_SHOW}&outcome={CallOutcome.NO_AGENT}&metadata=language%3Des", True),
        ("from=2026-11-02T14:00&zone=-60&cursor=nonsense", True),
        ("since=2026-11-02T14:00:00Z&until=2026-11-02T15:00:00%2B01:00", True),
        ("zone=--5&range=today", True),
        ("since=2026-11-02T14:00:00", False),
        ("to=0001-01-01T00:00&zone=-60", False),
        ("range=tomorrow", False),
    ],
)
async def test_the_list_says_which_filters_of_its_address_it_cannot_read(
    editor: httpx2.AsyncClient, address: str, *, is_readable: bool
) -> None:
    answer = await editor.get(f"/console/calls?{address}")
    assert answer.status_code == 200
    assert ("Not all of these filters can be read" not in answer.text) is is_readable
    file = await editor.get(f"/console/calls/export?format=jsonl&{address}")
    assert file.status_code == (200 if is_readable else 422)


async def test_views_over_the_api_are_those_of_the_tokens_user(running: Running) -> None:
    editor = running.client(await running.token(Role.EDITOR))
    viewer = running.client(await running.token(Role.VIEWER))
    made = await editor.post("/api/v1/views", json={"name": "mine", "query": QUERY})
    assert made.status_code == 201, made.text
    view = made.json()
    assert (view["owner"], view["shared"], view["query"]) == ("editor user", False, QUERY)
    path = f"/api/v1/views/{view['id']}"
    assert (await viewer.get("/api/v1/views")).json() == {"items": []}
    assert (await viewer.get(path)).status_code == 404
    assert (await editor.post("/api/v1/views", json={"name": "mine", "query": QUERY})).status_code == 409
    typo = await editor.post("/api/v1/views", json={"name": "typo", "query": "state=waitign"})
    assert typo.status_code == 422
    assert "waiting" in typo.text
    changed = await editor.patch(path, json={"shared": True, "name": "ours"})
    assert changed.json()["name"] == "ours"
    assert (await viewer.get(path)).json() == changed.json()
    assert (await viewer.post("/api/v1/views", json={"name": "x", "query": QUERY})).status_code == 403
    assert (await editor.delete(path)).status_code == 200
    assert (await viewer.get(path)).status_code == 404
