"""The simulated server's listener: uvicorn in this event loop, and connections that are cut like a pulled cable."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Generator
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no signal handlers: the loop belongs to the program that runs the simulator."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end without looking at the clock ten times a second, as uvicorn does."""
        await self.stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening at once; what is connected was cut before."""
        for server in self.servers:
            server.close()
        for listening in sockets or ():
            listening.close()


class ServerListener(Protocol):
    """Serves the simulator's application; one that takes no sockets can run in virtual time."""

    host: str
    port: int

    async def start(self) -> None:
        """Accept calls; raises OSError when it cannot."""
        ...

    async def stop(self) -> None:
        """Cut every connection and accept no more, as a killed process does."""
        ...


class Listener:
    """Serves one ASGI application on one address; after `stop`, `start` takes the same port again."""

    def __init__(self, application: ASGIApp, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._application = application
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; port 0 becomes the port found. Raises OSError when the port is taken."""
        # The protocol is named: asyncio turns Nagle's algorithm off (40 ms a call) only for sockets that say TCP.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
        except OSError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._serve,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=300,
            backlog=4096,
        )
        self._server = _Server(config)
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Cut every connection and listen no more, as a killed process does."""
        server, task = self._server, self._task
        if server is None or task is None:
            return
        for connection in list(server.server_state.connections):
            transport: Any = getattr(connection, "transport", None)
            if transport is not None:
                _reset(transport)
        server.stopped.set()
        await task
        for under_way in list(server.server_state.tasks):
            under_way.cancel()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
        self._server = self._task = None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A call that is cancelled hung while the server was stopped; its connection is gone, so it gets no answer.
        with contextlib.suppress(asyncio.CancelledError):
            await self._application(scope, receive, send)


async def cut(receive: Receive, send: Send) -> None:
    """Reset the connection of one request whose body has been read.

    ASGI knows no such thing, so this reaches for uvicorn's transport behind `send`.
    """
    _reset(send.__self__.transport)  # type: ignore[attr-defined] # the bound method of uvicorn's request cycle
    await receive()  # returns once uvicorn knows that the connection is gone, and so expects no answer


def _reset(transport: Any) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Without lingering, closing sends RST instead of FIN.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
