"""The two programs of every campaign: a LiveKit that is simulated, and the real `usher serve`."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt

from tests.harness.polling import eventually
from tests.harness.ports import LOOPBACK
from tests.harness.process import Process

CHECKOUT = Path(__file__).parents[3]
PROGRAM = Path(sys.executable).with_name("usher")
KEY, SECRET = "campaign", "signs-nothing-but-the-webhooks-of-a-campaign"
READY_WITHIN = 60.0
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
"""Debian's faketime; None where it is not installed."""

Headers = Mapping[str, str]


def request(
    port: int, method: str, path: str, body: bytes | None = None, headers: Headers | None = None
) -> tuple[int, Headers, bytes]:
    """Return status, headers (names in small letters) and body of one HTTP call; raises `OSError` without an answer."""
    with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=60)) as connection:
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error}") from error


class SimulatedLiveKit(Process):
    """`python -m tests.simulator`, controlled over HTTP."""

    def __init__(
        self, *, port: int, directory: Path, webhooks: Sequence[str], tempo: float, options: Sequence[str] = ()
    ) -> None:
        self.port = port
        command = [sys.executable, "-m", "tests.simulator", "--port", str(port), "--key", KEY, "--secret", SECRET]
        command += ["--time-factor", str(tempo), *options]
        for url in webhooks:
            command += ["--webhook", url]
        super().__init__("livekit", command, directory=directory, environment={"PYTHONPATH": str(CHECKOUT)})

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        """Start it and wait until it answers."""
        super().start(stdin=stdin, stdout=stdout)
        self.wait_until(self._answers, within=READY_WITHIN, what="its control endpoints answer")

    def _answers(self) -> bool:
        try:
            return request(self.port, "GET", "/simulator/state")[0] == 200
        except OSError:
            return False

    def post(self, action: str, **body: Any) -> Any:
        """Post to a control endpoint and return its answer."""
        return self._call("POST", action, json.dumps(body).encode())

    def ask(self, question: str) -> Any:
        """Return what a control endpoint shows."""
        return self._call("GET", question)

    def forget(self, what: str) -> None:
        """Delete faults, webhook faults or a worker (`workers/<id>`: SIGKILL)."""
        self._call("DELETE", what)

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        status, _, answer = request(self.port, method, f"/simulator/{path}", body)
        if status != 200:
            raise RuntimeError(f"{method} /simulator/{path}: {status} {answer.decode(errors='replace')}")
        return json.loads(answer)


class Usher(Process):
    """One `usher serve`; kills and restarts leave its database alone."""

    def __init__(self, name: str, *, port: int, directory: Path, livekit_url: str, settings: Mapping[str, str]) -> None:
        self.port = port
        environment = {
            "PYTHONPATH": str(CHECKOUT),
            "LIVEKIT_URL": livekit_url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
            "USHER_HOST": LOOPBACK,
            "USHER_PORT": str(port),
            "USHER_LOG_FORMAT": "json",
            **settings,
        }
        super().__init__(name, [PROGRAM, "serve"], directory=directory, environment=environment)

    def set_clock(self, difference: str) -> None:
        """Let the clock of this program differ from now on, also while it runs: `+30s`, `-10m`.

        The monotonic clock is not touched, as when a person or NTP sets the clock.
        """
        file = self.directory / f"{self.name}.clock"
        file.write_text(difference)
        self.variables |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def await_ready(self) -> None:
        """Wait until it is ready to serve; fail with its log when it ends before."""
        self.wait_until(self._ready, within=READY_WITHIN, what="/readyz answers 200")

    def _ready(self) -> bool:
        try:
            return request(self.port, "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def clock_ahead(self) -> float:
        """Return by how many seconds it says that its clock is ahead of the database's."""
        ahead: float = json.loads(request(self.port, "GET", "/readyz")[2])["clock"]["ahead_of_database_s"]
        return ahead

    def post_probe(self, number: int) -> tuple[int, Headers]:
        """Post a signed webhook that asks for nothing but being stored; return status and headers."""
        room = {"sid": f"RM_probe{number}", "name": f"probe-{number}"}
        status, headers, _ = self.post_webhook("room_started", f"EV_probe{number}", room=room)
        return status, headers

    def post_webhook(self, event: str, event_id: str, **content: object) -> tuple[int, Headers, bytes]:
        """Post a signed webhook; return status, headers and body of the answer."""
        stamp = int(time.time())
        body = json.dumps({"event": event, "id": event_id, "createdAt": str(stamp), **content}).encode()
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        token = jwt.encode({"iss": KEY, "nbf": stamp, "exp": stamp + 300, "sha256": digest}, SECRET, algorithm="HS256")
        return request(self.port, "POST", "/livekit/webhook", body, {"Authorization": token})

    def post_until_refused(self, *, within: float) -> Headers:
        """Post until the answer is 503; return its headers."""
        numbers = iter(range(1_000_000))

        def refused() -> Headers | None:
            status, headers = self.post_probe(next(numbers))
            return headers if status == 503 else None

        return eventually(refused, within=within, what="a webhook is answered 503")
