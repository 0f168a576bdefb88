"""The documentation over HTTP: every page, its links, search, and what strangers may ask."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from app.server.documentation.library import APP, library
from app.version import usher_version
from tests.integration.server.conftest import Running, running

__all__ = ["running"]


class Links(HTMLParser):
    """The targets and the ids of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.targets.append(str(values["href"]))
        if values.get("id"):
            self.ids.add(str(values["id"]))


@pytest.mark.parametrize("name", sorted(library().pages))
async def test_every_page_is_served_without_login_and_its_links_lead_somewhere(running: Running, name: str) -> None:
    async with running.client() as client:
        path = "/docs/" if name == "index" else f"/docs/{name}"
        answer = await client.get(path)
        assert answer.status_code == 200
        assert f"Version {usher_version()}" in answer.text
        assert "set-cookie" not in answer.headers
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "style=" not in answer.text
        assert "<script" not in answer.text
        broken = [target for target in Links(answer.text).targets if not await leads_somewhere(client, path, target)]
    assert broken == []


async def leads_somewhere(client: httpx2.AsyncClient, path: str, target: str) -> bool:
    if target.startswith(("https://", "mailto:")):
        return True
    address, _, anchor = target.partition("#")
    if address.startswith("/docs/"):  # each is fetched by a case of its own
        page = library().pages.get(address.removeprefix("/docs/") or "index")
        return page is not None and (not anchor or anchor in {section.anchor for section in page.sections})
    answer = await client.get(address or path)
    if answer.status_code not in {200, 303, 307}:
        return False
    return not anchor or anchor in Links(answer.text).ids


async def test_search_finds_pages_and_shows_the_query_escaped(running: Running) -> None:
    async with running.client() as client:
        answer = await client.get("/docs/search", params={"q": "USHER_PUBLIC_URL"})
        assert answer.status_code == 200
        assert "/docs/access#the-public-url" in Links(answer.text).targets
        evil = await client.get("/docs/search", params={"q": '"><script>alert(1)</script>'})
        assert evil.status_code == 200
        assert "<script>" not in evil.text
        assert (await client.get("/docs/search")).status_code == 200
        assert (await client.get("/docs/search", params={"q": "\0" * 5_000})).status_code == 200


async def test_an_address_that_is_no_page_is_404_with_what_is_similar(running: Running) -> None:
    async with running.client() as client:
        answer = await client.get("/docs/back-up")
        assert answer.status_code == 404
        assert 'role="search"' in answer.text
        assert "/docs/operations#back-up-and-restore" in Links(answer.text).targets
        for path in ("/docs/../app.py", "/docs/%2e%2e/%2e%2e/etc/passwd", "/docs/x" * 500):
            assert (await client.get(path)).status_code == 404


async def test_file_names_lead_to_their_page(running: Running) -> None:
    async with running.client() as client:
        for file, target in (
            ("", ""),
            ("/access{}", "access"),
            ("/index{}", ""),
            ("/decisions/json-e{}", "decisions/json-e"),
        ):
            answer = await client.get("/docs" + file.format(".md"))
            assert (answer.status_code, answer.headers["location"]) == (307, f"/docs/{target}")


async def test_the_console_links_to_the_documentation_before_and_after_login(running: Running) -> None:
    async with running.client() as client:
        assert "/docs/" in Links((await client.get("/console/login")).text).targets


def test_templates_of_the_documentation_need_no_script() -> None:
    templates: Path = APP / "server" / "templates"
    assert all("<script" not in path.read_text("utf-8") for path in templates.glob("docs*.html"))
