"""The page of a call, over HTTP."""

from __future__ import annotations

import re

import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in


@pytest.mark.parametrize(
    "columns",
    [
        {"paused_until": "9999-12-31"},
        {"active_hours": "1900 Jan 01 00:00-24:00"},
        {"rollout_percent": 0},
    ],
)
async def test_a_rule_that_only_lacked_its_time_or_share_stands_next_to_the_matched_one(
    running: Running, columns: dict[str, str | int]
) -> None:
    for row in (
        {"name": "nearly", "pattern": "{}", "priority": 1, **columns},
        {"name": "all", "pattern": "{}"},
        {"name": "other", "pattern": '{"room": {"name": ["nowhere"]}}'},
    ):
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        running.database.execute(f"INSERT INTO routing_rules (agent_name, {names}) VALUES ('a', {places})", **row)
    await running.add_user("vera", Role.VIEWER)
    event_id, _ = await running.join("ana", "hall")
    async with running.client() as client:
        await log_in(client, "vera")
        page = (await client.get(f"/console/calls/{event_id}")).text
    found = re.search(r'aria-label="Rules tried".*?</table>', page, re.DOTALL)
    assert found is not None
    assert re.findall(r'class="who"[^>]*><bdi>(.*?)</bdi>', found[0]) == ["all", "nearly"]
