"""The whole service and a simulated LiveKit in this event loop, speaking HTTP over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from app.cli.serve import listen, serve_app
from app.settings import read_settings
from app.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from app.wiring import Service, service
from tests.harness.ports import LOOPBACK
from tests.simulator import Simulator

T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """A running service: its parts, its address, its LiveKit."""

    service: Service
    url: str
    simulator: Simulator


@asynccontextmanager
async def serving(
    database_url: str, *, simulator_posts_webhooks: bool = True, **environment: str
) -> AsyncIterator[Serving]:
    """Serve until the end of the block; `environment` overrides settings, `{url}` in it is where Usher is served.

    No sweeps unless it says so.
    """
    with listen(LOOPBACK, 0) as listener:
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        webhook_urls = [f"{url}/livekit/webhook"] if simulator_posts_webhooks else []
        async with Simulator(webhook_urls=webhook_urls) as simulator:
            settings = {
                "LIVEKIT_URL": simulator.url,
                "LIVEKIT_API_KEY": SIMULATOR_KEY,
                "LIVEKIT_API_SECRET": SIMULATOR_SECRET,
                "DATABASE_URL": database_url,
                "USHER_SWEEP_INTERVAL": "0",
                **{name: value.replace("{url}", url) for name, value in environment.items()},
            }
            async with service(read_settings(settings)) as built:
                stop = asyncio.Event()
                server = asyncio.create_task(serve_app(built.app, listener, stop))
                try:
                    yield Serving(built, url, simulator)
                finally:
                    stop.set()
                    await server


async def until(condition: Callable[[], T], *, within: float = 60.0) -> T:
    """Return what `condition` gives as soon as it is true; TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while not (found := condition()):  # noqa: ASYNC110 - anything may make it true, in any process
            await asyncio.sleep(0.02)
    return found


async def get_when_ready(
    client: httpx2.AsyncClient, path: str, headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """Return the answer of `path`; of /readyz the first with 200.

    On a busy machine a transaction or a read may last so long that Usher is rightly not ready for a while.
    """
    async with asyncio.timeout(60):
        while True:
            answer = await client.get(path, headers=headers)
            if answer.status_code == 200 or path != "/readyz":
                return answer
            await asyncio.sleep(0.1)
