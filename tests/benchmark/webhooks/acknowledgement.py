"""Webhooks acknowledged per second: durable and matched against twenty rules, against verifying alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.load import Order, Report, send
from tests.benchmark.webhooks.traffic import Kind

TARGET = 0.85

Server = Callable[[Path, str], AbstractContextManager[process.Program]]


def measure(*, quick: bool) -> list[Figure]:
    """Return the figure for all webhooks of calls, and the one for joins that all make a dispatch."""
    rounds, seconds = (1, 2.0) if quick else (5, 4.0)
    return [
        _figure(Kind.CALLS, "webhooks acknowledged, all of each call", rounds, seconds),
        _figure(Kind.JOINS, "webhooks acknowledged, joins only", rounds, seconds),
    ]


def _figure(kind: Kind, name: str, rounds: int, seconds: float) -> Figure:
    """Measure both in turns; who goes first changes, because a machine warms up and others work on it too."""
    baseline: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    turns: list[tuple[list[tuple[float, float]], Server]] = [(baseline, _verify_only), (ours, process.usher)]
    for number in range(rounds):
        with process.folder() as path, process.simulator(path) as livekit:
            process.make_database(path)
            for results, server in reversed(turns) if number % 2 else turns:
                with server(path, livekit.url) as program:
                    results.append(_rate_and_cost(program, kind, f"r{number}", seconds))
    cost, its_cost = (median(cost for _, cost in results) for results in (ours, baseline))
    note = f"against verifying alone; processor time each: {cost:.0f} µs against {its_cost:.0f} µs"
    rates, its_rates = ([rate for rate, _ in results] for results in (ours, baseline))
    return Figure(name, "/s", rates, Aim.AT_LEAST, TARGET, its_rates, note)


def _verify_only(path: Path, livekit_url: str) -> AbstractContextManager[process.Program]:
    return process.baseline("verify_only", path, livekit_url)


def _rate_and_cost(program: process.Program, kind: Kind, mark: str, seconds: float) -> tuple[float, float]:
    """Return answers per second and the microseconds of processor time that each took."""
    before = program.cpu_seconds()
    report = send(Order(program.port, process.KEY, process.SECRET, mark, kind, seconds=seconds))
    check(report)
    return report.per_second, (program.cpu_seconds() - before) / sum(report.statuses.values()) * 1e6


def check(report: Report) -> None:
    """Refuse a run in which anything but 200 was answered, or the requests ran out."""
    if set(report.statuses) != {"200"} or report.ran_out:
        raise RuntimeError(f"not a fair run: answers {report.statuses}, ran out: {report.ran_out}")
