"""Joins carried through to CreateDispatch, counted and timed at the stand-in LiveKit, against the inline handler."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.benchmark import process
from tests.benchmark.databases.postgres import Postgres, postgres, shown
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import Server, check
from tests.benchmark.webhooks.load import Order, Report, send

THROUGHPUT_TARGET = 4.0
MEDIAN_TARGET, TAIL_TARGET = 1.1, 0.8
MODERATE_RATE = 50.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Pair:
    """Usher and the handler that calls inline, each on a new database of the same kind."""

    where: str
    usher: Server
    inline: Server


def _usher(path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
    process.make_database(path)
    return process.usher(path, livekit_url)


def _inline(path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
    return process.baseline("inline_handler", path, livekit_url)


_SQLITE = _Pair("", _usher, _inline)


def _on(server: Postgres) -> _Pair:
    return _Pair(", PostgreSQL", server.usher, server.inline)


def measure_throughput(*, quick: bool) -> list[Figure]:
    """Return how many joins per second reach LiveKit while joins come as fast as they are answered."""
    rounds, seconds = (1, 3.0) if quick else (5, 5.0)
    figures = _throughput_figures(_SQLITE, rounds, seconds)[:1]
    with postgres() as server:
        figures += _throughput_figures(_on(server), rounds, seconds)
        figures.append(_replicas(server, rounds, seconds))
    return figures


def _throughput_figures(pair: _Pair, rounds: int, seconds: float) -> list[Figure]:
    """Return joins per second against the inline handler, and per second of processor time of Usher."""
    measured = _rounds(pair, rounds, lambda server, mark: _throughput(server, mark, seconds))
    name = f"joins carried through to CreateDispatch{pair.where}"
    ours = [ours for _, (ours, _) in measured]
    baseline = [baseline for (baseline, _), _ in measured]
    note = "against a hand-written handler that calls inline"
    per_core = [per_core for _, (_, per_core) in measured]
    return [
        Figure(name, "/s", ours, Aim.AT_LEAST, THROUGHPUT_TARGET, baseline, note),
        Figure(f"{name}, for a second of a core of Usher", "", per_core, Aim.AT_LEAST, None),
    ]


def _replicas(server: Postgres, rounds: int, seconds: float) -> Figure:
    """Return the joins per second of two replicas against one, each loaded by a generator of its own."""
    alone = [_by_replicas(server, 1, f"a{number}", seconds) for number in range(rounds)]
    both = [_by_replicas(server, 2, f"b{number}", seconds) for number in range(rounds)]
    note = f"against one; Usher, PostgreSQL and the load share {os.cpu_count()} cores"
    return Figure("joins acknowledged by two replicas on PostgreSQL", "/s", both, Aim.AT_LEAST, None, alone, note)


def _by_replicas(server: Postgres, count: int, mark: str, seconds: float) -> float:
    with process.folder() as path, process.simulator(path) as livekit, ExitStack() as stack:
        url = shown(server.new_usher_database())
        programs = [stack.enter_context(process.usher(path, livekit.url, DATABASE_URL=url)) for _ in range(count)]
        orders = [
            Order(
                program.port, process.KEY, process.SECRET, f"{mark}r{number}", connections=32 // count, seconds=seconds
            )
            for number, program in enumerate(programs)
        ]
        with ThreadPoolExecutor(count) as threads:
            reports = list(threads.map(send, orders))
    for report in reports:
        check(report)
    return sum(report.per_second for report in reports)


def measure_latency(*, quick: bool) -> list[Figure]:
    """Return the time from a webhook's sending to the CreateDispatch at LiveKit, at a rate both can do easily.

    Usher commits before it calls, the inline handler after: the disk's flush lies within our time only. So it is told,
    and measured once more with both databases in memory.
    """
    rounds, seconds = (1, 5.0) if quick else (5, 6.0)
    note = f"against calling inline, {MODERATE_RATE:g} joins/s; "
    flush = f"one flush of this disk: {process.flush_milliseconds():.1f} ms"
    on_disk = _rounds(_SQLITE, rounds, lambda server, mark: _latencies(server, mark, seconds))
    figures = _latency_figures("", note + flush, on_disk)
    if process.MEMORY.is_dir():
        in_memory = _rounds(_SQLITE, rounds, lambda server, mark: _latencies(server, mark, seconds, in_memory=True))
        figures += _latency_figures(" in memory", f"{note}both databases in memory: without the flush", in_memory)
    with postgres() as server:
        on_postgres = _rounds(_on(server), rounds, lambda server, mark: _latencies(server, mark, seconds))
        figures += _latency_figures(", PostgreSQL", note + flush, on_postgres)
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


def _rounds(pair: _Pair, count: int, measure: Callable[[Server, str], T]) -> list[tuple[T, T]]:
    """Measure both in turns; who goes first changes, because a machine warms up and others work on it too."""
    pairs = []
    for number in range(count):
        if number % 2:
            ours = measure(pair.usher, f"o{number}")
            pairs.append((measure(pair.inline, f"b{number}"), ours))
        else:
            pairs.append((measure(pair.inline, f"b{number}"), measure(pair.usher, f"o{number}")))
    return pairs


def _throughput(server: Server, mark: str, seconds: float) -> tuple[float, float]:
    """Return joins per second, and joins per second of processor time."""
    report, arrivals, cpu_seconds = _carry(server, Order(0, process.KEY, process.SECRET, mark, seconds=seconds))
    within = sum(report.began <= at <= report.ended for at in arrivals.values())
    return within / seconds, len(arrivals) / cpu_seconds


def _latencies(server: Server, mark: str, seconds: float, *, in_memory: bool = False) -> Sequence[float]:
    order = Order(0, process.KEY, process.SECRET, mark, seconds=seconds, rate=MODERATE_RATE)
    report, arrivals, _ = _carry(server, order, in_memory=in_memory)
    return sorted(
        (arrivals[room] - sent) * 1000 for room, sent in report.sent_at.items() if report.began <= sent <= report.ended
    )


def _carry(server: Server, order: Order, *, in_memory: bool = False) -> tuple[Report, dict[str, float], float]:
    """Return the report, when CreateDispatch arrived by room, and the server's seconds of processor time.

    Refuses a run that lost or doubled a join.
    """
    with process.folder(in_memory=in_memory) as path, process.simulator(path) as livekit:
        with server(path, livekit.url) as program:
            began_with = program.cpu_seconds()
            report = send(replace(order, port=program.port))
            check(report)
            wanted = sum(report.statuses.values())
            deadline = time.monotonic() + 60
            while livekit.get("/simulator/state")["dispatches"] < wanted and time.monotonic() < deadline:
                time.sleep(0.2)
            cpu_seconds = program.cpu_seconds() - began_with
        dispatches = livekit.get("/simulator/ledger")["dispatches"]
    arrivals = {each["room"]: each["asked"] for each in dispatches}
    if len(dispatches) != wanted or len(arrivals) != wanted:
        raise RuntimeError(f"{wanted} joins made {len(dispatches)} dispatches in {len(arrivals)} rooms")
    return report, arrivals, cpu_seconds


def _percentile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]
