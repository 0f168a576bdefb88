"""A connection without a network: what uvicorn's protocol does to its transport, and an application that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from app.connections.connection_guard import ConnectionGuard
from app.connections.connection_limits import Limits
from app.connections.guarded_protocol import GuardedProtocol
from app.metrics import Metrics
from tests.conftest import StillClock


class Wire:
    """The transport of one connection, with a peer that reads or does not."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_paused = False
        self.is_closed = False
        self.is_aborted = False
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.sent += data

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def get_extra_info(self, _name: str) -> None:
        return None

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers so far."""
        return [int(part[:3]) for part in self.sent.split(b"HTTP/1.1 ")[1:]]


@dataclass
class Server:
    """The guard, its connections, and an application that answers as soon as a body is whole and `may_answer`."""

    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
    clock: StillClock = field(default_factory=StillClock)
    requests: int = 0
    """Requests that have reached the application."""
    reads_bodies: bool = True
    disconnects: int = 0
    bodies: list[bytes] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()
        self.guard = ConnectionGuard(self.limits, self.metrics, self.clock)
        protocol: Any = partial(GuardedProtocol, self.guard)
        self._config = uvicorn.Config(self._answer, http=protocol, ws="none", interface="asgi3", log_config=None)
        self._config.load()
        self._state = ServerState()

    def connect(self) -> tuple[GuardedProtocol, Wire]:
        """Return a new connection and its transport."""
        make = cast("Callable[..., GuardedProtocol]", self._config.http_protocol_class)
        protocol, wire = make(config=self._config, server_state=self._state, app_state={}), Wire()
        protocol.connection_made(wire)
        return protocol, wire

    def closed(self, reason: str) -> float:
        """Return how many connections were closed for `reason`."""
        return self.metrics.registry.get_sample_value("usher_connections_closed_total", {"reason": reason}) or 0.0

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        body, more = b"", self.reads_bodies
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            body += message["body"]
            more = message["more_body"]
        await self.may_answer.wait()
        self.bodies.append(body)
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(20):
        await asyncio.sleep(0)
