"""Asks lookups over HTTP. What is not a short JSON answer with status 2xx raises `LookupFailedError`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from app.rules.lookups.lookup_check import MAX_ANSWER_BYTES
from app.version import usher_version

_CHUNK: Final = 16_384
_RESOLVER_THREADS: Final = 4
_IDLE_S: Final = 30.0  # shorter than the idle limits of common servers, which close a connection as it is used again


class LookupFailedError(Exception):
    """There is no usable answer; the message says why and holds nothing of the caller or of a header."""


class LookupClient(Protocol):
    """The way to the services that lookups ask."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return the body of a 2xx answer, of at most `MAX_ANSWER_BYTES`; LookupFailedError for any other."""

    async def close(self) -> None:
        """Close the connections."""


class HttpLookupClient:
    """One pool of connections for all lookups.

    Certificates are verified, proxies and cookies are not used, and redirects are not followed: the next address might
    get the secrets of this one. How many questions are open at a time is limited by the caller.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        try:
            async with self._open().post(url, headers=headers, data=body, allow_redirects=False) as response:
                return await _read(response)
        except aiohttp.InvalidURL as error:
            raise LookupFailedError("its url is no address") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LookupFailedError(_reason(error)) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Return the session, made at the first question: most deployments have no lookups."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S, resolver=_OwnThreads())
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the caller's limit includes all
                trust_env=False,
                auto_decompress=False,
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                    "Content-Type": "application/json",
                    "User-Agent": f"usher/{usher_version()}",
                },
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if 300 <= response.status < 400:
        raise LookupFailedError(f"it answered {response.status}, a redirect: write the new address into its url")
    if not 200 <= response.status < 300:
        raise LookupFailedError(f"it answered {response.status}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        # A few bytes could become gigabytes.
        raise LookupFailedError("its answer is compressed, which was not asked for")
    if (response.content_length or 0) > MAX_ANSWER_BYTES:
        raise LookupFailedError(_TOO_LONG)
    found = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        found += chunk
        if len(found) > MAX_ANSWER_BYTES:
            raise LookupFailedError(_TOO_LONG)  # leaving the response closes its connection
    return bytes(found)


_TOO_LONG: Final = f"its answer is longer than {MAX_ANSWER_BYTES} bytes"


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not valid: {error.certificate_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"its host is not known: {error.host}"
        case aiohttp.ClientSSLError():
            return f"no TLS connection to {error.host} could be made"
        case aiohttp.ClientConnectorError():
            why = os.strerror(error.errno) if error.errno else type(error.os_error).__name__
            return f"no connection to {error.host}:{error.port}: {why}"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case _:
            return f"the connection failed: {type(error).__name__}"


class _OwnThreads(AbstractResolver):
    """Resolves names in threads of its own: a name server that hangs must not take those of LiveKit's names."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "usher-lookup-names")

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
