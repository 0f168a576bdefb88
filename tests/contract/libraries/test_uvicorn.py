"""What Usher and the simulator override or use of uvicorn beyond its documentation."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from tests.harness.ports import LOOPBACK

Serve = Callable[[Any, Any, Any], Awaitable[None]]


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Recording(uvicorn.Server):
    """Overrides what Usher overrides, and keeps a record of it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.steps: list[str] = []
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self.steps.append("signals")
        yield
        self.steps.append("signals given back")

    async def main_loop(self) -> None:
        self.steps.append("main loop")
        await self.stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.steps.append("shutdown")
        await super().shutdown(sockets)


@asynccontextmanager
async def running(app: Serve) -> AsyncIterator[tuple[Recording, int]]:
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003 - the socket API
        server = Recording(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
        try:
            yield server, listener.getsockname()[1]
        finally:
            server.stopped.set()
            await serving


async def request(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    return reader, writer


async def test_serve_calls_the_methods_that_we_override_in_this_order() -> None:
    async with running(answer) as (server, port):
        reader, writer = await request(port)
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        writer.close()
    assert server.steps == ["signals", "main loop", "shutdown", "signals given back"]


async def test_a_running_server_holds_its_connections_with_their_transports_and_its_tasks() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await finish.wait()
        await answer(scope, receive, send)

    async with running(wait) as (server, port):
        _, writer = await request(port)
        await begun.wait()
        (connection,) = server.server_state.connections
        transport: Any = connection
        assert transport.transport.get_extra_info("socket").getsockname()[1] == port
        assert len(server.server_state.tasks) == 1
        assert [one.is_serving() for one in server.servers] == [True]
        finish.set()
        writer.close()


async def test_the_send_of_a_request_is_a_method_of_what_holds_its_transport() -> None:
    """The simulator cuts a connection through it, as a server that crashes does."""
    transports: list[Any] = []

    async def cut(_scope: Any, receive: Any, send: Any) -> None:
        transports.append(send.__self__.transport)
        transports[0].abort()
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()

    async with running(cut) as (_, port):
        reader, writer = await request(port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
    assert len(transports) == 1


@pytest.mark.parametrize(("times", "is_forced"), [(1, False), (2, True)])
async def test_the_first_signal_asks_to_stop_and_the_second_forces_it(times: int, *, is_forced: bool) -> None:
    server = uvicorn.Server(uvicorn.Config(answer, log_config=None))
    for _ in range(times):
        server.handle_exit(signal.SIGINT, None)
    assert server.should_exit
    assert server.force_exit is is_forced
