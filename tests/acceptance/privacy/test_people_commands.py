"""`usher people` and its API: erase and export one person from outside."""

from __future__ import annotations

import json
from pathlib import Path

from app.accounts.roles import Role
from tests.acceptance.cli_site import Terminal
from tests.acceptance.privacy.api_user import admin_client, token_of
from tests.acceptance.test_webhook import PATH, joined, signed
from tests.conftest import Database
from tests.harness.dump import dump
from tests.harness.serving import serving


def left(sid: str) -> bytes:
    return joined(sid).replace(b"participant_joined", b"participant_left").replace(b'"EV_', b'"EV_LEFT_')


async def test_a_person_is_exported_and_erased_by_commands(tmp_path: Path, database: Database) -> None:
    terminal = Terminal(tmp_path, {"DATABASE_URL": database.text})
    async with serving(database.text) as running, await admin_client(running) as client:
        body = joined("PA_1", metadata='{"card": "4111-1111"}', name="Ana García")
        assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        # While the person is in a call it is not erased
        refused = terminal.run("people", "erase", "caller-PA_1", "--yes")
        assert (refused.code, "in a call now" in refused.err) == (1, True)
        body = left("PA_1")
        assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        # An export has everything
        exported = json.loads(terminal.run("people", "export", "caller-PA_1").out)
        assert [event["type"] for event in exported["events"]] == ["participant_joined", "participant_left"]
        assert "4111-1111" in json.dumps(exported)
        assert terminal.run("people", "export", "caller-PA_1", "--output", "ana.json").code == 0
        assert (tmp_path / "ana.json").stat().st_mode & 0o077 == 0
        # Without a confirmation nothing happens, nor in a dry run
        unanswered = terminal.run("people", "erase", "caller-PA_1")
        assert unanswered.code == 2
        assert unanswered.err.endswith("\n  --yes: is needed: there is no terminal to ask on\n")
        assert "2 events" in terminal.run("people", "erase", "caller-PA_1", "--dry-run").out
        assert "4111-1111" in dump(database)
        # With one, all is gone
        done = terminal.json("people", "erase", "caller-PA_1", "--yes")
        assert (done["events"], done["dry_run"]) == (2, False)
        for text in ("4111-1111", "caller-PA_1", "Ana García"):
            assert text not in dump(database)
        assert terminal.run("people", "erase", "caller-PA_1", "--yes").code == 0
        # A misspelt project is not taken for one that has been cleaned
        livekit = {"LIVEKIT_URL": "http://livekit.test", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
        knowing = Terminal(tmp_path, {"DATABASE_URL": database.text, **livekit})
        misspelt = knowing.run("people", "erase", "caller-PA_1", "--project", "nosuch", "--yes")
        assert (misspelt.code, "No LiveKit project 'nosuch' is configured" in misspelt.err) == (1, True)
        assert terminal.run("people", "export", "caller-PA_1").code == 1


async def test_a_person_is_exported_and_erased_over_the_api(database: Database) -> None:
    async with serving(database.text) as running, await admin_client(running) as client:
        for body in (joined("PA_1", metadata="4111-1111"), left("PA_1")):
            assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        person = {"person": "caller-PA_1"}
        assert "4111-1111" in (await client.post("/api/v1/people/export", json=person)).text
        counted = (await client.post("/api/v1/people/erase", json={**person, "dry_run": True})).json()
        erased = (await client.post("/api/v1/people/erase", json=person)).json()
        assert erased == {**counted, "dry_run": False}
        assert "4111-1111" not in dump(database)
        assert (await client.post("/api/v1/people/export", json=person)).status_code == 404
        assert (await client.post("/api/v1/people/erase", json=person)).json()["events"] == 0
        misspelt = await client.post("/api/v1/people/erase", json={**person, "project": "nosuch"})
        assert (misspelt.status_code, "'nosuch' is configured" in misspelt.text) == (404, True)
        # Only by an admin, and not during a call
        body = joined("PA_2")
        assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
        busy = await client.post("/api/v1/people/erase", json={"person": "caller-PA_2"})
        assert busy.status_code == 409
        editor = {"Authorization": f"Bearer {await token_of(running, Role.EDITOR, 'editor')}"}
        for operation in ("erase", "export"):
            answer = await client.post(f"/api/v1/people/{operation}", json=person, headers=editor)
            assert answer.status_code == 403
