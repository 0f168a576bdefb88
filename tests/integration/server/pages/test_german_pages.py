"""Pages in German when something is wrong: what checks, refusals and explanations say is translated, too."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx2

from app.accounts.roles import Role
from tests.integration.server.conftest import Running
from tests.integration.server.pages.test_languages import GERMAN, Texts
from tests.integration.server.test_console import RULE, csrf_of, log_in, post

UNTRANSLATED: Final = frozenset({"bdi", "code", "option", "pre", "textarea", "title"})
"""Elements that hold names, codes, and what was typed."""
_ENGLISH: Final = re.compile(r"\b(?:the|is|are|were|must|not|of|and|from|with|has|have|this|its|be|found|there|you)\b")
STORED: Final = re.compile(r"user '.*' added|^LiveKit could not be reached: ")
"""Reasons are stored in English, and shown as they are stored."""

BAD_RULE: Final[dict[str, str]] = {
    **RULE,
    "name": "x" * 300,
    "priority": "70.5",
    "pattern": '{"room": {"name": [{"prefx": "a"}, {"numeric": ["<"]}, []]}, "$or": [{}]}',
    "metadata": '{"$eval": "participant.identity +"}',
    "attributes": '{"a": 1}',
    "timezone": "Berlin",
    "active_hours": "Mo-Fr 9-17",
    "holidays": "Nowhere",
    "answer_timeout_s": "4000",
    "transfer_to": "12",
    "on_no_show": "transfer",
    "objective_percent": "95",
    "max_calls": "many",
    "rollout_percent": "-1",
}
LINES: Final[dict[str, str]] = {
    **RULE,
    "pattern_as": "rows",
    "line-group": "0",
    "line-field": "room.name",
    "line-operator": "number_below",
    "line-or": "",
    "line-values": "abc",
}
BAD_LOOKUP: Final = {
    "name": "a b",
    "pattern": '{"event": ["room_finished"]}',
    "url": "crm",
    "headers": '{"authorization": "secret"}',
    "timeout_ms": "9000",
    "cache_s": "-1",
    "on_error": "{",
    "enabled": "on",
}
BAD_AGENT: Final = {
    "max_calls": "-1",
    "starts_per_second": "x",
    "service": "at",
    "until": "soon",
    "substitute_agent_name": "support-es",
    "version": "0",
}
FORMS: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    ("/console/rules/new", "/console/rules/new", BAD_RULE),
    ("/console/rules/new", "/console/rules/new", {**RULE, "pattern": "{"}),
    ("/console/rules/new", "/console/rules/new", {**RULE, "pattern": "a: [", "pattern_as": "yaml"}),
    ("/console/rules/new", "/console/rules/new", LINES),
    ("/console/rules/new", "/console/rules/new", RULE),
    ("/console/rules/new", "/console/rules/check", BAD_RULE),
    ("/console/rules/new", "/console/rules/check", {**RULE, "name": "other", "agent_name": "suport-es"}),
    ("/console/rules/new", "/console/rules/check", {**RULE, "name": "other", "pattern": '{"rom": {"nam": ["x"]}}'}),
    ("/console/rules/new", "/console/rules/part", {**RULE, "pattern": '{"room": {"name": [3]}}', "part": "rows"}),
    ("/console/rules/1", "/console/rules/1", {**RULE, "version": "0", "priority": "11"}),
    ("/console/simulate", "/console/simulate", {"rules": "rules: [1]\nagents: 3\nother: 1", "hours": "1"}),
    ("/console/simulate", "/console/simulate", {"rules": "{", "hours": "1"}),
    ("/console/simulate", "/console/simulate", {"rules": "rules: []", "hours": "1", "delete": "on"}),
    ("/console/new-lookup", "/console/new-lookup", BAD_LOOKUP),
    ("/console/agents/support-es", "/console/agents/support-es", BAD_AGENT),
    ("/console/agents", "/console/probe", {"probe": "x" * 300}),
    ("/console/notifications", "/console/notifications/people", {"name": "a/b", "url": "nothing", "quiet_hours": "x"}),
    ("/console/notifications", "/console/notifications/programs", {"name": "", "url": "ftp://x"}),
    ("/console/views", "/console/views", {"name": "", "query": "state=waiting"}),
    ("/console/account", "/console/account/password", {"old": "wrong", "password": "short", "repeated": "other"}),
    ("/console/account", "/console/account/tokens", {"token_name": "", "role": "admin", "days": "90"}),
    ("/console/users", "/console/users", {"name": " a  b ", "role": "viewer"}),
    ("/console/users", "/console/users", {"name": "maria", "role": "viewer"}),
    ("/console/calls", "/console/calls/redrive", {}),
    ("/console/history", "/console/history/set", {"id": "none"}),
)
"""Page, address and fields of forms that are refused, or that only try something."""
BAD_ROWS: Final = (
    "INSERT INTO routing_rules (name, pattern, agent_name, priority) VALUES ('bad', '{\"a\": 1}', 'x', 20)",
    "INSERT INTO routing_rules (name, pattern, agent_name, rollout_percent) VALUES ('never', '{}', 'support-es', 0)",
    "INSERT INTO lookups (name, pattern, url) VALUES ('bad', '{}', 'nowhere')",
    "INSERT INTO notifications (name, url, kinds) VALUES ('bad', 'nowhere', '[\"other\"]')",
)


def left_in_english(german: str, english: str) -> set[str]:
    """Return the texts with English words that a page shows in both languages."""

    def texts(page: str) -> set[str]:
        return {text for text, around in Texts(page).found if not around & UNTRANSLATED}

    found = texts(german) & texts(english)
    return {text for text in found if _ENGLISH.search(text) and not STORED.search(text)}


class Reader:
    """Opens pages in both languages, and collects what is the same in them."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self.left: dict[str, set[str]] = {}

    async def open(self, path: str, name: str = "") -> httpx2.Response:
        english = await self._client.get(path, headers={"Accept-Language": "en"})
        german = await self._client.get(path, headers=GERMAN)
        return self._compare(name or path, german, english)

    async def send(self, page: str, path: str, fields: dict[str, str], name: str = "") -> httpx2.Response:
        form = {"csrf": csrf_of(await self._client.get(page)), **fields}
        english = await self._client.post(path, data=form, headers={"Accept-Language": "en"})
        german = await self._client.post(path, data=form, headers=GERMAN)
        return self._compare(name or path, german, english)

    def _compare(self, name: str, german: httpx2.Response, english: httpx2.Response) -> httpx2.Response:
        assert german.status_code == english.status_code, name
        assert german.status_code in {200, 400, 401, 403, 404, 409, 422}, (name, german.status_code)
        if found := left_in_english(german.text, english.text):
            self.left.setdefault(name, set()).update(found)
        return german


