"""The SDK's HTTP session without sockets: calls reach the simulated LiveKit in the same event loop.

Broken connections raise what aiohttp raises; the contract and acceptance tiers use real sockets.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from starlette.types import ASGIApp

from tests.world.virtual_time import in_context_of


class DirectListener:
    """Takes the place of the simulator's listener; `observers` hear of every call as it begins."""

    def __init__(self, application: ASGIApp) -> None:
        self.host, self.port = "livekit.test", 7880
        self.application = application
        self.up = False
        self.observers: list[Callable[[str], None]] = []
        self._under_way: set[_Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.up = True

    async def stop(self) -> None:
        """Cut every connection, as a killed process does; what it was doing is not done."""
        self.up = False
        for exchange in tuple(self._under_way):
            exchange.abort()
        for task in tuple(self._tasks):
            task.cancel()

    async def call(self, path: str, headers: Mapping[str, str], body: bytes) -> _Exchange:
        """Return the exchange once it is answered; raises what aiohttp raises when it is cut."""
        if not self.up:
            raise self.refusal()
        for observer in self.observers:
            observer(path)
        exchange = _Exchange(body)
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        # A task of its own: a client that gives up does not stop the server.
        task = asyncio.get_running_loop().create_task(self._run(scope, exchange), context=in_context_of(None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._under_way.add(exchange)
        try:
            await asyncio.shield(exchange.answered)
        finally:
            self._under_way.discard(exchange)
        return exchange

    def refusal(self) -> aiohttp.ClientConnectorError:
        """Return what aiohttp raises where no server listens."""
        key = ConnectionKey(self.host, self.port, False, True, None, None, None)  # noqa: FBT003 - aiohttp's order
        return aiohttp.ClientConnectorError(key, OSError(errno.ECONNREFUSED, "refused"))

    async def _run(self, scope: dict[str, Any], exchange: _Exchange) -> None:
        await self.application(scope, exchange.receive, exchange.send)


class _Exchange:
    def __init__(self, body: bytes) -> None:
        self._incoming = [body]
        self.transport = self  # the simulator reaches for uvicorn's to cut the connection
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: dict[str, str] = {}  # of the answer; uvicorn would add the date
        self.body = b""

    async def receive(self) -> dict[str, Any]:
        if self._incoming:
            return {"type": "http.request", "body": self._incoming.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body") and not self.answered.done():
                self.answered.set_result(None)

    def get_extra_info(self, _name: str) -> None:
        return None

    def abort(self) -> None:
        if not self.answered.done():
            self.answered.set_exception(aiohttp.ServerDisconnectedError())

    async def read(self) -> bytes:
        return self.body

    async def json(self) -> Any:
        return json.loads(self.body)

    async def text(self, *, errors: str = "strict") -> str:
        return self.body.decode(errors=errors)


class DirectSession:
    """What the SDK uses of `aiohttp.ClientSession`; once it is `cut`, no call reaches LiveKit."""

    def __init__(self, listener: DirectListener, timeout_s: float) -> None:
        self.cut = False
        self._listener = listener
        self.timeout = aiohttp.ClientTimeout(total=timeout_s)

    def post(
        self, url: str, *, headers: Mapping[str, str], data: bytes, timeout: aiohttp.ClientTimeout | None = None
    ) -> AbstractAsyncContextManager[_Exchange]:
        limit = (timeout or self.timeout).total
        return self._exchange(urlsplit(url).path, headers, data, limit)

    @asynccontextmanager
    async def _exchange(
        self, path: str, headers: Mapping[str, str], data: bytes, limit: float | None
    ) -> AsyncIterator[_Exchange]:
        if self.cut:
            raise self._listener.refusal()
        async with asyncio.timeout(limit):
            exchange = await self._listener.call(path, headers, data)
        yield exchange

    async def close(self) -> None:
        """Nothing is open."""
