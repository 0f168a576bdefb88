"""Which hosts are served, and which headers protect the answers."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.server.access.site import Site
from app.settings import read_settings

LIVEKIT = {"LIVEKIT_URL": "wss://my.livekit.cloud/", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
PUBLIC = {"USHER_PUBLIC_URL": "https://Usher.example.com/"}


async def _answer(_request: Request) -> Response:
    return PlainTextResponse("fine")


async def get(
    path: str, host: str | None = None, *, scheme: str = "http", environment: Mapping[str, str] = PUBLIC
) -> httpx2.Response:
    settings = read_settings({**LIVEKIT, **environment})
    site = Site(Starlette(routes=[Route("/{path:path}", _answer)]), settings)
    transport = httpx2.ASGITransport(app=site)
    async with httpx2.AsyncClient(transport=transport, base_url=f"{scheme}://usher.test") as client:
        return await client.get(path, headers={} if host is None else {"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "usher.example.com",
        "USHER.example.com:443",
        "usher.example.com.",
        "localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
    ],
)
@pytest.mark.parametrize("path", ["/console/", "/api/v1/rules", "/", "/docs/x"])
async def test_our_hosts_are_served(host: str, path: str) -> None:
    assert (await get(path, host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "usher.example.com.evil.example", "10.0.0.7", "usher.internal", "", "[::2]", "a:b:c"]
)
@pytest.mark.parametrize("path", ["/console/", "/console/login", "/api/v1/rules", "/api", "/"])
async def test_other_hosts_are_refused(host: str, path: str) -> None:
    answer = await get(path, host)
    assert answer.status_code == 400
    assert "host name" in answer.json()["detail"]
    assert not host or host not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_and_scrapers_are_answered_whatever_the_host(path: str) -> None:
    assert (await get(path, "10.0.0.7:8080")).status_code == 200


async def test_without_a_public_url_any_host_is_served() -> None:
    assert (await get("/console/", "evil.example", environment={})).status_code == 200


async def test_further_hosts_can_be_allowed() -> None:
    environment = {**PUBLIC, "USHER_ALLOWED_HOSTS": "usher.internal, 10.0.0.7"}
    for host in ("usher.internal:8080", "10.0.0.7", "usher.example.com"):
        assert (await get("/console/", host, environment=environment)).status_code == 200
    assert (await get("/console/", "evil.example", environment=environment)).status_code == 400


@pytest.mark.parametrize("path", ["/api/v1/me", "/console/account"])
async def test_answers_to_users_are_not_kept(path: str) -> None:
    answer = await get(path, environment={})
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_files_may_be_kept() -> None:
    assert "cache-control" not in (await get("/console/static/console.css", environment={})).headers


@pytest.mark.parametrize(
    ("environment", "scheme", "is_set"),
    [
        ({}, "http", False),
        ({}, "https", True),
        (PUBLIC, "http", True),
        ({"USHER_SECURE_COOKIES": "true"}, "http", True),
    ],
)
async def test_browsers_that_came_by_tls_stay_with_it(
    environment: Mapping[str, str], scheme: str, is_set: bool
) -> None:
    answer = await get("/console/", "localhost", environment=environment, scheme=scheme)
    assert ("strict-transport-security" in answer.headers) is is_set
