"""Dispatches of a LiveKit project that was removed from the configuration; and what a dry run says."""

from __future__ import annotations

import json

import httpx2

from app.clock import new_id
from tests.integration.server.conftest import Running

RULE = {"name": "all", "pattern": {"event": ["participant_joined"]}, "agent_name": "greeter", "metadata": {"a": "b"}}
FAILING = json.dumps({"x": {"$eval": "participant.attributes.nothing"}})
WHY = "project 'gone' is not configured here: add it to USHER_PROJECTS_FILE again and restart Usher"


async def with_rule(running: Running) -> httpx2.AsyncClient:
    api = running.client(await running.token())
    made = await api.post("/api/v1/rules", json=RULE)
    assert made.status_code == 201, made.text
    return api


def change(running: Running, statement: str) -> None:
    with running.database.writer_engine().begin() as connection:
        connection.exec_driver_sql(statement)


async def ids_of(running: Running) -> dict[str, str]:
    return {row["participant_identity"]: row["id"] for row in await running.read("SELECT * FROM dispatches")}


async def test_acts_in_a_removed_project_are_refused_until_it_is_configured_again(running: Running) -> None:
    # Given a call that waits and one that failed, in a project that is not configured any more
    api = await with_rule(running)
    waits, _ = await running.join("ana", "hall")
    await running.join("bob", "yard")
    change(running, "UPDATE dispatches SET status = 'failed', next_attempt_at = NULL WHERE room_name = 'yard'")
    for table in ("events", "dispatches"):
        change(running, f"UPDATE {table} SET project = 'gone'")
    made = await ids_of(running)
    # When they are redriven, handed over and replayed
    redriven = await api.post("/api/v1/dispatches/redrive", json={"ids": [made["bob"]]})
    handed_over = await api.post(f"/api/v1/calls/{waits}/handover", json={"agent_name": "other"})
    replayed = await api.post(f"/api/v1/events/{waits}/replay", json={})
    tried = await api.post(f"/api/v1/events/{waits}/replay", params={"dry_run": True})
    # Then each is refused with what to do, and nothing is made
    assert redriven.json() == {"done": [], "made": {}, "refused": {made["bob"]: WHY}}
    assert (handed_over.status_code, handed_over.json()["detail"]) == (409, WHY)
    assert (replayed.status_code, replayed.json()["detail"]) == (409, WHY)
    assert (tried.status_code, tried.json()["detail"]) == (409, WHY)
    assert await ids_of(running) == made
    # And goes on once the project is configured again
    for table in ("events", "dispatches"):
        change(running, f"UPDATE {table} SET project = 'default'")
    again = (await api.post("/api/v1/dispatches/redrive", json={"ids": [made["bob"]]})).json()
    assert again["done"] == [made["bob"]]
    before = await running.read("SELECT * FROM events")
    tried = await api.post(f"/api/v1/events/{waits}/replay", params={"dry_run": True})
    assert tried.json() == {"event_id": None, "status": "would_be_replayed", "outcome": None}
    assert await running.read("SELECT * FROM events") == before


async def test_a_cancel_and_its_dry_run_name_what_stays_at_livekit(running: Running) -> None:
    # Given a dispatch that was sent in a project that is not configured any more, and two that LiveKit does not have
    # or that can be deleted there
    api = await with_rule(running)
    for name in ("sent", "unsent", "here"):
        await running.join(name, name)
    change(running, "UPDATE dispatches SET status = 'pending', attempts = 0, livekit_dispatch_id = NULL")
    change(running, "UPDATE dispatches SET status = 'dispatched', attempts = 1, livekit_dispatch_id = 'AD_1' "
           "WHERE room_name IN ('sent', 'here')")  # fmt: skip
    change(running, "UPDATE dispatches SET project = 'gone' WHERE room_name IN ('sent', 'unsent')")
    made = await ids_of(running)
    order = {"ids": list(made.values())}
    # When the cancel is tried, and carried out
    would = (await api.post("/api/v1/dispatches/cancel", json={**order, "dry_run": True})).json()
    done = (await api.post("/api/v1/dispatches/cancel", json=order)).json()
    # Then both say what stays
    assert would == done
    assert sorted(done["done"]) == sorted(made.values())
    assert done["left_over"] == {made["sent"]: "stays at LiveKit: project 'gone' is not configured here"}


async def test_the_sweep_of_a_removed_project_is_not_listed(running: Running) -> None:
    for project in ("default", "gone"):
        change(
            running,
            "INSERT INTO heartbeats (component, replica, beat_at, detail) "
            f"VALUES ('sweep:{project}', 'x', '2026-01-01 00:00:00.000000+00:00', '{{}}')",
        )
    api = running.client(await running.token())
    found = (await api.get("/readyz")).json()
    assert list(found["database"]["sweeps"]) == ["default"]


