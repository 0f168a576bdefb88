"""The load generator, a program of its own: `python -m tests.benchmark.webhooks.load` reads an `Order`.

It prints a `Report`; both are JSON. Bodies are made before the clock starts and signed when they are sent (an
old signature is a retry). The webhooks of one call go over one kept-alive connection in their order, as LiveKit's
queues (one per room) send them, with those of other calls between them: an agent takes a while to join.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from tests.benchmark.webhooks.traffic import Kind, Signer, bodies, room_of

OPEN_CALLS = 12
"""Calls that each connection sends in turns."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to send. `rate` 0: each connection as fast as it is answered; else calls per second, coming at random."""

    port: int
    key: str
    secret: str
    mark: str
    kind: str = Kind.JOINS
    path: str = "/livekit/webhook"
    connections: int = 32
    seconds: float = 5.0
    warm_up: float = 1.0
    rate: float = 0.0
    most_per_second: int = 12_000
    simulator_port: int = 0
    """Of a simulated LiveKit that is to have each caller in its room as the join is sent; 0: of none."""


@dataclass(slots=True)
class Report:
    """What came of it. Times are of the monotonic clock, which all processes of a machine share."""

    began: float = 0.0
    ended: float = 0.0
    """The measured span: without the warm-up."""
    answered: int = 0
    """Answers 200 within the span."""
    statuses: dict[str, int] = field(default_factory=dict)
    """All answers."""
    milliseconds: list[float] = field(default_factory=list)
    """From a webhook's being due to its whole answer, of the answers within the span, sorted."""
    sent_at: dict[str, float] = field(default_factory=dict)
    """By room, when the (first) webhook of its call was due: sent, or held up by a server that is behind."""
    ran_out: bool = False
    """The requests did not last: the order's `most_per_second` was too low."""

    @property
    def per_second(self) -> float:
        return self.answered / (self.ended - self.began)

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which that share of the answers came."""
        return self.milliseconds[min(len(self.milliseconds) - 1, int(len(self.milliseconds) * share))]


def send(order: Order) -> Report:
    """Run the generator in a process of its own and return its report."""
    command = [sys.executable, "-m", "tests.benchmark.webhooks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(order)), stdout=subprocess.PIPE, text=True, check=True)
    return Report(**json.loads(done.stdout))


async def start(order: Order) -> asyncio.Task[Report]:
    """Start the generator in a process of its own; the task ends with its report."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmark.webhooks.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async def report() -> Report:
        output, _ = await process.communicate(json.dumps(asdict(order)).encode())
        return Report(**json.loads(output))

    return asyncio.create_task(report())


