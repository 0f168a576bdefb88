"""Reads of personal data are recorded where the setting asks for it, listed for admins, and deleted in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import httpx2

from app.accounts.roles import Role
from app.accounts.users import add_user
from tests.acceptance.cli_site import Terminal
from tests.acceptance.privacy.api_user import admin_client, token_of
from tests.acceptance.test_webhook import PATH, joined, signed
from tests.conftest import PASSWORD, PASSWORD_HASH, Database
from tests.harness.serving import Serving, serving


async def log_in(running: Serving, client: httpx2.AsyncClient, name: str, role: Role) -> None:
    writer, now = running.service.orchestrator.context.writer, datetime.now(UTC)
    await writer.run(lambda c: add_user(c, name, role, by="test", now=now, password_hash=PASSWORD_HASH))
    page = await client.get("/console/login")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    fields = {"csrf": found[1], "name": name, "password": PASSWORD}
    assert (await client.post("/console/login", data=fields)).status_code == 303


def recorded(database: Database) -> list[tuple[str, ...]]:
    rows = database.execute("SELECT user_name, channel, operation, subject FROM personal_reads ORDER BY id")
    return [tuple(row.values()) for row in rows]


class Form(HTMLParser):
    """The fields of the forms of a page, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._name = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "input" and found.get("name") and (found.get("type") != "checkbox" or "checked" in found):
            self.fields[found["name"]] = found.get("value", "")
        elif tag in {"textarea", "select"}:
            self._name = found.get("name", "")
            self.fields[self._name] = ""
        elif tag == "option" and "selected" in found:
            self.fields[self._name] = found["value"]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "textarea":
            self.fields[self._name] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.lasttag = ""


async def call(client: httpx2.AsyncClient, database: Database) -> str:
    body = joined("PA_1", name="Ana")
    assert (await client.post(PATH, content=body, headers=signed(body))).status_code == 200
    (row,) = database.execute("SELECT id FROM events")
    return str(row["id"])


