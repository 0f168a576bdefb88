"""Joins carried through to CreateDispatch, counted and timed at the stand-in LiveKit, against the inline handler."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from tests.benchmark import process
from tests.benchmark.acknowledgement import check
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.load import Order, Report, send

THROUGHPUT_TARGET = 3.0
MEDIAN_TARGET, TAIL_TARGET = 1.2, 1.0
MODERATE_RATE = 50.0

T = TypeVar("T")

Server = Callable[[Path, str], AbstractContextManager[process.Program]]


def _inline(path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
    return process.baseline("inline_handler", path, livekit_url)


def measure_throughput(*, quick: bool) -> list[Figure]:
    """Return how many joins per second reach LiveKit while joins come as fast as they are answered."""
    rounds, seconds = (1, 3.0) if quick else (5, 5.0)
    rates = _rounds(rounds, lambda server, mark: _throughput(server, mark, seconds))
    return [
        Figure(
            "joins carried through to CreateDispatch",
            "/s",
            [ours for _, ours in rates],
            Aim.AT_LEAST,
            THROUGHPUT_TARGET,
            [baseline for baseline, _ in rates],
            "against a hand-written handler that calls inline",
        )
    ]


def measure_latency(*, quick: bool) -> list[Figure]:
    """Return the time from a webhook's sending to the CreateDispatch at LiveKit, at a rate both can do easily."""
    rounds, seconds = (1, 5.0) if quick else (5, 8.0)
    times = _rounds(rounds, lambda server, mark: _latencies(server, mark, seconds))

    def figure(name: str, share: float, target: float) -> Figure:
        ours = [_percentile(mine, share) for _, mine in times]
        baseline = [_percentile(theirs, share) for theirs, _ in times]
        return Figure(
            f"webhook to CreateDispatch, {name}",
            "ms",
            ours,
            Aim.AT_MOST,
            target,
            baseline,
            f"against calling inline, {MODERATE_RATE:g} joins/s",
        )

    return [figure("p50", 0.5, MEDIAN_TARGET), figure("p99", 0.99, TAIL_TARGET)]


def _rounds(count: int, measure: Callable[[Server, str], T]) -> list[tuple[T, T]]:
    return [(measure(_inline, f"b{number}"), measure(process.usher, f"o{number}")) for number in range(count)]


def _throughput(server: Server, mark: str, seconds: float) -> float:
    report, arrivals = _carry(server, Order(0, process.KEY, process.SECRET, mark, seconds=seconds))
    within = sum(report.began <= at <= report.ended for at in arrivals.values())
    print(mark, f"acked {report.per_second:.0f}/s; carried {within / seconds:.0f}/s; p50 {report.percentile(0.5):.1f}")
    return within / seconds


def _latencies(server: Server, mark: str, seconds: float) -> Sequence[float]:
    order = Order(0, process.KEY, process.SECRET, mark, seconds=seconds, rate=MODERATE_RATE)
    report, arrivals = _carry(server, order)
    waits = sorted(
        (arrivals[room] - sent) * 1000 for room, sent in report.sent_at.items() if report.began <= sent <= report.ended
    )
    print(
        mark,
        len(waits),
        f"p50 {_percentile(waits, 0.5):.1f} p99 {_percentile(waits, 0.99):.1f} max {waits[-1]:.1f}",
        f"ack p50 {report.percentile(0.5):.1f}",
    )
    return waits


def _carry(server: Server, order: Order) -> tuple[Report, dict[str, float]]:
    """Return the report and, by room, when CreateDispatch arrived; refuses a run that lost or doubled a join."""
    with process.folder() as path, process.simulator(path) as livekit:
        process.make_database(path)
        with server(path, livekit.url) as program:
            report = send(Order(**{**_fields(order), "port": program.port}))
            check(report)
            wanted = sum(report.statuses.values())
            deadline = time.monotonic() + 60
            while livekit.get("/simulator/state")["dispatches"] < wanted and time.monotonic() < deadline:
                time.sleep(0.2)
        dispatches = livekit.get("/simulator/ledger")["dispatches"]
    arrivals = {each["room"]: each["asked"] for each in dispatches}
    if len(dispatches) != wanted or len(arrivals) != wanted:
        raise RuntimeError(f"{wanted} joins made {len(dispatches)} dispatches in {len(arrivals)} rooms")
    return report, arrivals


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__slots__}


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
