"""A simulated LiveKit in a process of its own: `python -m tests.simulator --webhook http://127.0.0.1:8080/livekit/webhook`.

Prints one line of JSON (`url`, `key`, `secret`) on standard output when it listens; stops on SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

import uvloop

from app.simulator.agents.workers import Behaviour
from app.simulator.simulator import SIMULATOR_KEY, SIMULATOR_SECRET
from app.simulator.timing import Timing
from tests.simulator.control import Control
from tests.simulator.simulator import Simulator


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; exits with status 2 and the usage on wrong ones."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="A stand-in LiveKit.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free one, printed on standard output")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL", help="may be given several times")
    parser.add_argument("--key", default=SIMULATOR_KEY)
    parser.add_argument("--secret", default=SIMULATOR_SECRET)
    parser.add_argument("--worker", action="append", default=[], metavar="NAME", help="a healthy worker of that name")
    parser.add_argument("--fault-share", type=float, default=0.0, metavar="SHARE", help="of all calls, 0 to 1")
    parser.add_argument("--fault-after", type=float, default=0.5, metavar="SHARE", help="of the faults, after effect")
    parser.add_argument("--fault-seed", type=int, default=0)
    parser.add_argument("--fault-hang", type=float, default=0.0, metavar="SECONDS", help="let some faults hang so long")
    parser.add_argument("--time-factor", type=float, default=1.0, help="0.1: everything takes a tenth of the time")
    parser.add_argument("--light", action="store_true", help="no token check and no list of calls: for benchmarks")
    parser.add_argument("--older-server", action="store_true", help="drops the attributes of dispatches")
    return parser.parse_args(arguments)


async def serve(options: argparse.Namespace) -> None:
    """Run until a signal comes."""
    simulator = Simulator(
        webhook_urls=options.webhook,
        key=options.key,
        secret=options.secret,
        host=options.host,
        port=options.port,
        timing=Timing().scaled(options.time_factor),
        keeps_attributes=not options.older_server,
        light=options.light,
    )
    simulator.mount(Control(simulator).application)
    if options.fault_share:
        simulator.faults.by_chance(
            options.fault_share,
            after_share=options.fault_after,
            hang_seconds=options.fault_hang,
            seed=options.fault_seed,
        )
    behaviour = Behaviour().scaled(options.time_factor)
    for name in options.worker:
        simulator.add_worker(name, behaviour)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with simulator:
        ready = {"url": simulator.url, "key": options.key, "secret": options.secret}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> int:
    """Serve; exit status 1 with one line when the port is taken."""
    options = read_arguments(sys.argv[1:])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
