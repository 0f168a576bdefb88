"""Pages in the language of the reader: chosen in the console or by the browser, with names that keep to themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx2
from babel.messages.pofile import read_po

from app.accounts.roles import Role
from app.server.translations.catalogues import TRANSLATIONS
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import PAGES, RULE, log_in, post

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}
CALLER, ROOM, AGENT = "שירה", "אולם", "סוכן"
VOID = {"area", "br", "hr", "img", "input", "link", "meta", "rect", "circle", "line"}
OWN_DIRECTION = {"bdi", "option", "title", "pre", "code", "textarea", "time"}
"""Elements that browsers lay out by themselves, or whose text is no part of a sentence."""


class Texts(HTMLParser):
    """The texts of a page, each with the elements around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, frozenset[str]]] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append((" ".join(data.split()), frozenset(self._open)))


async def admin_of(running: Running) -> httpx2.AsyncClient:
    await running.add_user("maria", Role.ADMIN)
    client = running.client()
    await log_in(client, "maria")
    return client


async def fill(running: Running, client: httpx2.AsyncClient) -> list[str]:
    """Store a rule and calls with names from right to left; return the addresses of pages that show them."""
    await post(client, "/console/rules/new", "/console/rules/new", **{**RULE, "agent_name": AGENT})
    served, _ = await running.join(CALLER, ROOM, metadata={"language": "es"}, name=CALLER)
    missed, _ = await running.join(f"{CALLER} 2", ROOM)
    calls = [f"/console/calls/{event_id}?steps=all" for event_id in (served, missed)]
    return [*calls, "/console/rules/1", "/console/users", "/console/logins", *PAGES.split()]


def _english() -> Iterator[str]:
    """Yield the texts that German says otherwise."""
    with (TRANSLATIONS / "de.po").open("rb") as file:
        for message in read_po(file, "de"):
            if isinstance(message.id, str) and " " in message.id and message.string != message.id:
                yield message.id


async def test_no_page_in_german_shows_an_english_text_of_the_catalogue(running: Running) -> None:
    client, english = await admin_of(running), set(_english())
    left: dict[str, list[str]] = {}
    for path in await fill(running, client):
        answer = await client.get(path, headers=GERMAN)
        assert answer.status_code == 200, path
        if path != "/api":
            assert answer.headers["content-language"] == "de"
            found = [text for text, _ in Texts(answer.text).found if text in english]
            left |= {path: found} if found else {}
    assert left == {}


async def test_names_from_right_to_left_stand_apart(running: Running) -> None:
    client = await admin_of(running)
    wrong: dict[str, set[str]] = {}
    for path in await fill(running, client):
        for text, around in Texts((await client.get(path)).text).found:
            bare = re.sub("\u2068.*?\u2069", "", text)
            if not around & OWN_DIRECTION and re.search("[\u0590-\u05ff]", bare):
                wrong.setdefault(path, set()).add(text)
    assert wrong == {}


async def test_caches_keep_a_page_for_each_language(running: Running) -> None:
    client = await admin_of(running)
    german = await client.get("/console/", headers=GERMAN)
    assert (german.headers["content-language"], german.headers["vary"]) == ("de", "Accept-Language, Cookie")
    assert (await client.get("/console/")).headers["content-language"] == "en"
    async with running.client() as stranger:
        assert "Anmelden" in (await stranger.get("/console/login", headers=GERMAN)).text


async def test_a_user_chooses_a_language(running: Running) -> None:
    client = await admin_of(running)
    chosen = await post(client, "/console/account", "/console/account/language", language="de")
    assert chosen.status_code == 303
    assert "Die Sprache wurde geändert." in (await client.get(chosen.headers["location"])).text
    assert '<html lang="de">' in (await client.get("/console/")).text
    await post(client, "/console/account", "/console/account/language", language="")
    assert '<html lang="en">' in (await client.get("/console/")).text
    await post(client, "/console/account", "/console/account/language", language="unheard-of")
    assert '<html lang="en">' in (await client.get("/console/")).text


async def test_what_is_stored_and_the_api_stay_english(running: Running) -> None:
    client = await admin_of(running)
    [call, *_] = await fill(running, client)
    event_id = call.removeprefix("/console/calls/").partition("?")[0]
    assert "wartet auf" in (await client.get(call, headers=GERMAN)).text
    token = await running.token()
    async with running.client(token) as program:
        found = (await program.get(f"/api/v1/calls/{event_id}", headers=GERMAN)).json()
    assert "is waiting for" in found["summary"]
