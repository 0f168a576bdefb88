"""Asks lookups over HTTP. What is not a short JSON answer with status 2xx raises `LookupFailedError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import aiohttp

from app.flows.outgoing.http_pool import HttpPool, failure_reason, is_compressed
from app.rules.lookups.lookup_check import MAX_ANSWER_BYTES
from app.translation import translatable

_CHUNK: Final = 16_384


class LookupFailedError(Exception):
    """There is no usable answer; the message says why and holds nothing of the caller or of a header."""


class LookupClient(Protocol):
    """Sends questions to the services of lookups."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return the body of a 2xx answer, of at most `MAX_ANSWER_BYTES`; LookupFailedError for any other."""

    async def close(self) -> None:
        """Close the connections."""


class HttpLookupClient:
    """One pool of connections for all lookups; the caller limits how many questions are open at a time."""

    def __init__(self) -> None:
        self._pool = HttpPool({"Accept": "application/json", "Content-Type": "application/json"})

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
        try:
            async with self._pool.post(url, headers, body) as response:
                return await _read(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LookupFailedError(failure_reason(error)) from error

    async def close(self) -> None:
        await self._pool.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if 300 <= response.status < 400:
        raise LookupFailedError(
            translatable(
                "it answered %(status)s, a redirect: write the new address into its url", status=response.status
            )
        )
    if not 200 <= response.status < 300:
        raise LookupFailedError(translatable("it answered %(status)s", status=response.status))
    if is_compressed(response):
        raise LookupFailedError(translatable("its answer is compressed, which was not asked for"))
    if (response.content_length or 0) > MAX_ANSWER_BYTES:
        raise LookupFailedError(_TOO_LONG)
    found = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        found += chunk
        if len(found) > MAX_ANSWER_BYTES:
            raise LookupFailedError(_TOO_LONG)  # leaving the response closes its connection
    return bytes(found)


_TOO_LONG: Final = translatable("its answer is longer than %(most)s bytes", most=MAX_ANSWER_BYTES)
