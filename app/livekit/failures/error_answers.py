"""Reads the errors that LiveKit answers in plain text: the SDK knows those of Twirp, in JSON, alone.

LiveKit's middleware refuses a token with text such as `invalid API key: APIold`; a proxy before it answers HTML.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp

_LONGEST_TEXT: Final = 300
_CODES: Final = {401: "unauthenticated", 403: "permission_denied", 429: "resource_exhausted", 503: "unavailable"}
DATE: Final = "usher_date"
"""The key of an error's metadata that holds the `Date` header of the answer: it shows LiveKit's clock."""


class ReadingSession:
    """An HTTP session of the SDK, with errors of any form read as those of Twirp."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        return self._session.timeout

    @asynccontextmanager
    async def post(self, url: str, **options: Any) -> AsyncIterator[Any]:
        """Post, and yield the answer."""
        async with self._session.post(url, **options) as response:
            yield response if response.status == 200 else _ErrorAnswer(response)


class _ErrorAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    async def json(self) -> dict[str, Any]:
        """Return the error as Twirp writes it; the text is LiveKit's own, with the HTTP status if it is no Twirp."""
        meta = {DATE: self._response.headers.get("Date", "")}
        try:
            found = await self._response.json()
        except (aiohttp.ClientError, ValueError):
            found = None
        if isinstance(found, dict) and isinstance(found.get("code"), str):
            return {**found, "meta": {**(found.get("meta") or {}), **meta}}
        text = " ".join((await self._response.text(errors="replace")).split())[:_LONGEST_TEXT]
        message = f"HTTP {self.status}: {text or _phrase(self.status)}"
        return {"code": _CODES.get(self.status, "unknown"), "msg": message, "meta": meta}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no text"
