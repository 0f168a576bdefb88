"""The table "attacked": LiveKit's webhooks while 500 peers without any right do what they can, against quiet.

For each attack: the 99th percentile of the acknowledgements, the growth of resident memory, and the processor time
that it takes of the service, which says more than the percentile where the machine has other work. Each webhook must be
answered 200 and each join lead to a dispatch. The attackers are a process of their own, of lowest priority.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmark import process
from tests.benchmark.attacks.peers import ATTACKS
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.load import Order, Report, send
from tests.benchmark.webhooks.traffic import Kind

PEERS = 500
SLOWER = 2.0
"""How many times longer the 99th percentile may be."""
GROWTH_MB = 100.0
PROCESSOR_PERCENT = 25.0
"""Of one processor, for the attack alone."""
BEGINS_WITHIN_S = 3.0
"""The attackers' program starts, and each of its peers has connected, within this time."""
JOINS_PER_SECOND = 80.0


@dataclass(slots=True)
class Siege:
    """What an attack did."""

    counts: dict[str, int] = field(default_factory=dict)
    grown_mb: float = 0.0


def measure(*, quick: bool, names: Sequence[str] = tuple(ATTACKS), peers: int = PEERS) -> list[Figure]:
    """Return three figures for each attack."""
    rounds, seconds = (1, 5.0) if quick else (3, 12.0)
    figures = []
    for name in names:
        quiet: list[float] = []
        attacked: list[float] = []
        grown: list[float] = []
        taken: list[float] = []
        counts: dict[str, int] = {}
        for number in range(rounds):
            percentile, before, _ = _round(f"q{number}", seconds)
            quiet.append(percentile)
            percentile, during, siege = _round(f"a{number}", seconds, name, peers)
            attacked.append(percentile)
            taken.append(during - before)
            grown.append(siege.grown_mb)
            counts = siege.counts
        attack = ATTACKS[name]
        note = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        figures += [
            Figure(f"attacked, {name}: p99 of webhooks", "ms", attacked, Aim.AT_MOST, SLOWER, quiet, attack.summary),
            Figure(f"attacked, {name}: growth of memory", "MB", grown, Aim.AT_MOST, GROWTH_MB, note=note),
            Figure(f"attacked, {name}: processor taken", "%", taken, Aim.AT_MOST, PROCESSOR_PERCENT),
        ]
    return figures


def _round(mark: str, seconds: float, attack: str = "", peers: int = 0) -> tuple[float, float, Siege]:
    """Return the 99th percentile in milliseconds, the service's share of a processor in percent, and the attack.

    Each round has a service of its own, of the same age: joins of an earlier round would come to their answer
    deadlines in the later one, and be taken for the attack's doing.
    """
    with process.folder(in_memory=True) as path, process.simulator(path) as livekit:
        process.make_database(path)
        with process.usher(path, livekit.url) as program:
            if not attack:
                time.sleep(BEGINS_WITHIN_S)
                return *_p99(program, path, mark, seconds), Siege()
            with _siege(attack, program, peers) as siege:
                percentile, share = _p99(program, path, mark, seconds)
            return percentile, share, siege


def _p99(program: process.Program, path: Path, mark: str, seconds: float) -> tuple[float, float]:
    """Return the 99th percentile in milliseconds, and the service's share of a processor in percent."""
    order = Order(
        program.port,
        process.KEY,
        process.SECRET,
        mark,
        Kind.JOINS,
        connections=64,  # so that an answer that is late holds up no other
        seconds=seconds,
        rate=JOINS_PER_SECOND,
    )
    cpu, began = program.cpu_seconds(), time.monotonic()
    report = send(order)
    share = (program.cpu_seconds() - cpu) / (time.monotonic() - began) * 100
    _require_nothing_lost(report, path, mark)
    return report.percentile(0.99), share


def _require_nothing_lost(report: Report, path: Path, mark: str) -> None:
    if set(report.statuses) != {"200"}:
        raise RuntimeError(f"webhooks of LiveKit were refused: {report.statuses}")
    connection = sqlite3.connect(path / "usher.db")
    query = "SELECT DISTINCT room_name FROM dispatches WHERE room_name LIKE ?"
    served = {room for (room,) in connection.execute(query, (f"call-{mark}-%",))}
    connection.close()
    if lost := report.sent_at.keys() - served:
        raise RuntimeError(f"{len(lost)} of {len(report.sent_at)} joins were answered 200 and have no dispatch")


@contextmanager
def _siege(name: str, program: process.Program, peers: int) -> Iterator[Siege]:
    """Attack until the end of the block."""
    siege = Siege()
    before = program.resident_megabytes()
    # The attackers' own use of the processor is not the service's: they would have machines of their own.
    command = [
        "nice",
        "-n",
        "19",
        sys.executable,
        "-m",
        "tests.benchmark.attacks.peers",
        name,
        str(program.port),
        str(peers),
    ]
    attackers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            siege.grown_mb = max(siege.grown_mb, program.resident_megabytes() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        time.sleep(BEGINS_WITHIN_S)
        yield siege
    finally:
        is_over.set()
        watcher.join()
        output, _ = attackers.communicate("", timeout=60)
    siege.counts = json.loads(output)
