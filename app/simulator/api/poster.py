"""The simulated server's HTTP client for webhooks."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from app.simulator.webhooks import Answer


class HttpPoster:
    """Posts webhooks over kept-alive connections; a receiver that cannot be reached answers with status 0."""

    def __init__(self, *, connections: int = 128) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        session = self._session
        if session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            # LiveKit's client has no time limit: a receiver that never answers blocks its room for good.
            session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
            self._session = session
        try:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                return Answer(response.status, _seconds(response.headers.get("Retry-After")))
        except (aiohttp.ClientError, OSError):
            return Answer(0)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
