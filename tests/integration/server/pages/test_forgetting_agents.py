"""Agents that nothing names are marked, and forgotten from the console and over the API."""

from __future__ import annotations

import httpx2

from app.accounts.roles import Role
from tests.conftest import PASSWORD
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

RULE = "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('vip', '{}', 'support')"


def limit(running: Running, agent: str) -> None:
    running.database.execute("INSERT INTO agents (agent_name, max_calls) VALUES (:agent, 3)", agent=agent)


async def test_an_agent_is_forgotten_on_its_page(running: Running) -> None:
    running.database.execute(RULE)
    for agent in ("support", "suport"):
        limit(running, agent)
    await running.add_user("eva", Role.EDITOR)
    async with running.client() as editor:
        await log_in(editor, "eva", PASSWORD)
        listed = (await editor.get("/console/agents")).text
        assert listed.count("no rule, agent or dispatch names it") == 1
        form = {"agent_name": "support"}
        refused = await post(editor, "/console/agents/support", "/console/forget-agent", **form)
        assert refused.status_code == 409
        assert "cannot be forgotten; named by: the rule" in refused.text
        done = await post(editor, "/console/agents/suport", "/console/forget-agent", agent_name="suport")
        assert done.status_code == 303
        assert "suport" not in (await editor.get("/console/agents")).text.replace("support", "")


async def test_an_agent_is_forgotten_over_the_api(running: Running) -> None:
    running.database.execute(RULE)
    for agent in ("support", "suport"):
        limit(running, agent)
    async with running.client(await running.token(Role.EDITOR)) as client:
        unused = {one["name"]: one["is_unused"] for one in (await client.get("/api/v1/agents")).json()["items"]}
        assert unused == {"support": False, "suport": True}
        refused: httpx2.Response = await client.post("/api/v1/agents/support/forget")
        assert (refused.status_code, "the rule 'vip'" in refused.json()["detail"]) == (409, True)
        assert (await client.post("/api/v1/agents/suport/forget")).json()["max_calls"] == 3
        assert (await client.post("/api/v1/agents/suport/forget")).status_code == 404
        assert [one["name"] for one in (await client.get("/api/v1/agents")).json()["items"]] == ["support"]
