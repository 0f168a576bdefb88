"""`POST /livekit/webhook` from outside: every status of the contract, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from tests.conftest import Database
from tests.harness.serving import get_when_ready, serving, until
from tests.simulator import Simulator

OLD_SECRET = "the-secret-before-the-rotation-was-this"
PATH = "/livekit/webhook"


def joined(sid: str = "PA_1", **participant: Any) -> bytes:
    content = {
        "event": "participant_joined",
        "room": {"sid": "RM_1", "name": "support-1", "turnPassword": "hunter2"},
        "participant": {"sid": sid, "identity": f"caller-{sid}", "state": "ACTIVE", **participant},
        "id": f"EV_{sid}",
        "createdAt": str(int(time.time())),
    }
    return json.dumps(content).encode()


def signed(body: bytes, *, key: str = SIMULATOR_KEY, secret: str = SIMULATOR_SECRET, **claims: Any) -> dict[str, str]:
    now = int(time.time())
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = jwt.encode({"iss": key, "nbf": now, "exp": now + 300, "sha256": digest, **claims}, secret, "HS256")
    return {"Authorization": token, "Content-Type": "application/webhook+json"}


@asynccontextmanager
async def usher(database: Database, **environment: str) -> AsyncIterator[tuple[httpx2.AsyncClient, Simulator]]:
    environment = {"LIVEKIT_KEYS": f"oldkey: {OLD_SECRET}", **environment}
    async with (
        serving(database.text, simulator_posts_webhooks=False, **environment) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=60) as client,
    ):
        yield client, running.simulator


async def test_accepted_then_duplicate_then_ignored(database: Database) -> None:
    async with usher(database) as (client, _):
        body = joined()
        first = await client.post(PATH, content=body, headers=signed(body))
        again = await client.post(PATH, content=body, headers=signed(body))
        track = b'{"event":"track_published","id":"EV_9","room":{"sid":"RM_1","name":"support-1"}}'
        other = await client.post(PATH, content=track, headers=signed(track))
    assert [answer.status_code for answer in (first, again, other)] == [200, 200, 200]
    assert [answer.json()["status"] for answer in (first, again, other)] == ["accepted", "duplicate", "ignored"]
    (event,) = database.execute("SELECT type, source, outcome FROM events")
    assert dict(event) == {"type": "participant_joined", "source": "webhook", "outcome": "no_match"}


REFUSED: dict[str, tuple[int, Callable[[bytes], tuple[bytes, dict[str, str]]]]] = {
    "no signature": (401, lambda body: (body, {})),
    "nonsense": (401, lambda body: (body, {"Authorization": "Bearer nonsense"})),
    "unknown key": (401, lambda body: (body, signed(body, key="stranger"))),
    "wrong secret": (401, lambda body: (body, signed(body, secret=OLD_SECRET))),
    "stale": (401, lambda body: (body, signed(body, nbf=1, exp=int(time.time()) - 600))),
    "tampered": (401, lambda body: (body.replace(b"support-1", b"support-2"), signed(body))),
    "too long a token": (401, lambda body: (body, {"Authorization": "x." + "y" * 9_000 + ".z"})),
    "a long body without a signature": (401, lambda _: (b" " * 1_000_000, {"Authorization": "nonsense"})),
    "unreadable": (400, lambda _: (b"{", signed(b"{"))),
    "no webhook": (400, lambda _: (b"[]", signed(b"[]"))),
    "too large": (413, lambda _: (b" " * 3_000_000, signed(b" "))),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_changes_nothing(sqlite_database: Database, name: str) -> None:
    status, make = REFUSED[name]
    async with usher(sqlite_database) as (client, _):
        body, headers = make(joined())
        answer = await client.post(PATH, content=body, headers=headers)
        metrics = (await client.get("/metrics")).text
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["detail"]
    assert sqlite_database.execute("SELECT 1 FROM events") == []
    assert "usher_webhooks_refused_total{reason=" in metrics


async def test_a_rotated_key_is_still_good(sqlite_database: Database) -> None:
    async with usher(sqlite_database) as (client, _):
        body = joined()
        answer = await client.post(PATH, content=body, headers=signed(body, key="oldkey", secret=OLD_SECRET))
    assert answer.json() == {"status": "accepted"}


async def test_the_issuer_chooses_the_project(sqlite_database: Database, tmp_path: Path) -> None:
    path = tmp_path / "projects.yaml"
    secrets = {name: f"secret-of-{name}-which-is-long-enough-{name}" for name in ("eu", "us")}
    entries = [
        {"name": name, "url": "ws://127.0.0.1:9", "api_key": f"key-{name}", "api_secret": secret}
        for name, secret in secrets.items()
    ]
    path.write_text(json.dumps({"projects": entries}))
    async with usher(sqlite_database, USHER_PROJECTS_FILE=str(path)) as (client, _):
        for name, secret in secrets.items():
            body = joined(f"PA_{name}")
            headers = signed(body, key=f"key-{name}", secret=secret)
            assert (await client.post(PATH, content=body, headers=headers)).status_code == 200
    rows = sqlite_database.execute("SELECT participant_sid, project FROM events ORDER BY project")
    assert [(row["participant_sid"], row["project"]) for row in rows] == [("PA_eu", "eu"), ("PA_us", "us")]


async def test_twenty_identical_posts_make_one_event_and_one_dispatch(database: Database) -> None:
    database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'ana')")
    async with usher(database) as (client, simulator):
        participant = simulator.join("support-1", "carla")
        room = simulator.room("support-1")
        assert room is not None
        body = json.dumps(
            {
                "event": "participant_joined",
                "room": {"sid": room.sid, "name": "support-1"},
                "participant": {"sid": participant.sid, "identity": "carla"},
                "id": "EV_20",
            }
        ).encode()
        answers = await asyncio.gather(*(client.post(PATH, content=body, headers=signed(body)) for _ in range(20)))
        await until(lambda: database.execute("SELECT 1 FROM dispatches WHERE status = 'dispatched'"))
    statuses = sorted(answer.json()["status"] for answer in answers)
    assert statuses == ["accepted"] + ["duplicate"] * 19
    assert len(database.execute("SELECT 1 FROM events")) == 1
    assert len(database.execute("SELECT 1 FROM dispatches")) == 1
    assert len(database.execute("SELECT 1 FROM dispatch_attempts")) == 1


async def test_a_locked_database_is_503_and_livekit_may_try_again(sqlite_database: Database) -> None:
    async with usher(sqlite_database) as (client, _):
        other = sqlite3.connect(str(sqlite_database.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        body = joined()
        refused = await client.post(PATH, content=body, headers=signed(body))
        other.execute("ROLLBACK")
        other.close()
        accepted = await client.post(PATH, content=body, headers=signed(body))
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    # What was refused may have been written all the same when the lock was given up: nothing is lost, nothing twice.
    assert accepted.json()["status"] in {"accepted", "duplicate"}
    assert len(sqlite_database.execute("SELECT 1 FROM events")) == 1


async def test_no_secret_is_stored_or_shown(sqlite_database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    sqlite_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'ana')")
    redact = "participant.attributes.sip.phoneNumber"
    async with usher(sqlite_database, USHER_REDACT=redact) as (client, simulator):
        body = joined(attributes={"sip.phoneNumber": "+34600111222", "tier": "gold"})
        assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        for page in ("/readyz", "/metrics", "/healthz"):
            assert "hunter2" not in (await client.get(page)).text
        await until(lambda: simulator.ledger.dispatches)
        orders = json.dumps([dispatch.metadata for dispatch in simulator.ledger.dispatches])
    logged = "".join(capfd.readouterr())
    kept = _whole_database(sqlite_database)
    assert "gold" in kept
    for secret in ("hunter2", "+34600111222"):
        assert secret not in kept + logged + orders


def _whole_database(database: Database) -> str:
    return "\n".join(sqlite3.connect(str(database.url.database)).iterdump())


async def test_a_rule_edited_by_plain_sql_holds_for_the_next_webhook(database: Database) -> None:
    async with usher(database) as (client, _):
        for number, agent in enumerate(("ana", "ben", "cleo")):
            if number == 0:
                database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'ana')")
            else:
                database.execute("UPDATE routing_rules SET agent_name = :agent", agent=agent)
            body = joined(f"PA_{number}")
            await client.post(PATH, content=body, headers=signed(body))
    rows = database.execute("SELECT agent_name, rules_version FROM dispatches ORDER BY id")
    assert [row["agent_name"] for row in rows] == ["ana", "ben", "cleo"]
    assert [row["rules_version"] for row in rows] == [1, 2, 3]


async def test_a_bad_rule_disturbs_no_other_and_is_named(sqlite_database: Database) -> None:
    sqlite_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('broken', '{not json', 'x')")
    sqlite_database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('good', '{}', 'ana')")
    async with usher(sqlite_database, USHER_METRICS_TOKEN="letmesee") as (client, _):
        client.headers["Authorization"] = "Bearer letmesee"
        body = joined()
        await client.post(PATH, content=body, headers=signed(body))
        ready = await get_when_ready(client, "/readyz")
        metrics = (await client.get("/metrics")).text
    assert [row["rule_name"] for row in sqlite_database.execute("SELECT rule_name FROM dispatches")] == ["good"]
    assert ready.status_code == 200
    assert [bad["name"] for bad in ready.json()["rules"]["bad"]] == ["broken"]
    assert "usher_bad_rules 1.0" in metrics
