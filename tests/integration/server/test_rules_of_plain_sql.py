"""Rules that plain SQL wrote on SQLite, which takes JSON that neither a form nor PostgreSQL does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from app.accounts.roles import Role
from tests.conftest import Database
from tests.integration.server.conftest import Running, running_service
from tests.integration.server.test_console import log_in

PATTERN = '{"participant": {"identity": ["nobody"]}}'
RULES = [
    ("good", "{}", None),
    ("infinite pattern", '{"participant": {"metadata": {"n": [1e999]}}}', None),
    ("infinite metadata", PATTERN, '{"x": 1e999}'),
    ("half a pair", PATTERN, r'{"x": "\ud800v"}'),
]


@pytest.fixture
async def running(sqlite_database: Database) -> AsyncIterator[Running]:
    for name, pattern, metadata in RULES:
        sqlite_database.execute(
            "INSERT INTO routing_rules (name, pattern, agent_name, metadata) VALUES (:name, :pattern, 'a', :metadata)",
            name=name,
            pattern=pattern,
            metadata=metadata,
        )
    async with running_service(sqlite_database) as running:
        yield running


async def test_every_list_and_page_of_rules_is_shown(running: Running) -> None:
    rules = [row["id"] for row in await running.read("SELECT id FROM routing_rules")]
    async with running.client(await running.token()) as client:
        paths = ["rules", "rules/history", "rules/export", *(f"rules/{one}" for one in rules)]
        for path in paths:
            answer = await client.get(f"/api/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
        listed = {one["name"]: one for one in (await client.get("/api/v1/rules")).json()["items"]}
        assert listed["infinite metadata"]["metadata"] == {"x": "1e999"}
        assert listed["half a pair"]["metadata"] == {"x": "\ufffdv"}
        assert {name: [one["path"] for one in listed[name]["problems"]] for name in listed} == {
            "good": [],
            "infinite pattern": ["pattern"],
            "infinite metadata": ["metadata.x"],
            "half a pair": [],
        }
    await running.add_user("eva", Role.ADMIN)
    async with running.client() as browser:
        assert (await log_in(browser, "eva")).status_code == 303
        for path in ("", *(f"/{one}" for one in rules)):
            assert (await browser.get(f"/console/rules{path}")).status_code == 200, path


async def test_a_rule_whose_pattern_holds_no_number_of_json_is_named_as_unusable(running: Running) -> None:
    async with running.client(await running.token()) as client:
        answer: httpx2.Response = await client.get("/readyz")
        assert "infinite pattern" in answer.text
