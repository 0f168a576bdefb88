"""A lookup on the real LiveKit: a service says which agent the caller gets, and what that knows of the caller."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.harness.ports import LOOPBACK
from tests.harness.scene import Scene

START_SECONDS = 15.0  # what an agent may need from its dispatch to its greeting, on a busy machine
TIERS = {"ana": "gold", "ben": "silver"}


class Service(ThreadingHTTPServer):
    """A customer database; it knows nothing of callers whose identity it does not have, and answers 500."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_port}/ask"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        identity = document["participant"]["identity"]
        self.server.asked.append(identity)
        body = json.dumps({"tier": TIERS.get(identity)}).encode()
        self.send_response(200 if identity in TIERS else 500)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_answer_of_a_service_decides_which_agent_joins(site: Scene, service: Service) -> None:
    site.start_worker("concierge")
    site.start_worker("reception")
    site.usher.change(
        "INSERT INTO lookups (name, pattern, url, timeout_ms, on_error) VALUES ('crm', '{}', ?, 5000, ?)",
        service.url,
        json.dumps({"tier": "unknown"}),
    )
    metadata = {"participant": {"$eval": "participant"}, "tier": "${lookup.crm.tier}"}
    site.usher.add_rule("gold", {"lookup": {"crm": {"tier": ["gold"]}}}, "concierge", priority=10, metadata=metadata)
    site.usher.add_rule("others", {}, "reception", metadata=metadata)

    for identity, agent_name, tier, status in (
        ("ana", "concierge", "gold", "ok"),
        ("ben", "reception", "silver", "ok"),
        ("eva", "reception", "unknown", "error"),
    ):
        room = f"desk of {identity}"
        caller = site.join(identity, room)
        caller.wait_for_greeting(within=START_SECONDS)
        assert len(site.livekit.agents(room, agent_name)) == 1
        assert [document["tier"] for document in caller.job_metadata()] == [tier]
        (join,) = site.usher.events(room=room, identity=identity)
        assert json.loads(join["lookups"])["crm"]["status"] == status
        caller.leave()
    assert service.asked == ["ana", "ben", "eva"]
