"""Headers of answers to long addresses: a proxy that cannot hold them refuses the answer, and then the server."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
import pytest

from app.accounts.roles import Role
from tests.conftest import PASSWORD
from tests.integration.server.access.test_provider_login import ANA, Site, browser, provider, settings, site
from tests.integration.server.conftest import Running
from tests.integration.server.test_console import post

__all__ = ["browser", "provider", "settings", "site"]
HELD_BY_NGINX = 4096
"""Bytes; its `proxy_buffer_size`."""
LONG = "".join("abcdefghijklmnopqrstuvwxyz"[(i * i * 7 + i * 3) % 26] for i in range(3000))


def size_of_headers(answer: httpx2.Response) -> int:
    return sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)


@pytest.mark.parametrize("query", [LONG, quote("é" * 1000), "%F0%9F%98%80" * 500, "%25" * 1000])
async def test_a_login_begins_and_ends_with_headers_that_proxies_hold(
    site: Site, browser: httpx2.AsyncClient, query: str
) -> None:
    page = f"/console/calls?q={query}"
    asked = await browser.get(page)
    sent_away = await browser.get(f"/console/oidc/login?next={quote(page, safe='')}")
    elsewhere = await browser.get(f"http://127.0.0.1/console/oidc/login?next={quote(page, safe='')}")
    back = await browser.get(site.provider.authorize(sent_away.headers["location"], **ANA))
    known = await browser.get(f"/console/login?next={quote(page, safe='')}")
    for answer in (asked, sent_away, elsewhere, back, known):
        assert (answer.status_code, size_of_headers(answer) < HELD_BY_NGINX) == (303, True), answer.headers
    assert back.headers["location"] == known.headers["location"] == "/console/calls"


async def test_a_login_leads_home_from_a_path_that_is_too_long(running: Running) -> None:
    async with running.client() as client:
        answer = await client.get(f"/console/calls/{LONG}")
        assert answer.headers["location"] == "/console/login?next=/console/"
        answer = await client.get("/console/calls?q=ana&state=waiting")
        assert answer.headers["location"] == f"/console/login?next={quote('/console/calls?q=ana&state=waiting')}"


async def test_a_form_leads_on_with_headers_that_proxies_hold(running: Running) -> None:
    await running.add_user("eva", Role.VIEWER)
    async with running.client() as client:
        fields = {"name": "eva", "password": PASSWORD, "next": f"/console/calls?q={LONG}"}
        answer = await post(client, "/console/login", "/console/login", **fields)
    assert answer.headers["location"] == "/console/calls"
