"""The JSON API over HTTP, on both kinds of database."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from app.accounts.roles import Role
from tests.integration.server.conftest import Running

RULE = {
    "name": "spanish",
    "pattern": {"participant": {"metadata": {"language": ["es"]}}},
    "agent_name": "support-es",
}


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[httpx2.AsyncClient]:
    async with running.client(await running.token(Role.ADMIN, "maria")) as client:
        yield client


async def test_reads_go_on_while_the_database_takes_no_writes(running: Running) -> None:
    async with running.client(await running.token(Role.VIEWER)) as client:
        with running.database.writer_engine().begin() as holding:
            holding.exec_driver_sql("UPDATE api_tokens SET last_used_at = last_used_at")
            for path in ("rules", "me", "calls", "statistics"):
                assert (await client.get(f"/api/v1/{path}")).status_code == 200, path
        assert (await running.read("SELECT last_used_at FROM api_tokens"))[0]["last_used_at"] is None


async def test_a_valid_token_is_required(running: Running) -> None:
    async with running.client() as client:
        for headers in ({}, {"Authorization": "Bearer usher_wrong"}, {"Authorization": "Basic abc"}):
            answer = await client.get("/api/v1/rules", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.get("/api/openapi.json")).status_code == 200
        assert (await client.get("/api")).status_code == 200


@pytest.mark.parametrize(
    ("role", "statuses"),
    [(Role.VIEWER, (200, 403, 403)), (Role.EDITOR, (200, 201, 403)), (Role.ADMIN, (200, 201, 200))],
)
async def test_roles(running: Running, role: Role, statuses: tuple[int, int, int]) -> None:
    async with running.client(await running.token(role)) as client:
        answers = (
            await client.get("/api/v1/rules"),
            await client.post("/api/v1/rules", json=RULE),
            await client.get("/api/v1/users"),
        )
        assert tuple(answer.status_code for answer in answers) == statuses


async def test_a_rule_is_created_changed_deleted_and_reverted(admin: httpx2.AsyncClient) -> None:
    made = await admin.post("/api/v1/rules", json=RULE)
    assert made.status_code == 201, made.text
    rule, tag = made.json(), made.headers["etag"]
    url = made.headers["location"]
    assert rule["priority"] == 100
    assert rule["updated_by"] == "maria"

    assert (await admin.patch(url, json={"priority": 5})).status_code == 428
    changed = await admin.patch(url, json={"priority": 5}, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert changed.json()["agent_name"] == "support-es"

    late = await admin.patch(url, json={"priority": 6}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert "maria" in late.json()["detail"]

    replaced = await admin.put(url, json=RULE, headers={"If-Match": changed.headers["etag"]})
    assert replaced.json()["priority"] == 100

    history = (await admin.get(f"{url}/history")).json()["items"]
    assert [(one["change"], one["changed_by"]) for one in history] == [
        ("update", "maria"),
        ("update", "maria"),
        ("insert", "maria"),
    ]
    gone = await admin.delete(url, headers={"If-Match": replaced.headers["etag"]})
    assert gone.status_code == 200
    assert (await admin.get(url)).status_code == 404
    back = await admin.post("/api/v1/rules/revert", json={"to_version": history[-1]["id"]})
    assert back.status_code == 200, back.text
    assert (await admin.get(url)).json()["priority"] == 100


async def test_every_mistake_is_listed_with_its_path(admin: httpx2.AsyncClient) -> None:
    bad = {"name": "", "pattern": {"room": "x"}, "agent_name": "a", "prioriti": 1, "max_attempts": 0}
    answer = await admin.post("/api/v1/rules", json=bad)
    assert answer.status_code == 422
    paths = {error["path"] for error in answer.json()["errors"]}
    assert {"name", "pattern.room", "prioriti", "max_attempts"} <= paths
    checked = (await admin.post("/api/v1/rules/check", json=bad)).json()
    assert not checked["valid"]
    assert {error["path"] for error in checked["errors"]} == paths
    assert (await admin.post("/api/v1/rules/check", json=RULE)).json() == {"valid": True, "errors": [], "warnings": []}


async def test_warnings_come_with_every_answer_about_a_rule(running: Running, admin: httpx2.AsyncClient) -> None:
    first = (await admin.post("/api/v1/rules", json=RULE)).json()
    assert (first["problems"], first["warnings"]) == ([], [])
    typo = {**RULE, "name": "typo", "priority": 90, "pattern": {"participant": {"metdata": {"language": ["es"]}}}}
    again = {**RULE, "name": "again"}
    # A draft is judged as it would stand in the book, whatever else is still wrong with it
    checked = (await admin.post("/api/v1/rules/check", json={**typo, "name": "", "max_attempts": 0})).json()
    assert [(one["kind"], one["path"], one["suggestion"]) for one in checked["warnings"]] == [
        ("field", "participant.metdata", "participant.metadata")
    ]
    checked = (await admin.post("/api/v1/rules/check", json=again)).json()
    assert [one["kind"] for one in checked["warnings"]] == ["shadowed"]
    assert "'spanish'" in checked["warnings"][0]["message"]
    # but the rule of that name is no other rule
    assert (await admin.post("/api/v1/rules/check", json=RULE)).json()["warnings"] == []
    made = (await admin.post("/api/v1/rules", json=again)).json()
    assert [one["kind"] for one in made["warnings"]] == ["shadowed"]
    await running.write(
        lambda c: c.exec_driver_sql(
            "INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('bad', '{\"room\": 1}', 'x')"
        )
    )
    listed = {rule["name"]: rule for rule in (await admin.get("/api/v1/rules")).json()["items"]}
    assert [one["kind"] for one in listed["again"]["warnings"]] == ["shadowed"]
    assert listed["spanish"]["warnings"] == listed["bad"]["warnings"] == []
    assert listed["bad"]["problems"][0]["path"] == "pattern.room"
    assert (await admin.get(f"/api/v1/rules/{made['id']}")).json()["warnings"] == made["warnings"]


async def test_an_objective_by_api_file_and_sql(running: Running, admin: httpx2.AsyncClient) -> None:
    half = await admin.post("/api/v1/rules", json={**RULE, "objective_percent": 95})
    assert [error["path"] for error in half.json()["errors"]] == ["objective_s"]
    wrong = await admin.post("/api/v1/rules", json={**RULE, "objective_percent": 100, "objective_s": "3 s"})
    assert {error["path"]: error["suggestion"] for error in wrong.json()["errors"]} == {
        "objective_percent": None,
        "objective_s": "3",
    }
    made = await admin.post("/api/v1/rules", json={**RULE, "objective_percent": 99.5, "objective_s": 3})
    assert (made.json()["objective_percent"], made.json()["objective_s"]) == (99.5, 3)
    exported = (await admin.get("/api/v1/rules/export")).json()
    assert exported["rules"][0]["objective_s"] == 3
    again = (await admin.post("/api/v1/rules/apply", json={**exported, "delete": True})).json()
    assert again["counts"]["unchanged"] == 1
    change = await admin.patch(made.headers["location"], json={"objective_s": None, "objective_percent": None},
                               headers={"If-Match": "*"})  # fmt: skip
    assert change.json()["objective_s"] is None
    (latest, _) = (await admin.get(f"{made.headers['location']}/history")).json()["items"]
    assert {"path": "objective_percent", "before": 99.5, "after": None} in latest["values"]
    # Given back by plain SQL, it is watched from the database
    await running.write(
        lambda c: c.exec_driver_sql("UPDATE routing_rules SET objective_percent = 90, objective_s = 0.5")
    )
    for identity in ("ana", "ben"):
        await running.join(identity, f"room-{identity}", metadata={"language": "es"})
    await running.write(
        lambda c: c.exec_driver_sql(
            "UPDATE dispatches SET status = 'joined', joined_at = created_at WHERE participant_identity = 'ana'"
        )
    )
    (rule,) = await running.read("SELECT * FROM routing_rules")
    assert (rule["objective_percent"], float(rule["objective_s"])) == (90, 0.5)
    found = (await admin.get("/api/v1/statistics", params={"hours": 6})).json()["objectives"]
    assert [(one["rule"], one["agent"], one["percent"], one["seconds"]) for one in found] == [
        ("spanish", "support-es", 90, 0.5)
    ]
    assert [window["hours"] for window in found[0]["windows"]] == [1, 6, 24]
    assert found[0]["windows"][0]["calls"] >= 1
    metrics = (await admin.get("/metrics")).text
    assert 'usher_objective_percent{rule="spanish"} 90.0' in metrics
    assert 'usher_objective_calls{rule="spanish",window="5m"}' in metrics


async def test_names_are_unique(admin: httpx2.AsyncClient) -> None:
    assert (await admin.post("/api/v1/rules", json=RULE)).status_code == 201
    again = await admin.post("/api/v1/rules", json=RULE)
    assert again.status_code == 409
    assert "already" in again.json()["detail"]


async def test_rules_come_in_matching_order_page_by_page(admin: httpx2.AsyncClient) -> None:
    for place, priority in enumerate([50, -7, 100, 50, 3]):
        await admin.post("/api/v1/rules", json={**RULE, "name": f"rule {place}", "priority": priority})
    names: list[str] = []
    cursor = None
    for _ in range(10):
        page = (await admin.get("/api/v1/rules", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        names += [rule["name"] for rule in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == ["rule 1", "rule 4", "rule 0", "rule 3", "rule 2"]


async def test_a_draft_is_tested_on_recent_events(running: Running, admin: httpx2.AsyncClient) -> None:
    await running.join("ana", "hall", metadata={"language": "es"})
    await running.join("bob", "hall", metadata={"language": "en"})
    trial = (await admin.post("/api/v1/rules/test", json={"rule": RULE})).json()
    assert (trial["events"], trial["matches"], trial["served"]) == (2, 1, 1)
    bob, ana = trial["items"]
    assert not bob["matches"]
    assert 'found "en"' in bob["why"]
    assert '"identity":"ana"' in ana["metadata"]
    await admin.post("/api/v1/rules", json={**RULE, "name": "first", "priority": 1})
    trial = (await admin.post("/api/v1/rules/test", json={"rule": RULE})).json()
    assert (trial["matches"], trial["served"]) == (1, 0)
    assert "'first'" in trial["items"][1]["why"]


async def test_rules_files(admin: httpx2.AsyncClient) -> None:
    order: dict[str, Any] = {"rules": [RULE, {**RULE, "name": "other"}], "dry_run": True}
    planned = (await admin.post("/api/v1/rules/apply", json=order)).json()
    assert (planned["written"], planned["counts"]["created"]) == (False, 2)
    assert [(one["rule"], one["kind"]) for one in planned["warnings"]] == [("other", "shadowed")]
    done = (await admin.post("/api/v1/rules/apply", json={**order, "dry_run": False})).json()
    assert done["version"] == 2
    assert done["warnings"] == planned["warnings"]
    assert "'spanish'" in done["warnings"][0]["message"]
    exported = (await admin.get("/api/v1/rules/export")).json()
    assert [rule["name"] for rule in exported["rules"]] == ["spanish", "other"]
    stale = await admin.post(
        "/api/v1/rules/apply", json={**order, "dry_run": False, "expected_version": 1, "rules": []}
    )
    assert stale.status_code in {200, 409}
    # Rules outside the file cause warnings, too, unless the file deletes them
    early = {"rules": [{**RULE, "name": "early", "priority": 1}], "dry_run": True}
    assert (await admin.post("/api/v1/rules/apply", json=early)).json()["warnings"] == []
    late = {"rules": [{**RULE, "name": "late", "priority": 999}], "dry_run": True}
    warned = (await admin.post("/api/v1/rules/apply", json=late)).json()["warnings"]
    assert [(one["rule"], one["kind"]) for one in warned] == [("late", "shadowed")]
    assert (await admin.post("/api/v1/rules/apply", json={**late, "delete": True})).json()["warnings"] == []
    gone = (await admin.post("/api/v1/rules/apply", json={"rules": [RULE], "delete": True})).json()
    assert gone["counts"]["deleted"] == 1
    assert gone["warnings"] == []
    back = (await admin.post("/api/v1/rules/revert", json={"to_version": 2, "dry_run": True})).json()
    assert [(one["rule"], one["kind"]) for one in back["warnings"]] == [("other", "shadowed")]


async def test_a_call_is_found_by_an_identity_with_slashes(running: Running, admin: httpx2.AsyncClient) -> None:
    event_id, _ = await running.join("acme/ana", "hall")
    found = (await admin.get("/api/v1/calls/acme%2Fana")).json()
    assert found["call"]["event_id"] == event_id


async def test_a_call_is_found_explained_cancelled_redriven_and_replayed(
    running: Running, admin: httpx2.AsyncClient
) -> None:
    await admin.post("/api/v1/rules", json=RULE)
    event_id, acceptance = await running.join("ana", "hall", metadata={"language": "es"})
    assert acceptance.outcome == "planned"
    (dispatch,) = (await admin.get("/api/v1/dispatches", params={"identity": "ana"})).json()["items"]
    assert dispatch["agent_name"] == "support-es"
    timeline = (await admin.get(f"/api/v1/calls/{event_id}")).json()
    assert timeline["call"]["participant_identity"] == "ana"
    explained = (await admin.get("/api/v1/explain", params={"of": "ana"})).json()
    assert explained["matched"] == ["spanish"]
    assert (await admin.get("/api/v1/calls", params={"state": "waiting"})).json()["items"][0]["event_id"] == event_id

    cancelled = (await admin.post("/api/v1/dispatches/cancel", json={"ids": [dispatch["id"]]})).json()
    assert cancelled == {"done": [dispatch["id"]], "refused": {}, "left_over": {}}
    again = (await admin.post("/api/v1/dispatches/redrive", json={"ids": [dispatch["id"]]})).json()
    assert again["done"] == [dispatch["id"]]
    refused = (await admin.post("/api/v1/dispatches/redrive", json={"ids": [dispatch["id"]]})).json()
    assert dispatch["id"] in refused["refused"]
    detail = (await admin.get(f"/api/v1/dispatches/{dispatch['id']}")).json()
    assert (detail["status"], detail["changes"][-1]["changed_by"]) == ("cancelled", "maria")
    following = (await admin.get(f"/api/v1/dispatches/{again['made'][dispatch['id']]}")).json()
    assert (following["replaces"], following["replaces_kind"]) == (dispatch["id"], "redrive")
    assert [change["changed_by"] for change in following["changes"]] == ["maria"]

    replayed = (await admin.post(f"/api/v1/events/{event_id}/replay")).json()
    assert replayed["outcome"] == "served"
    assert (await admin.get(f"/api/v1/events/{replayed['event_id']}")).json()["source"] == "replay"
    steps = (await admin.get(f"/api/v1/calls/{event_id}")).json()["steps"]
    (step,) = [step for step in steps if step["title"] == "the event was replayed"]
    assert (step["by"], step["event_id"]) == ("maria", event_id)
    assert step["reason"] == f"as event {replayed['event_id']}"
    assert "secret" not in (await admin.get(f"/api/v1/events/{event_id}")).text


async def test_a_call_is_handed_over(running: Running, admin: httpx2.AsyncClient) -> None:
    await admin.post("/api/v1/rules", json=RULE)
    await running.join("ana", "hall", metadata={"language": "es"})
    key = {"Idempotency-Key": "ticket 7"}
    order = {"agent_name": "manager", "context": {"order": 42}, "reason": "asked for one"}
    answer = await admin.post("/api/v1/calls/ana/handover?wait=0.1", json=order, headers=key)
    assert answer.status_code == 200
    made = answer.json()
    assert (made["status"], made["warnings"]) == ("under_way", ["no dispatch has asked for 'manager' before"])
    following = (await admin.get(f"/api/v1/dispatches/{made['dispatch_id']}")).json()
    assert (following["replaces"], following["replaces_kind"]) == (made["replaces"], "handover")
    assert json.loads(following["metadata"])["previous"]["context"] == {"order": 42}
    assert following["changes"][0]["reason"] == "handed over by maria: asked for one"
    again = (await admin.post("/api/v1/calls/ana/handover", json=order, headers=key)).json()
    assert again["dispatch_id"] == made["dispatch_id"]
    refused = await admin.post("/api/v1/calls/ana/handover", json={"agent_name": "other"})
    assert (refused.status_code, "handed over already" in refused.text) == (409, True)
    unknown = await admin.post("/api/v1/calls/nobody/handover", json=order)
    assert unknown.status_code == 404
    for wrong in ({}, {"agent_name": ""}, {"agent_name": "a", "timeout_s": 0}, {"agent_name": "a", "more": 1}):
        assert (await admin.post("/api/v1/calls/ana/handover", json=wrong)).status_code == 422
    await running.accept("participant_left", "ana", "hall")
    gone = await admin.post("/api/v1/calls/ana/handover", json=order)
    assert gone.status_code == 409
    await running.accept("room_finished", "ana", "hall")  # and the same request is answered as before
    repeated = await admin.post("/api/v1/calls/ana/handover", json=order, headers=key)
    assert (repeated.status_code, repeated.json()["dispatch_id"]) == (200, made["dispatch_id"])
    for other in ({"agent_name": "other"}, {"context": {"order": 43}}, {"timeout_s": 77}):
        differs = await admin.post("/api/v1/calls/ana/handover", json=order | other, headers=key)
        assert (differs.status_code, "used for another hand-over" in differs.text) == (409, True)
    await running.join("bob", "another hall", metadata={"language": "es"})
    elsewhere = await admin.post("/api/v1/calls/bob/handover", json=order, headers=key)
    assert (elsewhere.status_code, elsewhere.json()["dispatch_id"] == made["dispatch_id"]) == (200, False)


async def test_a_context_that_does_not_fit_is_refused_by_name_and_limit(
    running: Running, admin: httpx2.AsyncClient
) -> None:
    await admin.post("/api/v1/rules", json=RULE)
    await running.join("ana", "hall", metadata={"language": "es"})
    most = running.service.orchestrator.context.settings.metadata_max_bytes
    for size in (most, most - 100):  # too long by itself, and with the rest of the metadata
        order = {"agent_name": "manager", "context": "x" * size}
        refused = await admin.post("/api/v1/calls/ana/handover", json=order)
        assert refused.status_code == 422
        (problem,) = refused.json()["errors"]
        assert "context" in problem["path"]
        assert f"all metadata may have {most} bytes (USHER_METADATA_MAX_BYTES)" in problem["message"]
    fitting = {"agent_name": "manager", "context": "x" * (most // 2)}
    assert (await admin.post("/api/v1/calls/ana/handover", json=fitting)).status_code == 200


async def test_a_token_server_gets_the_agents_of_a_participant(admin: httpx2.AsyncClient) -> None:
    await admin.post("/api/v1/rules", json={**RULE, "attributes": {"team": "iberia"}})
    order: dict[str, dict[str, Any]] = {
        "participant": {"identity": "ana", "metadata": {"language": "es"}},
        "room": {"name": "hall"},
    }
    decided = (await admin.post("/api/v1/decide", json=order)).json()
    (agent,) = decided["agents"]
    assert agent["agent_name"] == "support-es"
    assert agent["attributes"]["team"] == "iberia"
    assert agent["attributes"]["usher.dispatch_id"] == agent["id"]
    assert agent["restart_policy"] == "JRP_NEVER"
    order["participant"]["metadata"] = '{"language": "en"}'
    assert (await admin.post("/api/v1/decide", json=order)).json()["agents"] == []


async def test_a_draft_book_runs_over_past_traffic(running: Running, admin: httpx2.AsyncClient) -> None:
    await admin.post("/api/v1/rules", json=RULE)
    await running.join("ana", "hall", metadata={"language": "es"})
    draft = {"rules": [{**RULE, "agent_name": "other"}], "hours": 1}
    found = (await admin.post("/api/v1/simulate", json=draft)).json()
    assert found["effects"]["other_agent"] == 1
    assert found["groups"][0]["agents_after"] == ["other"]


async def test_users_and_tokens_over_the_api(running: Running, admin: httpx2.AsyncClient) -> None:
    made = await admin.post("/api/v1/users", json={"name": "ana", "role": "editor"})
    assert made.status_code == 201
    ana = made.json()
    assert ana["password_link"].startswith("/console/password/")
    issued = (await admin.post(f"/api/v1/users/{ana['id']}/tokens", json={"name": "ci", "role": "editor"})).json()
    async with running.client(issued["secret"]) as client:
        assert (await client.get("/api/v1/me")).json() == {"name": "ana", "role": "editor", "projects": None}
        assert (await admin.patch(f"/api/v1/users/{ana['id']}", json={"disabled": True})).json()["disabled"]
        assert (await client.get("/api/v1/me")).status_code == 401
        await admin.patch(f"/api/v1/users/{ana['id']}", json={"disabled": False})
        assert (await client.get("/api/v1/me")).status_code == 200
        await admin.delete(f"/api/v1/tokens/{issued['id']}")
        assert (await client.get("/api/v1/me")).status_code == 401
    assert issued["secret"] not in (await admin.get("/api/v1/tokens")).text


@pytest.mark.parametrize("path", ["/api/v1/rules", "/api/v1/rules/check"])
async def test_values_that_are_no_json_are_reported(admin: httpx2.AsyncClient, path: str) -> None:
    answer = await admin.post(path, content=b'{"name": "r", "objective_s": 1e400, "pattern": {"a": [1e999]}}')
    found = {error["path"]: error["found"] for error in answer.json()["errors"]}
    assert found["objective_s"] == "inf"
    assert "Infinity" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/nothing", None, 404),
        ("PUT", "/api/v1/rules", None, 405),
        ("GET", "/api/v1/rules/check", None, 405),
        ("GET", "/api/v1/rules/99", None, 404),
        ("GET", "/api/v1/rules?limit=0", None, 422),
        ("GET", "/api/v1/rules?nonsense=1", None, 422),
        ("GET", "/api/v1/events?cursor=x", None, 422),
        ("GET", "/api/v1/events?identity=%00", None, 400),
        ("GET", "/api/v1/calls/%00", None, 400),
        ("POST", "/api/v1/rules", b"{", 400),
        ("POST", "/api/v1/rules", b"[]", 422),
        ("POST", "/api/v1/rules", b'{"name": NaN}', 400),
        ("POST", "/api/v1/decide", b'{"participant": {"identity": "a\\u0000"}, "room": {"name": "x"}}', 400),
        ("POST", "/api/v1/dispatches/cancel", b'{"ids": ["nothing"]}', 404),
        ("PATCH", "/api/v1/users/nobody", b"{}", 404),
    ],
)
async def test_refusals(admin: httpx2.AsyncClient, method: str, path: str, body: bytes | None, status: int) -> None:
    answer = await admin.request(method, path, content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_a_path_below_that_of_a_call_has_methods_of_its_own(admin: httpx2.AsyncClient) -> None:
    for method in ("OPTIONS", "GET", "HEAD", "DELETE", "TRACE"):
        answer = await admin.request(method, "/api/v1/calls/ana/handover")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "GET" in (await admin.request("OPTIONS", "/api/v1/calls/ana/of/spain")).headers["allow"]


async def test_calls_are_found_filtered_and_exported(running: Running) -> None:
    # Given a caller whose rule matched, and one that none matched
    token = await running.token()
    async with running.client(token) as client:
        assert (await client.post("/api/v1/rules", json=RULE)).status_code == 201
        await running.join("Ana.Perez", "hall-1", metadata={"language": "es"}, name="Ana Pérez")
        await running.join("=visitor", "hall-2", metadata={"language": "de"})

        async def found(**query: Any) -> list[str]:
            answer = await client.get("/api/v1/calls", params=query)
            assert answer.status_code == 200, answer.text
            return [call["participant_identity"] for call in answer.json()["items"]]

        assert await found(q="ana p") == await found(q="HALL-1") == await found(q="support-") == ["Ana.Perez"]
        assert await found(metadata=["language=de"]) == await found(state=["no_match", "failed"]) == ["=visitor"]
        [call] = (await client.get("/api/v1/calls", params={"q": "ana"})).json()["items"]
        assert (call["participant_name"], call["rules"], call["asked_agents"]) == (
            "Ana Pérez",
            ["spanish"],
            ["support-es"],
        )
        # Then the list is a file, by query or by header, with what a spreadsheet may read
        as_csv = await client.get("/api/v1/calls", params={"format": "csv"})
        assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(as_csv.text)))
        assert [(row["caller"], row["state"]) for row in rows] == [("'=visitor", "no_match"), ("Ana.Perez", "waiting")]
        lines = await client.get("/api/v1/calls", params={"q": "ana"}, headers={"Accept": "application/jsonl"})
        assert [json.loads(line)["participant_identity"] for line in lines.text.splitlines()] == ["Ana.Perez"]
        # And what is no field and value is refused by name
        wrong = await client.get("/api/v1/calls", params={"metadata": "language"})
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["path"].startswith("metadata")


@pytest.mark.parametrize(
    ("since", "message"),
    [("1795615320", "must be a time such as"), ("0001-01-01T00:00:00Z", "must be between the years")],
)
async def test_a_time_that_cannot_be_is_refused_in_our_words(
    admin: httpx2.AsyncClient, since: str, message: str
) -> None:
    refused = await admin.get("/api/v1/calls", params={"since": since})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["message"].startswith(message)
