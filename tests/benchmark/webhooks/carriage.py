"""Joins carried through to CreateDispatch, counted and timed at the stand-in LiveKit, against the inline handler."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import Server, check
from tests.benchmark.webhooks.load import Order, Report, send

THROUGHPUT_TARGET = 3.0
MEDIAN_TARGET, TAIL_TARGET = 1.2, 1.0
MODERATE_RATE = 50.0

T = TypeVar("T")


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
    """Return the time from a webhook's sending to the CreateDispatch at LiveKit, at a rate both can do easily.

    Usher commits before it calls, the inline handler after: the disk's flush lies within our time only. So it is told,
    and measured once more with both databases in memory.
    """
    rounds, seconds = (1, 5.0) if quick else (5, 6.0)
    note = f"against calling inline, {MODERATE_RATE:g} joins/s; "
    flush = f"one flush of this disk: {process.flush_milliseconds():.1f} ms"
    figures = _latency_figures(
        "", note + flush, _rounds(rounds, lambda server, mark: _latencies(server, mark, seconds))
    )
    if process.MEMORY.is_dir():
        in_memory = _rounds(rounds, lambda server, mark: _latencies(server, mark, seconds, in_memory=True))
        figures += _latency_figures(" in memory", f"{note}both databases in memory: without the flush", in_memory)
    return figures


def _latency_figures(where: str, note: str, times: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[Figure]:
    return [
        Figure(
            f"webhook to CreateDispatch{where}, {name}",
            "ms",
            [_percentile(ours, share) for _, ours in times],
            Aim.AT_MOST,
            target,
            [_percentile(baseline, share) for baseline, _ in times],
            note,
        )
        for name, share, target in (("p50", 0.5, MEDIAN_TARGET), ("p99", 0.99, TAIL_TARGET))
    ]


def _rounds(count: int, measure: Callable[[Server, str], T]) -> list[tuple[T, T]]:
    """Measure both in turns; who goes first changes, because a machine warms up and others work on it too."""
    pairs = []
    for number in range(count):
        if number % 2:
            ours = measure(process.usher, f"o{number}")
            pairs.append((measure(_inline, f"b{number}"), ours))
        else:
            pairs.append((measure(_inline, f"b{number}"), measure(process.usher, f"o{number}")))
    return pairs


def _throughput(server: Server, mark: str, seconds: float) -> float:
    report, arrivals = _carry(server, Order(0, process.KEY, process.SECRET, mark, seconds=seconds))
    within = sum(report.began <= at <= report.ended for at in arrivals.values())
    return within / seconds


def _latencies(server: Server, mark: str, seconds: float, *, in_memory: bool = False) -> Sequence[float]:
    order = Order(0, process.KEY, process.SECRET, mark, seconds=seconds, rate=MODERATE_RATE)
    report, arrivals = _carry(server, order, in_memory=in_memory)
    return sorted(
        (arrivals[room] - sent) * 1000 for room, sent in report.sent_at.items() if report.began <= sent <= report.ended
    )


def _carry(server: Server, order: Order, *, in_memory: bool = False) -> tuple[Report, dict[str, float]]:
    """Return the report and, by room, when CreateDispatch arrived; refuses a run that lost or doubled a join."""
    with process.folder(in_memory=in_memory) as path, process.simulator(path) as livekit:
        process.make_database(path)
        with server(path, livekit.url) as program:
            report = send(replace(order, port=program.port))
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


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
