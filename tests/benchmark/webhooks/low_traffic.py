"""What a quiet installation costs: processor time of a call at 25 calls a second, and of an idle service."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import Server, check
from tests.benchmark.webhooks.load import Order, send
from tests.benchmark.webhooks.traffic import Kind

RATE = 25.0
TARGET_MS = 6.5
"""Half of what a call took in 1f47bcb: 13 ms."""
IDLE_PERCENT = 1.0


def measure(*, quick: bool) -> list[Figure]:
    """Return the processor time of a call with eight webhooks, and the share of a core that an idle service takes."""
    rounds, seconds = (1, 8.0) if quick else (3, 20.0)
    ours: list[float] = []
    baseline: list[float] = []
    idle: list[float] = []
    for number in range(rounds):
        for times, server in ((baseline, _verify_only), (ours, process.usher)):
            times.append(_milliseconds(server, f"l{number}", seconds))
        idle.append(_idle_percent(seconds))
    note = f"eight webhooks; against an app that only verifies them; {RATE:g} calls a second, coming at random"
    return [
        Figure("processor time of a call, against verifying alone", "ms", ours, Aim.AT_MOST, None, baseline, note),
        Figure(f"processor time of a call at {RATE:g} calls a second", "ms", ours, Aim.AT_MOST, TARGET_MS),
        Figure("processor time of an idle service", "% of a core", idle, Aim.AT_MOST, IDLE_PERCENT),
    ]


def _verify_only(path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
    return process.baseline("verify_only", path, livekit_url)


def _milliseconds(server: Server, mark: str, seconds: float) -> float:
    with process.folder() as path, process.simulator(path) as livekit:
        process.make_database(path)
        with server(path, livekit.url) as program:
            before = program.cpu_seconds()
            order = Order(program.port, process.KEY, process.SECRET, mark, Kind.CALLS, seconds=seconds, rate=RATE)
            report = send(order)
            check(report)
            time.sleep(1)  # outcomes of calls to LiveKit are stored in the background
            return (program.cpu_seconds() - before) / len(report.sent_at) * 1e3


def _idle_percent(seconds: float) -> float:
    with process.folder() as path, process.simulator(path) as livekit:
        process.make_database(path)
        with process.usher(path, livekit.url) as program:
            time.sleep(3)
            before = program.cpu_seconds()
            time.sleep(seconds)
            return (program.cpu_seconds() - before) / seconds * 100
