"""A webhook receiver between LiveKit and Usher: it keeps every webhook, and passes it on, refuses it or loses it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK

PATH = "/livekit/webhook"


@dataclass(frozen=True)
class Delivery:
    """One POST by LiveKit, and what was answered."""

    at: float
    token: str
    body: bytes
    status: int

    @property
    def webhook(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def event(self) -> str:
        return str(self.webhook["event"])

    @property
    def identity(self) -> str:
        return str(self.webhook.get("participant", {}).get("identity", ""))

    @property
    def room(self) -> str:
        return str(self.webhook.get("room", {}).get("name", ""))


class Relay:
    """Listens on a port of its own from the start.

    `forward_port`: where Usher listens; None answers 200 and keeps the webhook, as any receiver may.
    `intercept`: the status that LiveKit is given for a webhook that Usher shall not see, or None to pass it on.
    """

    def __init__(self) -> None:
        self.forward_port: int | None = None
        self.intercept: Callable[[dict[str, Any]], int | None] = lambda _webhook: None
        self._deliveries: list[Delivery] = []
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="relay", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}{PATH}"

    def lose_all(self) -> None:
        """Tell LiveKit that all is well, and Usher nothing."""
        self.intercept = lambda _webhook: 200

    def pass_all_on(self) -> None:
        self.intercept = lambda _webhook: None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def deliveries(
        self, event: str | None = None, *, room: str | None = None, identity: str | None = None
    ) -> list[Delivery]:
        """Return what LiveKit sent so far, in order; each condition given must hold."""
        return [
            each
            for each in list(self._deliveries)
            if event in {None, each.event} and room in {None, each.room} and identity in {None, each.identity}
        ]

    def wait_for(
        self, event: str, *, room: str | None = None, identity: str | None = None, within: float = 10
    ) -> Delivery:
        return eventually(
            lambda: self.deliveries(event, room=room, identity=identity),
            within=within,
            what=f"webhook {event} (room {room}, identity {identity})",
        )[0]

    def _answer(self, body: bytes, token: str, content_type: str) -> int:
        intercepted = self.intercept(json.loads(body))
        if intercepted is not None:
            return intercepted
        if self.forward_port is None:
            return 200
        connection = http.client.HTTPConnection(LOOPBACK, self.forward_port, timeout=20)
        try:
            connection.request("POST", PATH, body, {"Authorization": token, "Content-Type": content_type})
            return connection.getresponse().status
        except OSError:
            return 502  # LiveKit tries again, as it would at a closed port
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.time()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = self.headers["Authorization"]
                status = relay._answer(body, token, self.headers["Content-Type"])
                relay._deliveries.append(Delivery(at, token, body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: what was delivered is kept."""

        return Handler
