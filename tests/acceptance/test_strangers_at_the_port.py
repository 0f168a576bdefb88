"""Peers without any right at the port of `usher serve`: LiveKit's webhooks are answered, and its agents dispatched."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.acceptance.campaign.programs import KEY, SECRET, Usher
from tests.conftest import Database
from tests.harness.ports import LOOPBACK, free_ports
from tests.harness.serving import until
from tests.simulator import Simulator

HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 1_000
PIPELINED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 300_000
CALLS = 20


@asynccontextmanager
async def scene(directory: Path, database: Database, *, descriptors: int) -> AsyncIterator[tuple[Usher, Simulator]]:
    """Run Usher with this many file descriptors, and a LiveKit."""
    database.execute("INSERT INTO routing_rules (name, pattern, agent_name) VALUES ('all', '{}', 'ana')")
    (port,) = free_ports(1)
    async with Simulator(key=KEY, secret=SECRET) as simulator:
        settings = {"DATABASE_URL": database.text, "USHER_SWEEP_INTERVAL": "0"}
        usher = Usher("usher", port=port, directory=directory, livekit_url=simulator.url, settings=settings)
        usher.command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"', *usher.command]
        try:
            await asyncio.to_thread(usher.start)
            await asyncio.to_thread(usher.await_ready)
            yield usher, simulator
        finally:
            await asyncio.to_thread(usher.stop)


def join(usher: Usher, number: int) -> int:
    room = {"sid": f"RM_{number}", "name": f"room-{number}"}
    caller = {"sid": f"PA_{number}", "identity": f"caller-{number}", "state": "ACTIVE"}
    status, _, _ = usher.post_webhook("participant_joined", f"EV_{number}", room=room, participant=caller)
    return status


@contextlib.contextmanager
def peers(port: int, count: int, sent: bytes) -> Iterator[None]:
    """Keep so many connections on which `sent` was sent and nothing is read."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            peer = stack.enter_context(socket.create_connection((LOOPBACK, port), timeout=60))
            peer.settimeout(1)  # by then nobody reads what is sent
            with contextlib.suppress(OSError):  # cut off while it sends
                peer.sendall(sent)
        yield


async def _dispatched(usher: Usher, simulator: Simulator) -> None:
    statuses = [await asyncio.to_thread(join, usher, number) for number in range(CALLS)]
    assert statuses == [200] * CALLS
    rooms = {f"room-{number}" for number in range(CALLS)}
    await until(lambda: rooms <= {each.room for each in simulator.ledger.dispatches})


async def test_peers_that_take_all_descriptors_stop_neither_webhooks_nor_deliveries(
    sqlite_database: Database, tmp_path: Path
) -> None:
    async with scene(tmp_path, sqlite_database, descriptors=64) as (usher, simulator):
        # Given twice as many half requests as the process may open files
        with peers(usher.port, 120, HALF_A_HEAD):
            await _dispatched(usher, simulator)
    assert "Too many open files" not in usher.log_text()


async def test_a_peer_that_reads_nothing_gets_no_memory(sqlite_database: Database, tmp_path: Path) -> None:
    async with scene(tmp_path, sqlite_database, descriptors=1024) as (usher, simulator):
        await asyncio.to_thread(join, usher, 1_000)
        before = _resident_megabytes(usher.pid)
        # When three peers send 10 MB of requests each, and read no answer
        with peers(usher.port, 3, PIPELINED):
            await _dispatched(usher, simulator)
            grown = _resident_megabytes(usher.pid) - before
    assert grown < 60


def _resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * 4096 / 1e6
