"""`make bench`: the figures of the design, most of them as ratios against a baseline in the same run.

`python -m tests.benchmark [name …] [--quick]`. All but the long run takes half an hour on two cores.
The long fault campaigns have a table of their own: `python -m tests.benchmark.campaign --callers 10000`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from rich.console import Console

from tests.benchmark.attacks import attacked
from tests.benchmark.databases import per_call
from tests.benchmark.figure import Figure, console_of_tables, show
from tests.benchmark.pages import audit_pages
from tests.benchmark.rules import edit_by_sql, evaluate, memory, update
from tests.benchmark.scale import long_run, many
from tests.benchmark.webhooks import acknowledgement, big_room, carriage, low_traffic, mutations, sweep

MEASURES: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "acknowledgement": lambda options: acknowledgement.measure(quick=options.quick),
    "throughput": lambda options: carriage.measure_throughput(quick=options.quick),
    "latency": lambda options: carriage.measure_latency(quick=options.quick),
    "database": lambda options: per_call.measure(quick=options.quick),
    "rules": lambda options: evaluate.measure(quick=options.quick),
    "updates": lambda options: update.measure(quick=options.quick),
    "memory": lambda options: memory.measure(quick=options.quick),
    "edits": lambda options: edit_by_sql.measure(quick=options.quick),
    "audit": lambda options: audit_pages.measure(quick=options.quick, calls=options.calls, database=options.database),
    "low_traffic": lambda options: low_traffic.measure(quick=options.quick),
    "sweep": lambda options: sweep.measure(quick=options.quick),
    "big-room": lambda options: big_room.measure(quick=options.quick),
    "attacked": lambda options: attacked.measure(quick=options.quick),
    "outage": lambda options: many.measure_outage(quick=options.quick),
    "many-rooms": lambda options: many.measure_rooms(quick=options.quick),
    "many-projects": lambda options: many.measure_projects(quick=options.quick),
    "mutations": lambda options: mutations.measure(quick=options.quick, count=options.webhooks),
}

LONG: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "long-run": lambda options: long_run.measure(quick=options.quick, calls=options.calls, rate=options.rate),
}
"""Measured when they are named: the long run takes more than an hour."""


def main() -> int:
    """Measure what is named (default: everything) and print one table; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"{', '.join(MEASURES)}; by name only: {', '.join(LONG)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--calls", type=int, help="of the long run (200000); stored behind the audit pages")
    parser.add_argument("--rate", type=float, help="calls per second of the long run (50)")
    parser.add_argument("--database", help="PostgreSQL filled by tests.workload.stored_calls before, to ask instead")
    parser.add_argument("--webhooks", type=int, help="mutated webhooks (the design says 1000000)")
    options = parser.parse_args()
    measures = MEASURES | LONG
    unknown = set(options.names) - measures.keys()
    if unknown:
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(measures)}")
    progress = Console(stderr=True)
    figures: list[Figure] = []
    for name in options.names or MEASURES:
        began = time.monotonic()
        with progress.status(f"measuring: {name}"):
            figures += measures[name](options)
        progress.print(f"measured: {name}, {time.monotonic() - began:.0f} s")
    show(figures, console_of_tables())
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
