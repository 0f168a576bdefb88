"""`usher doctor`: every part of an installation that works or does not, with what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from tests.acceptance.cli_site import Terminal
from tests.conftest import Database
from tests.harness.login_provider import CLIENT_ID, CLIENT_SECRET, provider_at_hand
from tests.harness.ports import free_ports
from tests.harness.serving import Serving, serving


def settings_of(running: Serving, database: Database) -> dict[str, str]:
    return {
        "DATABASE_URL": database.text,
        "LIVEKIT_URL": running.simulator.url,
        "LIVEKIT_API_KEY": SIMULATOR_KEY,
        "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
        "USHER_HOST": "127.0.0.1",
        "USHER_PORT": running.url.rpartition(":")[2],
        "USHER_PUBLIC_URL": running.url,
    }


async def doctor(folder: Path, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the findings by part."""
    answer = await asyncio.to_thread(Terminal(folder, environment).run, "doctor", "--json")
    findings = answer.json
    return answer.code, {one["part"]: one for one in findings}


async def test_an_installation_that_works(database: Database, tmp_path: Path) -> None:
    async with serving(database.text) as running:
        code, findings = await doctor(tmp_path, settings_of(running, database))
    works = {"settings", "database", "schema", "LiveKit", "service", "signature", "webhooks", "public URL"}
    assert {part for part, one in findings.items() if one["status"] == "ok"} >= works, findings
    assert code == 0
    # What is missing but stops nothing is a warning.
    assert findings["rules"]["status"] == findings["users"]["status"] == "warning"
    # On record are the webhooks of the room, and nothing came of them.
    rows = database.execute("SELECT type, outcome FROM events")
    assert {(row["type"], row["outcome"]) for row in rows} <= {
        ("room_started", "ignored"),
        ("room_finished", "ignored"),
    }


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"LIVEKIT_API_KEY": "APIother"}, ("LiveKit", "does not know key APIother", "LIVEKIT_API_KEY")),
        ({"LIVEKIT_API_SECRET": "another-" * 5}, ("LiveKit", "not this secret", "LIVEKIT_API_SECRET")),
        ({"LIVEKIT_URL": "ws://127.0.0.1:1"}, ("LiveKit", "does not answer", "LIVEKIT_URL")),
        ({"LIVEKIT_API_SECRET": "another-" * 5}, ("signature", "is refused", "the same")),
        ({"USHER_PUBLIC_URL": "http://127.0.0.1:1"}, ("public URL", "does not answer", "reverse proxy")),
        ({"LIVEKIT_URL": ""}, ("LIVEKIT_URL", "is missing", ".env.example")),
        ({"USHER_PORT": "many"}, ("USHER_PORT", "", ".env.example")),
    ],
    ids=["key", "secret", "address", "other settings", "public URL", "no URL", "no port"],
)
async def test_what_is_wrong_is_named_with_its_remedy(
    sqlite_database: Database, tmp_path: Path, changed: dict[str, str], expected: tuple[str, str, str]
) -> None:
    part, found, remedy = expected
    async with serving(sqlite_database.text) as running:
        code, findings = await doctor(tmp_path, {**settings_of(running, sqlite_database), **changed})
    assert code == 1
    assert findings[part]["status"] == "failed", findings
    assert found in findings[part]["found"]
    assert remedy in findings[part]["remedy"]


async def test_another_web_server_in_livekits_place(sqlite_database: Database, tmp_path: Path) -> None:
    async with serving(sqlite_database.text) as running:
        _, findings = await doctor(tmp_path, {**settings_of(running, sqlite_database), "LIVEKIT_URL": running.url})
    assert (findings["LiveKit"]["status"], findings["LiveKit"]["found"]) == (
        "failed",
        f"{running.url} is not a LiveKit server",
    )


async def test_webhooks_that_livekit_posts_elsewhere(sqlite_database: Database, tmp_path: Path) -> None:
    async with serving(sqlite_database.text, simulator_posts_webhooks=False) as running:
        code, findings = await doctor(tmp_path, settings_of(running, sqlite_database))
        rooms = [room for room in running.simulator.rooms.by_name if room.startswith("usher-doctor-")]
    assert code == 1
    assert findings["webhooks"]["status"] == "failed"
    assert f"{running.url}/livekit/webhook" in findings["webhooks"]["remedy"]
    assert rooms == []


def test_without_service_and_schema(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/usher.db",
        "LIVEKIT_URL": "ws://127.0.0.1:1",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "short",
        "USHER_PORT": str(port),
    }
    answer = Terminal(tmp_path, environment).run("doctor")
    assert answer.code == 1
    text = " ".join(answer.out.split())
    assert "run: usher migrate up" in text
    assert "start it: usher serve" in text
    assert "warning secret can be guessed: 5 characters, 5 of them different use at least 32 random characters" in text
    assert "skipped webhooks" in text


async def test_the_provider_of_logins_is_tried(database: Database, tmp_path: Path) -> None:
    async with serving(database.text) as running, provider_at_hand() as provider:
        logins = {"USHER_OIDC_ISSUER": provider.url, "USHER_OIDC_CLIENT_ID": CLIENT_ID,
                  "USHER_OIDC_CLIENT_SECRET": CLIENT_SECRET, "USHER_OIDC_ROLE": "viewer"}  # fmt: skip
        environment = settings_of(running, database) | logins
        _, findings = await doctor(tmp_path, environment)
        assert findings["logins"]["found"] == f"{provider.url} answers, with 1 key"
        assert findings["redirect URI"]["status"] == "ok"
        assert f"{running.url}/console/oidc/callback" in findings["redirect URI"]["found"]
        assert findings["login client"]["status"] == "ok"
        # A secret that was copied wrong, a redirect URI that nobody has registered there, and a provider that calls
        # itself otherwise, are faults
        code, findings = await doctor(tmp_path, environment | {"USHER_OIDC_CLIENT_SECRET": "another"})
        assert (code, findings["login client"]["status"], findings["logins"]["status"]) == (1, "failed", "ok")
        assert "USHER_OIDC_CLIENT_SECRET" in findings["login client"]["remedy"]
        provider.registered = "https://usher.example.com/"
        code, findings = await doctor(tmp_path, environment)
        assert (code, findings["redirect URI"]["status"]) == (1, "failed")
        assert f"register {running.url}/console/oidc/callback" in findings["redirect URI"]["remedy"]
        provider.discovery["issuer"] = "https://another.example.com"
        code, findings = await doctor(tmp_path, environment)
        assert (code, findings["logins"]["status"]) == (1, "failed")
        assert "calls itself 'https://another.example.com'" in findings["logins"]["found"]
        assert "redirect URI" not in findings
