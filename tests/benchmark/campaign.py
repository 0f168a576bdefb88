"""The long fault campaigns, one after the other: `python -m tests.benchmark.campaign [--callers 10000] [name …]`.

Prints one row per campaign, and for those that failed the traces of some who fared badly; exit status 1 then.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.acceptance.campaign import kinds
from tests.acceptance.campaign.postgres import postgres
from tests.acceptance.campaign.result import Result, show
from tests.acceptance.campaign.scene import LONG, Size
from tests.benchmark.figure import console_of_tables

NAMES = tuple(campaign.__name__ for campaign in (*kinds.ON_SQLITE, *kinds.ON_POSTGRES))


def run(names: Sequence[str], size: Size, directory: Path) -> Iterator[Result]:
    """Run the campaigns of these names; their databases and logs stay in `directory`."""
    with ExitStack() as stack:
        for campaign in kinds.ON_SQLITE:
            if campaign.__name__ in names:
                yield campaign(_folder(directory, campaign.__name__), size)
        on_postgres = [campaign for campaign in kinds.ON_POSTGRES if campaign.__name__ in names]
        if on_postgres:
            server = stack.enter_context(postgres(_folder(directory, "run")))
            for harmed in on_postgres:
                yield harmed(_folder(directory, harmed.__name__), size, server)


def _folder(directory: Path, name: str) -> Path:
    made = directory / name
    made.mkdir()
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every campaign has passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.campaign", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--callers", type=int, default=LONG.callers)
    parser.add_argument("--rate", type=float, default=LONG.rate, help="joins per second")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such campaign: {', '.join(sorted(unknown))}")
    # Ended from outside, it must still end the programs it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = console_of_tables()
    directory = Path(tempfile.mkdtemp(prefix="usher-campaign-"))
    results = []
    for result in run(options.names or NAMES, replace(LONG, callers=options.callers, rate=options.rate), directory):
        verdict = "FAILED" if result.problems else "passed"
        console.print(f"{result.campaign}: {verdict} after {result.seconds:.0f} s", markup=False, highlight=False)
        results.append(result)
    show(results, console)
    console.print(f"databases and logs: {directory}", markup=False, highlight=False)
    return 1 if any(result.problems for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
