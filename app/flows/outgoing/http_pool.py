"""Requests to addresses that operators configure, whose servers may hang or answer anything."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse
from aiohttp.abc import AbstractResolver, ResolveResult

from app.translation import translatable
from app.version import usher_version

_RESOLVER_THREADS: Final = 4
_IDLE_S: Final = 30.0  # shorter than the idle limits of common servers, which close a connection as it is used again


class HttpPool:
    """Connections to any number of servers.

    Certificates are verified. Proxies and cookies are not used, answers are not decompressed, and redirects are not
    followed: the next address might get the secrets of this one. The caller limits how long a request takes and how
    many are open at a time.
    """

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = headers or {}
        self._session: aiohttp.ClientSession | None = None
        self._resolver: _ThreadResolver | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AbstractAsyncContextManager[ClientResponse]:
        """Return a request to be entered with `async with`; its errors are those of `failure_reason`."""
        return self._opened().post(url, headers=headers, data=body, allow_redirects=False)

    def get(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[ClientResponse]:
        """Return a request to be entered with `async with`; its errors are those of `failure_reason`."""
        return self._opened().get(url, headers=headers, allow_redirects=False)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()  # a session closes only a resolver that it made itself

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made with the first request: most deployments send none."""
        if self._session is None:
            self._resolver = _ThreadResolver()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, resolver=self._resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the caller's limit includes all
                trust_env=False,
                auto_decompress=False,
                headers={"Accept-Encoding": "identity", "User-Agent": f"usher/{usher_version()}", **self._headers},
            )
        return self._session


def is_compressed(response: ClientResponse) -> bool:
    """Return whether an answer is compressed, which was not asked for: a few bytes could become gigabytes."""
    return response.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}


def failure_reason(error: Exception) -> str:
    """Return why a request got no answer; it names at most the host and port of the address."""
    match error:
        case aiohttp.InvalidURL():
            return translatable("its url is no address")
        case aiohttp.ClientConnectorCertificateError():
            return translatable("its certificate is not valid: %(error)s", error=error.certificate_error)
        case aiohttp.ClientConnectorDNSError():
            return translatable("its host is not known: %(host)s", host=error.host)
        case aiohttp.ClientSSLError():
            return translatable("no TLS connection to %(host)s could be made", host=error.host)
        case aiohttp.ClientConnectorError():
            why = os.strerror(error.errno) if error.errno else type(error.os_error).__name__
            return translatable(
                "no connection to %(host)s:%(port)s: %(why)s", host=error.host, port=str(error.port), why=why
            )
        case aiohttp.ServerDisconnectedError():
            return translatable("it closed the connection without an answer")
        case aiohttp.ClientPayloadError():
            return translatable("it broke off its answer")
        case aiohttp.ClientResponseError():
            return translatable("its answer is not HTTP")
        case _:
            return translatable("the connection failed: %(name)s", name=type(error).__name__)


class _ThreadResolver(AbstractResolver):
    """Resolves names in its own threads: a name server that hangs must not occupy those that resolve LiveKit's host."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "usher-names")

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def read_at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer; an empty one if it has more bytes than `most`."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        found += chunk
        if len(found) > most:
            return b""  # leaving the response closes its connection
    return bytes(found)
