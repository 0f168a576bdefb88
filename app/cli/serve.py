"""`usher serve`: the service."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import typer
import uvicorn
import uvloop
from starlette.applications import Starlette

from app.clock import SystemClock
from app.connections.connection_guard import ConnectionGuard
from app.connections.connection_limits import Limits, affordable_limits
from app.connections.guarded_protocol import GuardedProtocol
from app.errors import ConflictError
from app.logs import configure_logs, get_logger
from app.metrics import Metrics
from app.settings import Settings, local_url, read_settings, weak_secrets
from app.wiring import service

_log = get_logger(__name__)

SOCKET_BUFFER_BYTES = 128 * 1024
"""Of the kernel's, for what is sent and what is received on a connection: the kernel doubles it. Left alone it grows to
megabytes each, which 500 peers that do not read fill with answers."""


_SWITCH_INTERVAL_S = 0.001
"""How long the event loop may keep the interpreter's lock while the writer's thread waits for it, some ten times in a
transaction. Measured: with a busy loop a webhook waits 84 ms for its transaction, and 105 ms at the default of 5 ms."""


def serve(
    dev: Annotated[bool, typer.Option("--dev", help="use LiveKit's --dev URL, key and secret")] = False,
) -> None:
    """Receive webhooks, dispatch agents, and check that they join."""
    settings = read_settings(development=dev)
    configure_logs(settings.log_format)
    listener = listen(settings.host, settings.port)
    with listener:
        uvloop.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    gc.disable()
    async with service(settings) as built:
        _spare_collections()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        address = local_url(*listener.getsockname()[:2])
        for warning in weak_secrets(settings):
            _log.warning("a setting is weak", setting=warning.path, problem=warning.message)
        _log.info("usher is serving", url=address, projects=[one.name for one in settings.projects])
        if built.first_admin_path:
            link = f"{settings.public_url or address}{built.first_admin_path}"
            _log.warning("there is no user yet: this link adds the first admin, once, within a day", link=link)
        await serve_app(built.app, listener, metrics=built.orchestrator.context.metrics)


def _spare_collections() -> None:
    """Exempt what was made until now from garbage collection, which begins now, and collect less often.

    Measured: one full collection with 100,000 rules stops the process for 1.2 s, and the start had three of them; the
    default thresholds cost a webhook a tenth of its time.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


async def serve_app(
    app: Starlette,
    listener: socket.socket,
    stop: asyncio.Event | None = None,
    *,
    metrics: Metrics | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve `app` until `stop` is set or, without `stop`, until a signal arrives."""
    guard = ConnectionGuard(limits or affordable_limits(), metrics or Metrics(), SystemClock())
    protocol: Any = partial(GuardedProtocol, guard)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    server = _Server(config, guard, obeys_signals=stop is None)
    guard.start()
    try:
        if stop is None:
            await server.serve(sockets=[listener])
            return
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await stop.wait()
        server.should_exit = True
        await serving
    finally:
        guard.stop()


class _Server(uvicorn.Server):
    """uvicorn, but a handled signal is not raised again, so that a graceful stop exits 0."""

    def __init__(self, config: uvicorn.Config, guard: ConnectionGuard, *, obeys_signals: bool) -> None:
        super().__init__(config)
        self._guard = guard
        self._obeys_signals = obeys_signals

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does, but wait for slow peers only briefly."""
        self._guard.hurry()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on SIGINT and SIGTERM, at once on a second one."""
        handled = (signal.SIGINT, signal.SIGTERM) if self._obeys_signals else ()
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; raises `ConflictError` with advice if it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named: asyncio turns off Nagle's algorithm on no other.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # inherited by its connections
        listener.setsockopt(socket.SOL_SOCKET, buffer, SOCKET_BUFFER_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"port {port} on {host} is in use by another program; set USHER_PORT to a free one"
            ) from error
        why = error.strerror or str(error)
        raise ConflictError(f"cannot listen on {host}:{port}: {why}; see USHER_HOST and USHER_PORT") from error
    listener.setblocking(False)  # noqa: FBT003 - the socket API
    return listener
