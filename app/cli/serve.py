"""`usher serve`: the service."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
import uvicorn
import uvloop

from app.errors import ConflictError
from app.logs import configure_logs, get_logger
from app.settings import Settings, read_settings
from app.wiring import service

_log = get_logger(__name__)


def serve(
    dev: Annotated[bool, typer.Option("--dev", help="use LiveKit's --dev URL, key and secret")] = False,
) -> None:
    """Take webhooks, dispatch agents, and see that they come."""
    settings = read_settings(development=dev)
    configure_logs(settings.log_format)
    listener = _listen(settings)
    with listener:
        uvloop.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with service(settings) as built:
        config = uvicorn.Config(
            built.app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
            lifespan="on",
        )
        host, port = listener.getsockname()[:2]
        _log.info("usher is serving", url=f"http://{host}:{port}", projects=[one.name for one in settings.projects])
        await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, but a signal that was obeyed is not raised again: a graceful stop exits 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on SIGINT and SIGTERM, at once on a second one."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"port {settings.port} on {settings.host} is in use by another program; set USHER_PORT to a free one"
            ) from error
        raise ConflictError(
            f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the socket API
    return listener
