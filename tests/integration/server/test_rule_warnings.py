"""Warnings of rules that are saved, from recent events, agents and the other rules."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.accounts.roles import Role
from app.audit import read_recent_traffic
from app.audit.lists import recent_traffic
from app.clock import SystemClock
from tests.integration.server.conftest import Running

RULE = {
    "name": "spanish",
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "agent_name": "support-es",
}


async def kinds(client: httpx2.AsyncClient, draft: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Return path and suggestion of each warning about a draft, by kind."""
    checked = (await client.post("/api/v1/rules/check", json=draft)).json()
    assert checked["valid"], checked
    return {one["kind"]: (one["path"], one["suggestion"]) for one in checked["warnings"]}


async def test_a_draft_is_compared_with_recent_events_agents_and_rules(running: Running) -> None:
    async with running.client(await running.token(Role.EDITOR)) as client:
        # Given a service that has seen nothing yet, nothing is missed
        draft = {**RULE, "agent_name": "suport-es", "pattern": {"participant": {"metadata": {"langauge": ["es"]}}}}
        assert await kinds(client, draft) == {}
        assert (await client.post("/api/v1/rules", json=RULE)).json()["warnings"] == []
        # When callers and an agent have joined a moment ago
        await running.join("ana", "hall", metadata={"language": "es"})
        await running.join("bob", "hall-2", metadata={"language": "en"})
        agent = {"kind": "AGENT", "attributes": {"lk.agent_name": "support-es"}}
        await running.join("agent-AJ_1", "hall", **agent)
        # Then what they lack is named, with the nearest that they have
        assert await kinds(client, {**draft, "priority": 50, "name": "other"}) == {
            "unseen_path": ("participant.metadata.langauge", "participant.metadata.language"),
            "unseen_agent": ("agent_name", "support-es"),
        }
        pattern = {"participant": {"metadata": {"language": ["ess"]}}}
        assert await kinds(client, {**RULE, "name": "other", "pattern": pattern}) == {
            "unseen_value": ("participant.metadata.language", '"es"')
        }
        # And a rule of the same priority that an event can match, too
        vip = {**RULE, "name": "vip", "pattern": {"room": {"name": [{"prefix": "hall"}]}}}
        assert await kinds(client, vip) == {"priority_tie": ("priority", None)}
        assert await kinds(client, {**vip, "priority": 99}) == {}
        # And the rule as it was saved has the same warnings as its draft
        saved = (await client.post("/api/v1/rules", json=vip)).json()
        assert [one["kind"] for one in saved["warnings"]] == ["priority_tie"]
        applied = await client.post("/api/v1/rules/apply", json={"rules": [RULE, vip], "dry_run": True})
        assert {one["rule"] for one in applied.json()["warnings"]} == {"spanish", "vip"}
        assert (await client.get("/api/v1/rules")).json()["items"][0]["warnings"] == []


async def test_only_the_latest_events_are_read(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_traffic, "MOST_EVENTS", 3)
    clock = SystemClock()

    async def read(known: Any = None) -> Any:
        return await running.write(lambda connection: read_recent_traffic(connection, clock.now(), (), known))

    for number in range(2):
        await running.join(f"user-{number}", f"hall-{number}")
    first = await read()
    assert (first.traffic.is_whole, first.traffic.events["participant_joined"]) == (True, 2)
    assert (await read(first)).traffic.events == first.traffic.events
    await running.join("user-2", "hall-2")
    second = await read(first)
    assert (second.traffic.events["participant_joined"], first.traffic.events["participant_joined"]) == (3, 2)
    for number in range(3, 9):
        await running.join(f"user-{number}", f"hall-{number}")
    third = await read(second)
    assert (third.traffic.is_whole, third.traffic.events["participant_joined"]) == (False, 3)
