"""`make bench`: the figures of the design, as ratios against a baseline in the same run.

`python -m tests.benchmark [name …] [--quick]`. The long fault campaigns have a table of their own:
`python -m tests.benchmark.campaign --callers 10000`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from tests.benchmark import acknowledgement, audit_pages, carriage, rules_evaluate, rules_memory
from tests.benchmark.figure import Figure, show

MEASURES: dict[str, Callable[..., list[Figure]]] = {
    "acknowledgement": acknowledgement.measure,
    "throughput": carriage.measure_throughput,
    "latency": carriage.measure_latency,
    "rules": rules_evaluate.measure,
    "memory": rules_memory.measure,
    "audit": audit_pages.measure,
}


def main() -> int:
    """Measure what is named (default: everything) and print one table; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    unknown = set(options.names) - MEASURES.keys()
    if unknown:
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    figures = [figure for name in options.names or MEASURES for figure in MEASURES[name](quick=options.quick)]
    show(figures, Console())
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
