"""The API and the console for users who are restricted to projects, and for tokens that may only decide."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import httpx2
from sqlalchemy import Connection

from app.accounts.roles import Role
from app.accounts.tokens import issue_token
from app.accounts.users import set_projects
from app.db.types import IncidentKind
from app.incidents.changes import Changes
from app.incidents.incident_store import write_changes
from app.incidents.sighting import Key, Level, Sighting
from app.rules.editing.edit_rule import change_rule, create_rule
from app.server.api.routes import ENDPOINTS
from tests.harness.serving import until
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import log_in, post

RULE = {"name": "all", "pattern": {"event": ["participant_joined"]}, "agent_name": "greeter"}


async def restricted(running: Running, *projects: str, role: Role = Role.EDITOR) -> httpx2.AsyncClient:
    """Return a client whose user may see these projects only."""
    user = await running.add_user(f"user of {' '.join(projects)}", role)
    now = datetime.now(UTC)
    await running.write(lambda c: set_projects(c, user.id, projects, by="test", now=now))
    _, secret = await running.write(lambda c: issue_token(c, user.id, "test", role, by="test", now=now))
    return running.client(secret)


async def with_calls(running: Running) -> tuple[str, str]:
    """Store a call of the project `default` and one of `other`; return the ids of their events."""
    await running.client(await running.token()).post("/api/v1/rules", json=RULE)
    own, _ = await running.join("ana", "hall")
    foreign, _ = await running.join("bob", "yard")
    engine = running.database.writer_engine()
    with engine.begin() as connection:
        for table in ("events", "dispatches"):
            connection.exec_driver_sql(f"UPDATE {table} SET project = 'other' WHERE room_name = 'yard'")
    return own, foreign


async def rooms_in(client: httpx2.AsyncClient, path: str) -> set[str]:
    return {one["room_name"] for one in (await client.get(f"/api/v1/{path}")).json()["items"]}


async def test_lists_and_records_hold_the_own_projects_only(running: Running) -> None:
    own, foreign = await with_calls(running)
    client = await restricted(running, "default")
    everything = running.client(await running.token(Role.VIEWER))
    for path in ("events", "dispatches", "calls"):
        assert {one["room_name"] for one in (await everything.get(f"/api/v1/{path}")).json()["items"]} == {
            "hall",
            "yard",
        }
        assert {one["room_name"] for one in (await client.get(f"/api/v1/{path}")).json()["items"]} == {"hall"}
        assert (await client.get(f"/api/v1/{path}?project=other")).json()["items"] == []
        assert (await client.get(f"/api/v1/{path}?search=bob")).json()["items"] == []
    (dispatch,) = await running.read("SELECT id FROM dispatches WHERE project = 'other'")
    made = dispatch["id"]
    for path in (f"events/{foreign}", f"calls/{foreign}", "calls/bob", f"explain?of={foreign}", f"calls/{made}",
                 f"dispatches/{made}"):  # fmt: skip
        assert (await client.get(f"/api/v1/{path}")).status_code == 404, path
        assert (await everything.get(f"/api/v1/{path}")).status_code == 200, path
    assert (await client.get(f"/api/v1/calls/{own}")).status_code == 200


async def test_what_is_of_other_projects_cannot_be_changed(running: Running) -> None:
    _, foreign = await with_calls(running)
    client = await restricted(running, "default")
    (dispatch,) = await running.read("SELECT id, status FROM dispatches WHERE project = 'other'")
    for path, body in (
        ("dispatches/cancel", {"ids": [dispatch["id"]]}),
        ("dispatches/redrive", {"ids": [dispatch["id"]]}),
        (f"events/{foreign}/replay", None),
    ):
        answer = await client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 404, path
    (after,) = await running.read("SELECT id, status FROM dispatches WHERE project = 'other'")
    assert after["status"] != "cancelled"
    assert not await running.read("SELECT id FROM events WHERE source = 'replay'")


async def test_rules_are_written_for_the_own_projects_only(running: Running) -> None:
    everything = running.client(await running.token())
    for_all = (await everything.post("/api/v1/rules", json=RULE)).json()
    foreign: dict[str, Any] = {**RULE, "name": "foreign", "pattern": {"project": ["other"]}}
    foreign_id = (await everything.post("/api/v1/rules", json=foreign)).json()["id"]
    client = await restricted(running, "default")
    refused = await client.post("/api/v1/rules", json={**RULE, "name": "mine"})
    assert refused.status_code == 422
    assert "pattern.project" in refused.text
    own = await client.post("/api/v1/rules", json={**RULE, "name": "mine", "pattern": {"project": ["default"]}})
    assert own.status_code == 201
    listed = [one["name"] for one in (await client.get("/api/v1/rules")).json()["items"]]
    assert sorted(listed) == ["all", "mine"]
    assert (await client.get(f"/api/v1/rules/{foreign_id}")).status_code == 404
    path, tag = f"/api/v1/rules/{own.json()['id']}", {"If-Match": own.headers["etag"]}
    assert (await client.patch(path, json={"pattern": {"project": ["other"]}}, headers=tag)).status_code == 422
    assert (await client.patch(path, json={"priority": 7}, headers=tag)).status_code == 200
    for rule_id in (for_all["id"], foreign_id):
        anyhow = {"If-Match": "*"}
        changed = await client.patch(f"/api/v1/rules/{rule_id}", json={"enabled": False}, headers=anyhow)
        assert changed.status_code == 422
        assert (await client.delete(f"/api/v1/rules/{rule_id}", headers=anyhow)).status_code == 422
    assert (await client.delete(path, headers={"If-Match": "*"})).status_code == 200


async def test_a_rule_given_to_another_project_meanwhile_cannot_be_changed_or_deleted(running: Running) -> None:
    everything = running.client(await running.token())
    own = {**RULE, "pattern": {"project": ["default"]}}
    client = await restricted(running, "default")
    for method, body in (("PATCH", {"priority": 7}), ("DELETE", None)):
        rule = (await everything.post("/api/v1/rules", json={**own, "name": method})).json()
        path, begun, goes_on = f"/api/v1/rules/{rule['id']}", threading.Event(), threading.Event()

        def give_away(connection: Connection) -> None:
            begun.set()  # noqa: B023 - awaited below
            assert goes_on.wait(60)  # noqa: B023 - likewise
            change_rule(connection, rule["id"], {"pattern": {"project": ["other"]}}, "x", None, whole=False)  # noqa: B023

        giving = asyncio.create_task(running.write(give_away))
        assert await asyncio.to_thread(begun.wait, 60)
        # When the user changes it while another edit of it is under way
        changing = asyncio.create_task(client.request(method, path, json=body, headers={"If-Match": "*"}))
        await until(lambda: running.service.orchestrator.context.writer.backlog)
        goes_on.set()
        await giving
        # Then it is seen as it is after that edit
        assert (await changing).status_code == 422, method
        found = (await everything.get(path)).json()
        assert (found["pattern"], found["priority"]) == ({"project": ["other"]}, 100)


async def test_statistics_are_of_the_own_projects(running: Running) -> None:
    await with_calls(running)
    everything = running.client(await running.token(Role.VIEWER))
    client = await restricted(running, "default", role=Role.VIEWER)
    strangers = await restricted(running, "third", role=Role.VIEWER)
    for query in ("", "?rule=all", "?agent=greeter", "?hours=1"):
        counts = [
            (await one.get(f"/api/v1/statistics{query}")).json()["overall"]["dispatches"]
            for one in (everything, client, strangers)
        ]
        assert counts == [2, 1, 0], query
    assert [one["rule"] for one in (await strangers.get("/api/v1/statistics")).json()["rules"]] == []
    calls = [(await one.get("/api/v1/statistics")).json()["calls"] for one in (everything, client, strangers)]
    assert [one["calls"] for one in calls] == [2, 1, 0]
    assert [one["decided"] + one["waiting"] for one in calls] == [2, 1, 0]


async def test_objectives_are_of_rules_for_the_own_projects_alone(running: Running) -> None:
    everything = running.client(await running.token())
    patterns: dict[str, Any] = {"mine": ["default"], "ours": ["default", "other"], "theirs": ["other"]}
    for name, projects in patterns.items():
        rule = {**RULE, "name": name, "pattern": {"project": projects}, "objective_percent": 90, "objective_s": 5}
        assert (await everything.post("/api/v1/rules", json=rule)).status_code == 201
    client = await restricted(running, "default", role=Role.VIEWER)
    found = [[one["rule"] for one in (await user.get("/api/v1/statistics")).json()["objectives"]]
             for user in (everything, client)]  # fmt: skip
    assert found == [["mine", "ours", "theirs"], ["mine"]]


async def test_drafts_are_tried_on_calls_of_the_own_projects(running: Running) -> None:
    await with_calls(running)
    everything = running.client(await running.token(Role.VIEWER))
    client = await restricted(running, "default", role=Role.VIEWER)
    order = {"rules": [{**RULE, "agent_name": "another"}]}
    whole, own = [(await one.post("/api/v1/simulate", json=order)).json() for one in (everything, client)]
    assert (whole["events"], own["events"], own["changes"]) == (2, 1, 1)
    assert '"bob"' in json.dumps(whole)
    assert '"bob"' not in json.dumps(own)
    assert "ana" in json.dumps(own)


async def test_figures_over_time_hold_the_own_projects_only(running: Running) -> None:
    await with_calls(running)
    everything = running.client(await running.token(Role.VIEWER))
    client = await restricted(running, "default", role=Role.VIEWER)
    whole, own = [(await one.get("/api/v1/statistics/over-time?hours=1")).json() for one in (everything, client)]
    assert [sum(point["dispatches"] for point in one["points"]) for one in (whole, own)] == [2, 1]
    assert [mark["rules"] for mark in whole["changes"]] == [["all"]]
    assert own["changes"] == []  # the rule is about calls of both projects
    mine = {**RULE, "name": "mine", "pattern": {"project": ["default"]}}
    await running.write(lambda connection: create_rule(connection, mine, "maria"))
    own = (await client.get("/api/v1/statistics/over-time?hours=2")).json()
    assert [mark["rules"] for mark in own["changes"]] == [["mine"]]


def _open_incidents(connection: Connection, now: datetime) -> None:
    for project in ("default", "other", ""):
        key = Key(IncidentKind.NO_SHOW, "greeter", project)
        write_changes(connection, Changes(opened=[Sighting(key, Level.OPEN, 1, {})]), now)


async def test_incidents_are_of_the_own_projects(running: Running) -> None:
    now = datetime.now(UTC)
    await running.write(lambda connection: _open_incidents(connection, now))
    everything = (await running.client(await running.token()).get("/api/v1/incidents")).json()["items"]
    ids = {one["project"]: one["id"] for one in everything}
    assert ids.keys() == {"default", "other", ""}
    client = await restricted(running, "default")
    assert [one["id"] for one in (await client.get("/api/v1/incidents")).json()["items"]] == [ids["default"]]
    for project, status in (("default", 200), ("other", 404), ("", 404)):
        path = f"/api/v1/incidents/{ids[project]}"
        assert (await client.get(path)).status_code == status
        assert (await client.post(f"{path}/mute", json={"minutes": 5})).status_code == status
        assert (await client.post(f"{path}/unmute")).status_code == status


async def test_operations_on_all_projects_are_refused(running: Running) -> None:
    client = await restricted(running, "default", role=Role.EDITOR)
    for endpoint in ENDPOINTS:
        if endpoint.by_project:
            continue
        path = endpoint.path
        for name in ("rule_id", "user_id", "token_id", "session_id", "event_id", "reference", "dispatch_id"):
            path = path.replace(f"{{{name}}}", "1")
        answer = await client.request(endpoint.method, path, json={} if endpoint.body else None)
        assert answer.status_code == 403, (endpoint.method, path, answer.text)


async def test_a_decider_who_logs_in_reads_what_the_role_is_for(running: Running) -> None:
    await running.add_user("token server", Role.DECIDER)
    async with running.client() as client:
        page = await log_in(client, "token server")
        assert page.status_code == 403
        assert "The role decider has no pages" in page.text
        assert "POST /api/v1/decide" in page.text
        assert (await client.get("/console/calls")).status_code == 303
    assert await running.read("SELECT 1 FROM sessions") == []


async def test_a_token_of_the_role_decider_decides_and_nothing_else(running: Running) -> None:
    await running.client(await running.token()).post("/api/v1/rules", json=RULE)
    user = await running.add_user("token server", Role.DECIDER)
    now = datetime.now(UTC)
    _, secret = await running.write(lambda c: issue_token(c, user.id, "test", Role.DECIDER, by="test", now=now))
    client = running.client(secret)
    order = {"participant": {"identity": "ana"}, "room": {"name": "hall"}}
    answer = await client.post("/api/v1/decide", json=order)
    assert [one["agent_name"] for one in answer.json()["agents"]] == ["greeter"]
    assert (await client.get("/api/v1/me")).json() == {"name": "token server", "role": "decider", "projects": None}
    for path in ("rules", "events", "dispatches", "calls", "statistics", "agents", "health", "users"):
        assert (await client.get(f"/api/v1/{path}")).status_code == 403, path
    viewer = running.client(await running.token(Role.VIEWER))
    assert (await viewer.post("/api/v1/decide", json=order)).status_code == 403


async def test_decisions_are_made_for_the_own_projects_only(running: Running) -> None:
    client = await restricted(running, "other")
    order = {"participant": {"identity": "ana"}, "room": {"name": "hall"}}
    assert (await client.post("/api/v1/decide", json=order)).status_code == 422
    assert (await client.post("/api/v1/decide", json={**order, "project": "default"})).status_code == 422


async def test_a_restriction_to_a_project_that_is_not_configured_is_refused(of_projects: Running) -> None:
    admin = of_projects.client(await of_projects.token())
    user = await of_projects.add_user("ben", Role.VIEWER)
    path = f"/api/v1/users/{user.id}"
    orders = [
        (admin.post, "/api/v1/users", {"name": "ana", "projects": ["a", "A"]}),
        (admin.patch, path, {"projects": ["A"]}),
        (admin.post, f"{path}/tokens", {"name": "x", "projects": ["A"]}),
    ]
    for send, to, order in orders:
        answer = await send(to, json=order)
        assert answer.status_code == 422, answer.text
        [problem] = answer.json()["errors"]
        assert (problem["found"], problem["suggestion"]) == ("A", "a")
        assert problem["message"] == "'A' is none of the LiveKit projects that are configured: 'a', 'b'"
    # A restriction that was made while there was such a project may stay
    now = datetime.now(UTC)
    await of_projects.write(lambda c: set_projects(c, user.id, ["gone"], by="test", now=now))
    assert (await admin.patch(path, json={"projects": ["gone", "a"]})).json()["projects"] == ["a", "gone"]


async def test_pages_refuse_a_restriction_to_a_project_that_is_not_configured(of_projects: Running) -> None:
    await of_projects.add_user("maria", Role.ADMIN)
    user = await of_projects.add_user("ben", Role.VIEWER)
    async with of_projects.client() as admin:
        await log_in(admin, "maria")
        path = f"/console/users/{user.id}"
        for to, form in (
            ("/console/users", {"name": "ana", "role": "viewer", "projects": "a, A"}),
            (f"{path}/projects", {"projects": "A"}),
            (f"{path}/tokens", {"token_name": "x", "role": "viewer", "projects": "A", "days": "90"}),
        ):
            page = await post(admin, "/console/users", to, **form)
            assert page.status_code == 422, page.text
            assert "&#39;A&#39; is none of the LiveKit projects that are configured" in page.text
        done = await post(admin, "/console/users", f"{path}/projects", projects="b")
        assert done.status_code == 303


async def test_admins_restrict_users_over_the_api(of_projects: Running) -> None:
    running = of_projects
    admin = running.client(await running.token())
    made = (await admin.post("/api/v1/users", json={"name": "ana", "role": "editor", "projects": ["a"]})).json()
    assert made["projects"] == ["a"]
    path = f"/api/v1/users/{made['id']}"
    assert (await admin.patch(path, json={"disabled": False})).json()["projects"] == ["a"]
    assert (await admin.patch(path, json={"projects": ["b", "a"]})).json()["projects"] == ["a", "b"]
    token = await admin.post(f"{path}/tokens", json={"name": "x", "role": "viewer", "projects": ["b"]})
    assert token.json()["projects"] == ["b"]
    assert (await running.client(token.json()["secret"]).get("/api/v1/me")).json()["projects"] == ["b"]
    changes = "SELECT reason FROM audit_log WHERE to_state = 'restricted'"
    before = await running.read(changes)
    assert (await admin.patch(path, json={"projects": ["a", "b", "a"]})).json()["projects"] == ["a", "b"]
    assert await running.read(changes) == before
    assert (await admin.patch(path, json={"role": "admin"})).status_code == 422
    assert (await admin.patch(path, json={"role": "admin", "projects": ["a"]})).status_code == 422
    changed = (await admin.patch(path, json={"role": "admin", "projects": None})).json()
    assert (changed["role"], changed["projects"]) == ("admin", None)
    changed = (await admin.patch(path, json={"role": "viewer", "projects": ["a"]})).json()
    assert (changed["role"], changed["projects"]) == ("viewer", ["a"])
    assert (await admin.patch(path, json={"projects": None})).json()["projects"] is None
    assert (await admin.patch(path, json={"projects": []})).status_code == 422
