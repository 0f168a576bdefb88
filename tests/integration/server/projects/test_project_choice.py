"""Requests that may leave the LiveKit project out, where there are several."""

from __future__ import annotations

from typing import Any

import pytest

from app.accounts.roles import Role
from tests.conftest import PASSWORD
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

JOIN = {
    "event": "participant_joined",
    "id": "EV_1",
    "createdAt": "1700000000",
    "room": {"name": "hall", "sid": "RM_1"},
    "participant": {"identity": "ana", "sid": "PA_1", "state": "ACTIVE"},
}


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("agents/greeter/probe", {"timeout_s": 0.5}),
        ("lookups/crm/test", {"event": JOIN}),
        ("decide", {"participant": {"identity": "ana"}, "room": {"name": "hall"}}),
    ],
)
async def test_a_request_without_a_project_is_refused_where_there_are_several(
    of_projects: Running, path: str, order: dict[str, Any]
) -> None:
    api = of_projects.client(await of_projects.token())
    await of_projects.write(
        lambda connection: connection.exec_driver_sql(
            "INSERT INTO lookups (name, pattern, url) VALUES ('crm', '{}', 'https://crm.test/ask')"
        )
    )
    answer = await api.post(f"/api/v1/{path}", json=order)
    assert answer.status_code == 422, answer.text
    assert [(one["path"], one["message"]) for one in answer.json()["errors"]] == [
        ("project", "is required, one of the configured projects: a, b")
    ]
    assert await of_projects.read("SELECT * FROM probes") == []
    named = await api.post(f"/api/v1/{path}", json={**order, "project": "b"})
    assert named.status_code == 200, named.text


async def test_each_button_that_probes_names_a_project(of_projects: Running) -> None:
    await of_projects.add_user("eva", Role.EDITOR)
    await of_projects.write(
        lambda connection: connection.exec_driver_sql("INSERT INTO agents (agent_name) VALUES ('greeter')")
    )
    async with of_projects.client() as client:
        await log_in(client, "eva", PASSWORD)
        for path in ("/console/agents", "/console/agents/greeter"):
            page = (await client.get(path)).text
            assert '<select name="project" aria-label="LiveKit project of the probe">' in page, path
        refused = await post(client, "/console/account", "/console/probe", probe="greeter")
        assert refused.status_code == 422
        assert "is required, one of the configured projects: a, b" in refused.text
        assert '<select name="project"' in refused.text
        named = await post(client, "/console/account", "/console/probe", probe="greeter", project="b")
        assert named.status_code == 200
    assert [one["project"] for one in await of_projects.read("SELECT project FROM probes")] == ["b"]