class _Connection(asyncio.Protocol):
    """One kept-alive connection; `answered` gets each status as soon as the answer is whole."""

    def __init__(self, answered: Callable[[_Connection, int], None]) -> None:
        self._answered = answered
        self._received = b""
        self.transport: asyncio.Transport
        self.calls: deque[deque[bytes]] = deque()
        self.due = 0.0
        self.is_asked = False
        """A request is under way."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.is_asked = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            self._received = received
            return
        place = received.lower().find(b"content-length: ", 0, head)
        length = int(received[place + 16 : received.index(b"\r\n", place)])
        if len(received) < head + 4 + length:
            self._received = received
            return
        self._received = received[head + 4 + length :]
        self.is_asked = False
        self._answered(self, int(received[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        if self.is_asked:
            self.is_asked = False
            self._answered(self, 0)


class _Run:
    """One order being carried out."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._report = Report()
        self._signer = Signer(order.key, order.secret)
        self._head = f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/webhook+json\r\n"
        self._statuses: Counter[int] = Counter()
        self._calls = self._prepare()
        self._connections: list[_Connection] = []
        self._idle: deque[_Connection] = deque()
        self._held_up: deque[float] = deque()
        self._done = asyncio.Event()
        self._stopped = False
        self._under_way = 0
        self._placed = 0
        self._places: _Connection | None = None

    def _prepare(self) -> deque[tuple[str, deque[bytes]]]:
        order = self._order
        per_call = 8 if order.kind == Kind.CALLS else 1
        rate = order.rate * 1.5 if order.rate else order.most_per_second / per_call
        count = int(rate * (order.seconds + order.warm_up)) + 10
        return deque(
            (room_of(order.mark, number), deque(bodies(Kind(order.kind), order.mark, number)))
            for number in range(count)
        )

    async def run(self) -> Report:
        order, report = self._order, self._report
        loop = asyncio.get_running_loop()
        connections = self._connections
        for _ in range(order.connections):
            await self._open()
        start = time.monotonic()
        report.began, report.ended = start + order.warm_up, start + order.warm_up + order.seconds
        loop.call_later(order.warm_up + order.seconds, self._stop)
        if order.simulator_port:
            _, self._places = await loop.create_connection(
                lambda: _Connection(lambda _connection, _status: None), "127.0.0.1", order.simulator_port
            )
        if order.rate:
            await self._come_at_random(report.ended)
        else:
            self._idle.clear()
            for connection in connections:
                self._next(connection, time.monotonic())
        await asyncio.wait_for(self._done.wait(), order.seconds + order.warm_up + 30)
        for connection in connections:
            connection.transport.abort()
        report.statuses = {str(status): count for status, count in self._statuses.items()}
        report.milliseconds.sort()
        return report

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._answered), "127.0.0.1", self._order.port)
        self._connections.append(connection)
        self._idle.append(connection)

    async def _come_at_random(self, until: float) -> None:
        chance = random.Random(self._order.mark)
        due = time.monotonic()
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._stopped:
                return  # the answer would not be counted
            while self._idle and self._idle[0].transport.is_closing():  # by the server, which keeps none for ever
                await self._open()
                self._idle.popleft()
            if self._idle:
                self._next(self._idle.popleft(), due)
            else:
                self._held_up.append(due)
            due += chance.expovariate(self._order.rate)

    def _stop(self) -> None:
        self._stopped = True
        if not self._under_way:
            self._done.set()

    def _next(self, connection: _Connection, due: float) -> None:
        """Send the next webhook of the connection's calls in turn, or the first of a new one."""
        if len(connection.calls) < (1 if self._order.rate else OPEN_CALLS):
            if not self._calls:
                self._report.ran_out = True
                self._stopped = True
                return
            room, call = self._calls.popleft()
            self._report.sent_at[room] = due
            self._place(room)
        else:
            call = connection.calls.popleft()
        self._under_way += 1
        body = call.popleft()
        if call:
            connection.calls.append(call)
        line = f"{self._head}Authorization: {self._signer.token(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(line.encode() + body, due)

    def _place(self, room: str) -> None:
        """Put the caller of the next call into its room; else an agent would be sent into a room that is not there."""
        call = f"{self._order.mark}{self._placed:07d}"
        self._placed += 1
        if self._places is not None:
            where = {"room_name": room, "room_sid": f"RM_{call}", "identity": f"caller-{call}", "sid": f"PA_{call}C"}
            body = json.dumps(where).encode()
            head = f"POST /simulator/place HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
            self._places.transport.write(head.encode() + body)

    def _answered(self, connection: _Connection, status: int) -> None:
        if self._done.is_set():
            return
        now = time.monotonic()
        self._under_way -= 1
        self._statuses[status] += 1
        report = self._report
        if status == 200 and report.began <= now <= report.ended:
            report.answered += 1
            report.milliseconds.append((now - connection.due) * 1000)
        if self._stopped:
            if not self._under_way:
                self._done.set()
        elif status == 0:
            self._stop()
        elif connection.calls or not self._order.rate:
            self._next(connection, now)
        elif self._held_up:
            self._next(connection, self._held_up.popleft())
        else:
            self._idle.append(connection)


def main() -> int:
    order = Order(**json.load(sys.stdin))
    report = uvloop.run(_Run(order).run())
    json.dump(asdict(report), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