async def admin_of(running: Running) -> httpx2.AsyncClient:
    await running.add_user("maria", Role.ADMIN)
    client = running.client()
    await log_in(client, "maria")
    saved = await post(client, "/console/rules/new", "/console/rules/new", **RULE)
    assert saved.status_code == 303
    return client


async def test_refused_forms_say_in_german_what_is_wrong(running: Running) -> None:
    reader = Reader(await admin_of(running))
    await running.join("ana", "hall", metadata={"language": "es"})
    for number, (page, path, fields) in enumerate(FORMS):
        await reader.send(page, path, fields, f"{number} {path}")
    assert reader.left == {}


async def test_pages_say_in_german_why(running: Running) -> None:
    client = await admin_of(running)
    reader = Reader(client)
    for statement in BAD_ROWS:
        running.database.execute(statement)
    missed, _ = await running.join("ben", "room with spaces", metadata={"language": "ca"})
    served, _ = await running.join("ana", "hall", metadata={"language": "es"})
    calls = [
        f"/console/calls/{event_id}?steps=all&show={tab}" for event_id in (missed, served) for tab in ("", "rules")
    ]
    pages = ["/console/rules", "/console/rules/2", "/console/rules/3", "/console/lookups", "/console/lookups/bad"]
    pages += [
        "/console/notifications",
        "/console/incidents",
        "/console/",
        "/console/calls?state=waitin&from=x&search=a",
    ]
    missing = ["/console/calls/nobody", "/console/rules/99", "/console/lookups/none", "/console/history?rule=none"]
    for path in [*calls, *pages, *missing, "/console/calls?cursor=nonsense", "/console/password/forged"]:
        await reader.open(path)
    assert reader.left == {}


async def test_refusals_are_in_german(running: Running) -> None:
    await admin_of(running)
    await running.add_user("vera", Role.VIEWER)
    async with running.client() as client:
        reader = Reader(client)
        await reader.send("/console/login", "/console/login", {"name": "vera", "password": "wrong"})
        await log_in(client, "vera")
        refused = await reader.open("/console/users")
        assert "Dafür brauchen Sie die Rolle Administrator" in refused.text
        forged = await client.post("/console/rules/new", data={"csrf": "0"}, headers=GERMAN)
        assert "Dieses Formular ist abgelaufen" in forged.text
        assert reader.left == {}


async def test_what_programs_get_stays_english(running: Running) -> None:
    await admin_of(running)
    async with running.client(await running.token(Role.EDITOR)) as program:
        rule: dict[str, Any] = {"name": "spanish", "pattern": {}, "agent_name": "a", "answer_timeout_s": 4000}
        refused = await program.post("/api/v1/rules", json=rule, headers=GERMAN)
        taken = await program.post("/api/v1/rules", json={**rule, "answer_timeout_s": 5}, headers=GERMAN)
        denied = await program.get("/api/v1/users", headers=GERMAN)
    [problem] = refused.json()["errors"]
    assert (problem["path"], problem["message"]) == ("answer_timeout_s", "must be a whole number from 1 to 3600")
    assert taken.json()["detail"] == "there is a rule named 'spanish' already"
    assert denied.json()["detail"] == "this needs the role admin; yours is editor"