async def test_each_read_says_who_read_what_and_when(database: Database, tmp_path: Path) -> None:
    async with (
        serving(database.text, USHER_READS_RETENTION_DAYS="30") as running,
        await admin_client(running) as client,
        httpx2.AsyncClient(base_url=running.url, timeout=60) as browser,
    ):
        event_id = await call(client, database)
        # Over the API
        for path in ("/api/v1/calls/caller-PA_1", f"/api/v1/events/{event_id}", "/api/v1/explain?of=caller-PA_1"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/api/v1/calls?identity=caller-PA_1")).status_code == 200
        assert (await client.get("/api/v1/events")).status_code == 200
        assert (await client.get("/api/v1/events")).status_code == 200
        assert (await client.post("/api/v1/people/export", json={"person": "caller-PA_1"})).status_code == 200
        # What shows nobody, or nothing, is not recorded
        for path in ("/api/v1/rules", "/api/v1/statistics", "/api/v1/calls/nobody", "/readyz"):
            await client.get(path)
        assert recorded(database) == [
            ("operator", "api", "read_call", "caller-PA_1"),
            ("operator", "api", "read_event", event_id),
            ("operator", "api", "explain_event", "caller-PA_1"),
            ("operator", "api", "list_the_calls", "caller-PA_1"),
            ("operator", "api", "list_the_events", ""),
            ("operator", "api", "export_a_person", "caller-PA_1"),
        ]
        # In the console
        database.execute("DELETE FROM personal_reads")
        await log_in(running, browser, "vera", Role.ADMIN)
        for path in ("/console/", "/console/now", f"/console/calls/{event_id}", "/console/calls?search=caller-PA_1"):
            assert (await browser.get(path)).status_code == 200
        assert (await browser.get("/console/rules")).status_code == 200
        assert recorded(database) == [
            ("vera", "console", "/console/", ""),
            ("vera", "console", "/console/now", ""),
            ("vera", "console", "/console/calls/", event_id),
            ("vera", "console", "/console/calls", "caller-PA_1"),
        ]
        # And where a form shows calls
        rule = (await client.post("/api/v1/rules", json={"name": "r", "pattern": {}, "agent_name": "x"})).json()
        page = (await browser.get(f"/console/rules/{rule['id']}")).text
        draft = {**Form(page).fields, "name": "new"}
        last = database.execute("SELECT max(id) AS id FROM personal_reads")[0]["id"]
        forms = {
            "/console/simulate": {"rules": "rules: []", "hours": "24", "delete": "on"},
            "/console/rules/check": draft,
            "/console/rules/new": {**draft, "submit": "try"},
            f"/console/rules/{rule['id']}": {**draft, "submit": "try"},
        }
        csrf = re.search(r'name="csrf" value="([^"]+)"', (await browser.get("/console/rules")).text)
        assert csrf is not None
        before = len(recorded(database))
        for path, fields in forms.items():
            shown = await browser.post(path, data={**fields, "csrf": csrf[1]})
            assert (shown.status_code, "caller-PA_1" in shown.text) == (200, True), path
        saved = {**forms["/console/rules/new"], "submit": "save", "csrf": csrf[1]}
        assert (await browser.post("/console/rules/new", data=saved)).status_code == 303
        assert recorded(database)[before:] == [
            ("vera", "console", operation, "")
            for operation in ("/console/simulate", "/console/rules/check", "/console/rules/new", "/console/rules/")
        ]
        database.execute("DELETE FROM personal_reads WHERE id > :last", last=last)
        # Admins list them, everywhere
        page = (await browser.get("/console/reads?subject=caller-PA_1")).text
        assert "caller-PA_1" in page
        assert event_id not in page
        first = (await client.get("/api/v1/people/reads?limit=3&user=vera")).json()
        rest = (await client.get(f"/api/v1/people/reads?user=vera&cursor={first['next_cursor']}")).json()
        assert [one["subject"] for one in first["items"] + rest["items"]] == ["caller-PA_1", event_id, "", ""]
        assert rest["next_cursor"] is None
        whole = (await client.get("/api/v1/people/reads?limit=4&user=vera")).json()
        assert (len(whole["items"]), whole["next_cursor"]) == (4, None)
        terminal = Terminal(tmp_path, {"DATABASE_URL": database.text, "USHER_READS_RETENTION_DAYS": "30"})
        assert [one["subject"] for one in terminal.json("people", "reads", "--user", "vera")][:2] == [
            "caller-PA_1",
            event_id,
        ]
        assert terminal.run("people", "export", "caller-PA_1").code == 0
        assert recorded(database)[-1][1:] == ("cli", "people export", "caller-PA_1")
        viewer = {"Authorization": f"Bearer {await token_of(running, Role.EDITOR, 'eva')}"}
        assert (await client.get("/api/v1/people/reads", headers=viewer)).status_code == 403


async def test_nothing_is_recorded_unless_asked_for(sqlite_database: Database) -> None:
    async with serving(sqlite_database.text) as running, await admin_client(running) as client:
        await call(client, sqlite_database)
        assert (await client.get("/api/v1/calls/caller-PA_1")).status_code == 200
        assert recorded(sqlite_database) == []


async def test_records_are_deleted_after_their_days_and_promises_after_a_week(database: Database) -> None:
    reads = "INSERT INTO personal_reads (id, read_at, user_name, channel, operation, subject) VALUES "
    old, new = "01900000-0000-7000-8000-000000000000", "09900000-0000-7000-8000-000000000000"
    for one in (old, new):
        database.execute(f"{reads} (:id, :at, 'eva', 'api', 'x', :id)", id=one, at="2024-06-10T00:00:00.000000Z")
    promise = (
        "INSERT INTO token_dispatches (id, project, room_name, participant_identity, agent_name, rule_id, "
        "rules_version, metadata, attributes, created_at) VALUES "
    )
    for age, at in (("old", "2024-06-10T00:00:00.000000Z"), ("new", "2998-06-10T00:00:00.000000Z")):
        database.execute(f"{promise} (:id, 'default', 'r', 'ana', 'a', 1, 1, '', '{{}}', :at)", id=age, at=at)
    async with serving(database.text, USHER_READS_RETENTION_DAYS="30") as running:
        await running.service.orchestrator.pruner.run_once()
    assert [row["id"] for row in database.execute("SELECT id FROM personal_reads")] == [new]
    assert [row["id"] for row in database.execute("SELECT id FROM token_dispatches")] == ["new"]