async def test_a_dry_run_says_of_each_dispatch_what_the_act_does(running: Running) -> None:
    # Given dispatches that cannot be redriven, each for a reason of its own, and one that can
    api = await with_rule(running)
    reasons = {
        "over": "is ended; only failed, no_show and cancelled can be redriven",
        "again": "was redriven as dispatch",
        "beside": "was a hand-over that failed",
        "removed": WHY,
        "closed": "its room has closed",
        "left": "its callers have left",
        "erased": "its names were erased or hashed",
        "served": "serves the same caller already",
    }
    for name in (*reasons, "fine", "twice"):
        await running.join(name, name)
    change(running, "UPDATE dispatches SET status = 'failed', next_attempt_at = NULL ")
    change(running, "UPDATE dispatches SET status = 'ended' WHERE room_name = 'over'")
    made = await ids_of(running)
    await api.post("/api/v1/dispatches/redrive", json={"ids": [made["again"], made["served"]]})
    # "served": its successor does not count as one, but has its caller
    change(running, f"UPDATE dispatches SET replaces = NULL, replaces_kind = NULL WHERE replaces = '{made['served']}'")
    change(running, "UPDATE dispatches SET intent_key = 'handover/' || intent_key WHERE room_name = 'beside'")
    change(running, "UPDATE dispatches SET project = 'gone' WHERE room_name = 'removed'")
    change(running, "UPDATE dispatches SET participant_identity = 'erased-x' WHERE room_name = 'erased'")
    await running.accept("room_finished", "closed", "closed")
    change(running, "UPDATE dispatch_callers SET left_at = '2026-01-01 00:00:00.000000+00:00' WHERE dispatch_id = "
           f"'{made['left']}'")  # fmt: skip
    columns = [key for key in (await running.read("SELECT * FROM dispatches"))[0] if key != "id"]
    twin = new_id()
    change(
        running,
        f"INSERT INTO dispatches (id, {', '.join(columns)}) SELECT '{twin}', {', '.join(columns)} FROM dispatches "
        f"WHERE id = '{made['twice']}'",
    )
    order = {"ids": [*(made[name] for name in reasons), made["fine"], made["twice"], twin]}
    before = await running.read("SELECT count(*) AS number FROM dispatches")
    # When the redrive is tried
    would = (await api.post("/api/v1/dispatches/redrive", json={**order, "dry_run": True})).json()
    # Then nothing has changed, and it says what the act then does
    assert await running.read("SELECT count(*) AS number FROM dispatches") == before
    done = (await api.post("/api/v1/dispatches/redrive", json=order)).json()
    assert sorted(would["done"]) == sorted(done["done"]) == sorted([made["fine"], twin])
    assert would["made"] == {}
    for name, reason in reasons.items():
        assert reason in would["refused"][made[name]], name
        assert would["refused"][made[name]] == done["refused"][made[name]]
    assert would["refused"][made["twice"]] == f"dispatch {twin} of the same caller is redriven in its place"
    assert "serves the same caller already" in done["refused"][made["twice"]]


async def test_a_dry_run_renders_what_the_rule_says_now(running: Running) -> None:
    api = await with_rule(running)
    await running.join("ana", "hall")
    change(running, "UPDATE dispatches SET status = 'failed', next_attempt_at = NULL")
    change(
        running,
        f"UPDATE routing_rules SET metadata = '{FAILING}'",
    )
    [dispatch_id] = (await ids_of(running)).values()
    order = {"ids": [dispatch_id]}
    would = (await api.post("/api/v1/dispatches/redrive", json={**order, "dry_run": True})).json()
    done = (await api.post("/api/v1/dispatches/redrive", json=order)).json()
    assert would == done
    assert list(done["refused"]) == [dispatch_id]


async def test_a_dry_run_of_cancel_changes_nothing(running: Running) -> None:
    api = await with_rule(running)
    await running.join("ana", "hall")
    await running.join("bob", "yard")
    change(running, "UPDATE dispatches SET status = 'failed', next_attempt_at = NULL WHERE room_name = 'yard'")
    change(
        running,
        "UPDATE dispatches SET status = 'dispatched', next_attempt_at = NULL, lease_owner = NULL, lease_until = NULL "
        "WHERE room_name = 'hall'",
    )
    made = await ids_of(running)
    order = {"ids": list(made.values())}
    would = (await api.post("/api/v1/dispatches/cancel", json={**order, "dry_run": True})).json()
    assert [row["status"] for row in await running.read("SELECT status FROM dispatches ORDER BY id")] == [
        "dispatched",
        "failed",
    ]
    done = (await api.post("/api/v1/dispatches/cancel", json=order)).json()
    assert would == done
    assert done["done"] == [made["ana"]]


async def test_callers_who_wait_in_a_removed_project_are_an_incident_until_it_is_configured_again(
    running: Running,
) -> None:
    api = await with_rule(running)
    await running.join("ana", "hall")
    change(
        running,
        "UPDATE dispatches SET project = 'gone', status = 'dispatched', next_attempt_at = NULL, lease_owner = NULL, "
        "lease_until = NULL",
    )
    await running.join("bob", "yard")
    change(
        running,
        "UPDATE dispatches SET project = 'gone', status = 'pending', next_attempt_at = NULL, lease_owner = NULL, "
        "lease_until = NULL, queued_at = created_at WHERE room_name = 'yard'",
    )
    evaluator = running.service.orchestrator.incidents
    await evaluator.run_once()
    path = "/api/v1/incidents?kind=livekit_unreachable&state=open"
    [found] = [one for one in (await api.get(path)).json()["items"] if one["project"] == "gone"]
    assert found["title"] == "Project 'gone' is not configured: 2 callers wait"
    assert "USHER_PROJECTS_FILE" in found["remedy"]
    change(running, "UPDATE dispatches SET project = 'default'")
    change(running, "DELETE FROM heartbeats")  # of its turn: the next one is due in five seconds
    await evaluator.run_once()
    assert [one for one in (await api.get(path)).json()["items"] if one["project"] == "gone"] == []
