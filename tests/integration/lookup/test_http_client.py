"""Questions over real connections: what is an answer, and what is not."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from app.flows.lookup.http_client import HttpLookupClient, LookupFailedError
from app.rules.lookups.lookup_check import MAX_ANSWER_BYTES
from tests.harness.serving import until


class Service:
    """An HTTP service on this machine, and the requests that it got."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()
        self.url = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{kind}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.set()
        self.bodies.append(await request.read())
        match request.match_info["kind"]:
            case "ok":
                return web.Response(body=b'{"a": 1}', headers={"set-cookie": "session=1"})
            case "largest":
                return web.Response(body=b"x" * MAX_ANSWER_BYTES)
            case "too-large":
                return web.Response(body=b"x" * (MAX_ANSWER_BYTES + 1))
            case "endless":
                return await self._endless(request)
            case "gzip":
                return web.Response(body=gzip.compress(b"x" * 10_000_000), headers={"content-encoding": "gzip"})
            case "elsewhere":
                return web.Response(status=307, headers={"location": f"{self.url}/ok"})
            case "hang":
                await self.ended.wait()
                return web.Response()
            case "broken":
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case status:
                return web.Response(status=int(status), body=b"{}")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionError:
            self.ended.set()
        return response


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    runner = await service.start()
    yield service
    service.ended.set()
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[HttpLookupClient]:
    client = HttpLookupClient()
    yield client
    await client.close()


async def test_the_document_is_posted_as_json(service: Service, client: HttpLookupClient) -> None:
    for _ in range(2):
        assert await client.post(f"{service.url}/ok", {"authorization": "Bearer a"}, b'{"x": 1}') == b'{"a": 1}'
    assert service.bodies == [b'{"x": 1}'] * 2
    first, second = service.requests
    assert (first.method, first.headers["content-type"]) == ("POST", "application/json")
    assert first.headers["authorization"] == "Bearer a"
    assert first.headers["accept-encoding"] == "identity"
    assert "cookie" not in second.headers
    assert first.transport is second.transport or second.transport is None  # one connection for both


async def test_an_answer_of_the_largest_size(service: Service, client: HttpLookupClient) -> None:
    assert len(await client.post(f"{service.url}/largest", {}, b"{}")) == MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("too-large", "longer than 65536 bytes"),
        ("endless", "longer than 65536 bytes"),
        ("gzip", "is compressed"),
        ("elsewhere", "it answered 307, a redirect"),
        ("204", ""),
        ("404", "it answered 404"),
        ("500", "it answered 500"),
        ("broken", "closed the connection"),
    ],
)
async def test_what_is_no_answer(service: Service, client: HttpLookupClient, kind: str, message: str) -> None:
    if not message:
        assert await client.post(f"{service.url}/{kind}", {}, b"{}") == b""
        return
    with pytest.raises(LookupFailedError, match=message):
        await client.post(f"{service.url}/{kind}", {}, b"{}")
    assert len(service.requests) == 1  # neither followed nor repeated
    if kind == "endless":
        await asyncio.wait_for(service.ended.wait(), 60)  # its connection was closed


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://nobody.invalid/", "http://[::1]:9/"])
async def test_a_service_that_is_not_there(client: HttpLookupClient, url: str) -> None:
    with pytest.raises(LookupFailedError):
        await client.post(url, {}, b"{}")


async def test_tls_without_a_certificate_is_refused(service: Service, client: HttpLookupClient) -> None:
    with pytest.raises(LookupFailedError, match="TLS"):
        await client.post(service.url.replace("http://", "https://") + "/ok", {}, b"{}")
    assert service.requests == []


async def test_proxies_of_the_environment_are_not_used(
    service: Service, client: HttpLookupClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert await client.post(f"{service.url}/ok", {}, b"{}") == b'{"a": 1}'


async def test_a_question_that_is_given_up_closes_its_connection(service: Service, client: HttpLookupClient) -> None:
    asking = asyncio.create_task(client.post(f"{service.url}/hang", {}, b"{}"))
    await asyncio.wait_for(service.asked.wait(), 60)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await client.post(f"{service.url}/ok", {}, b"{}") == b'{"a": 1}'


async def test_closing_ends_the_threads_that_resolve_names(client: HttpLookupClient) -> None:
    with pytest.raises(LookupFailedError):
        await client.post("http://localhost:9/", {}, b"{}")
    resolving = [thread for thread in threading.enumerate() if thread.name.startswith("usher-names")]
    assert resolving
    await client.close()
    await until(lambda: not any(thread.is_alive() for thread in resolving))
