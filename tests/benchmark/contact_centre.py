"""A week of a contact centre in virtual time, as a table: `python -m tests.benchmark.contact_centre --calls 100000`.

100,000 calls, one every two seconds, are the busy hours of a week. They
take about an hour and a half of one core. A short one is asserted by
`tests/integration/campaigns/test_contact_centre.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from tempfile import TemporaryDirectory

import structlog
from rich.table import Table

from app.db import schema
from app.db.engine import parse_database_url
from tests.benchmark.figure import console_of_tables
from tests.conftest import Database, fast_folder
from tests.world.contact_centre import LIMITS, ContactCentre
from tests.world.virtual_time import VirtualTimeLoop
from tests.world.world import World


def main() -> int:
    """Run the centre and print what became of its callers; exit 1 when somebody was lost or a limit exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.02, help="share of LiveKit's answers that fail")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    with TemporaryDirectory(dir=fast_folder()) as folder:
        url = parse_database_url(f"sqlite:///{folder}/usher.db")
        schema.upgrade(url)
        async with World(Database(url), sweep=30, signs_by_machine=True) as world:
            centre = ContactCentre(world, options.calls, options.seed)
            centre.prepare()
            world.simulator.faults.by_chance(options.faults, hang_seconds=3.0, seed=options.seed)
            await centre.run()
            verdict, tally, findings = centre.verdict(), centre.tally, centre.findings()
            table = Table(title=f"{options.calls:,} calls in {world.loop.time() / 3600:.1f} hours", show_header=False)
            rows = {
                "callers": verdict.callers,
                "answered": verdict.served,
                "left before an agent came": verdict.gave_up,
                "lost": len(verdict.lost),
                "left alone": len(verdict.alone),
                "two agents of one name": len(verdict.doubled),
                "agents without a caller": len(verdict.unasked),
                "longest wait": f"{verdict.longest_wait:.0f} s",
                "longest queue": tally.longest_queue,
                "places used at most": ", ".join(
                    f"{tally.most_places[one]} of {most} ({one})" for one, most in LIMITS.items()
                ),
                "handed over": ", ".join(f"{count} {by}" for by, count in tally.handed_over.items()),
                "agents out of service": tally.out_of_service,
                "kills": tally.kills,
            }
            for name, value in rows.items():
                table.add_row(name, str(value))
            console = console_of_tables()
            console.print(table)
            for finding in findings:
                console.print(finding)
            return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
