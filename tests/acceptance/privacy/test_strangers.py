"""`/readyz` and `/metrics` say to strangers what is wrong, but no name of an agent, rule, project or room."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from app.accounts.roles import Role
from tests.acceptance.privacy.api_user import token_of
from tests.acceptance.test_webhook import PATH, joined, signed
from tests.conftest import Database
from tests.harness.serving import Serving, get_when_ready, serving, until

NAMES = ("acme-bank", "fallback-of-acme", "vip rule of acme", "broken rule", "acme project", "support-1", "caller-PA_1")


def series(text: str) -> set[str]:
    """Return the names of the series; each appears once with the same labels."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len({(sample.name, frozenset(sample.labels.items())) for sample in samples}) == len(samples)
    return {sample.name for sample in samples}


async def prepare(running: Serving, client: httpx2.AsyncClient) -> None:
    for sid in ("PA_1", "PA_2"):
        body = joined(sid)
        assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
    await until(lambda: running.simulator.ledger.dispatches)


async def until_named(client: httpx2.AsyncClient, path: str, known: dict[str, str], names: tuple[str, ...]) -> None:
    """Wait until the answer to a bearer of a token names all of these."""
    async with asyncio.timeout(60):
        while True:
            text = (await client.get(path, headers=known)).text
            if all(name in text for name in names):
                return
            await asyncio.sleep(0.05)


def rules(database: Database) -> None:
    columns = "name, pattern, agent_name, objective_percent, objective_s, scope"
    insert = f"INSERT INTO routing_rules ({columns}) VALUES "
    database.execute(f"{insert} ('vip rule of acme', '{{}}', 'acme-bank', 90, 5, 'participant')")
    database.execute(f"{insert} ('broken rule', '{{\"acme-bank\": 1}}', 'acme-bank', 90, 5, 'room')")


async def test_strangers_see_no_names_and_those_with_a_token_do(sqlite_database: Database) -> None:
    rules(sqlite_database)
    async with serving(sqlite_database.text, USHER_SWEEP_INTERVAL="1") as running:
        token = await token_of(running)
        async with httpx2.AsyncClient(base_url=running.url, timeout=60) as client:
            await prepare(running, client)
            known = {"Authorization": f"Bearer {token}"}
            shown = {path: (await get_when_ready(client, path)).text for path in ("/readyz", "/metrics", "/healthz")}
            strangers = [{"Authorization": "Bearer usher_wrong"}, {"Authorization": "Basic YTpi"}]
            decider = await token_of(running, Role.DECIDER, "decider")
            narrow = await token_of(running, Role.VIEWER, "narrow", projects=["default"])
            strangers += [{"Authorization": f"Bearer {one}"} for one in (decider, narrow)]
            for headers in strangers:
                for path in ("/readyz", "/metrics"):
                    answer = await get_when_ready(client, path, headers)
                    assert answer.status_code == 200
                    shown[f"{path} {headers}"] = answer.text
            named = {path: (await get_when_ready(client, path, known)).text for path in ("/readyz", "/metrics")}
    for name in NAMES:
        assert not [path for path, text in shown.items() if name in text], name
    # A stranger learns that a rule is broken and which, by id, and how calls are going
    ready = json.loads(shown["/readyz"])
    assert (ready["status"], ready["database"]["status"]) == ("ready", "ok")
    assert len(ready["rules"]["bad"]) == 1
    assert ready["rules"]["bad"][0].keys() == {"id"}
    assert series(shown["/metrics"]) <= series(named["/metrics"])
    assert "acme-bank" in named["/metrics"]
    assert "vip rule of acme" in named["/metrics"]
    assert json.loads(named["/readyz"])["rules"]["bad"][0]["name"] == "broken rule"


async def test_projects_are_named_only_with_a_token(sqlite_database: Database, tmp_path: Path) -> None:
    # Given two projects whose LiveKit cannot be reached, so that sweeps fail
    entry = {"url": "http://127.0.0.1:9", "api_secret": "a secret of thirty-two characters"}
    entries = [{**entry, "name": name, "api_key": f"key-{name}"} for name in ("acme-west", "acme-east")]
    file = tmp_path / "projects.yaml"
    file.write_text(json.dumps({"projects": entries}))
    without = dict.fromkeys(("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"), "")
    environment: dict[str, Any] = {"USHER_PROJECTS_FILE": str(file), "USHER_SWEEP_INTERVAL": "1", **without}
    async with serving(sqlite_database.text, **environment) as running:
        known = {"Authorization": f"Bearer {await token_of(running)}"}
        async with httpx2.AsyncClient(base_url=running.url, timeout=60) as client:
            for path in ("/readyz", "/metrics"):
                await until_named(client, path, known, ("acme-west", "acme-east"))
                text = (await client.get(path)).text
                assert "acme-" not in text
                assert "127.0.0.1" not in text
            # Who has no token may be answered as others were a moment ago
            async with asyncio.timeout(60):
                while len((await client.get("/readyz")).json()["database"]["sweeps"]) != 2:  # noqa: ASYNC110 - a server
                    await asyncio.sleep(0.1)


async def test_with_a_token_set_metrics_are_for_its_bearers_only(sqlite_database: Database) -> None:
    rules(sqlite_database)
    async with serving(sqlite_database.text, USHER_METRICS_TOKEN="scrape-me") as running:
        token = await token_of(running)
        async with httpx2.AsyncClient(base_url=running.url, timeout=60) as client:
            await prepare(running, client)
            refused = await client.get("/metrics")
            assert refused.status_code == 401
            for given in ("scrape-me", token):
                answer = await client.get("/metrics", headers={"Authorization": f"Bearer {given}"})
                assert (answer.status_code, "acme-bank" in answer.text) == (200, True)
            assert (await get_when_ready(client, "/readyz")).status_code == 200
