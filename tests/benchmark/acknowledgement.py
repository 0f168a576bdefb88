"""Webhooks acknowledged per second: durable and matched against twenty rules, against verifying alone."""

from __future__ import annotations

from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.load import Order, Report, send
from tests.benchmark.traffic import Kind

TARGET = 0.9


def measure(*, quick: bool) -> list[Figure]:
    """Return the figure for all webhooks of calls, and the one for joins that all make a dispatch."""
    rounds, seconds = (1, 2.0) if quick else (5, 4.0)
    return [
        _figure(Kind.CALLS, "webhooks acknowledged, all of each call", rounds, seconds),
        _figure(Kind.JOINS, "webhooks acknowledged, joins only", rounds, seconds),
    ]


def _figure(kind: Kind, name: str, rounds: int, seconds: float) -> Figure:
    baseline, ours = [], []
    for number in range(rounds):
        with process.folder() as path, process.simulator(path) as livekit:
            process.make_database(path)
            with process.baseline("verify_only", path, livekit.url) as program:
                baseline.append(_per_second(program, kind, f"b{number}", seconds))
            with process.usher(path, livekit.url) as program:
                ours.append(_per_second(program, kind, f"o{number}", seconds))
    return Figure(name, "/s", ours, Aim.AT_LEAST, TARGET, baseline, "durable and matched, against verifying alone")


def _per_second(program: process.Program, kind: Kind, mark: str, seconds: float) -> float:
    before = program.cpu_seconds()
    report = send(Order(program.port, process.KEY, process.SECRET, mark, kind, seconds=seconds))
    check(report)
    print(
        mark,
        kind,
        f"{report.per_second:.0f}/s  p50 {report.percentile(0.5):.1f} p99 {report.percentile(0.99):.1f} ms",
        f"{(program.cpu_seconds() - before) / sum(report.statuses.values()) * 1e6:.0f} us cpu each",
    )
    return report.per_second


def check(report: Report) -> None:
    """Refuse a run in which anything but 200 was answered, or the requests ran out."""
    if set(report.statuses) != {"200"} or report.ran_out:
        raise RuntimeError(f"not a fair run: answers {report.statuses}, ran out: {report.ran_out}")
