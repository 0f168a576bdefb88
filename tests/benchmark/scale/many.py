"""Very many at once: joins of an outage, rooms to sweep, and projects.

Runs the real `usher serve` on SQLite against the simulated LiveKit of the campaigns, all on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.acceptance.campaign.programs import KEY, SECRET, Usher
from tests.acceptance.campaign.scene import LONG, Scene, scene
from tests.benchmark import process
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.acknowledgement import check
from tests.benchmark.webhooks.load import Order, Report, send
from tests.harness.polling import eventually

LATE_CALLERS, CALLS_PER_SECOND = 2_000, 100
ROOMS, SWEEP_INTERVAL_S = 20_000, 60.0
PROJECTS = 100
RATE = 40.0
IDLE_PERCENT = 2.0


def measure_outage(*, quick: bool) -> list[Figure]:
    """Return how those are served who joined within a second while LiveKit did not answer, once it does.

    The order of waiting is that of joining at LiveKit (`joinedAtMs`), which the callers' numbers are. Their webhooks
    arrive in another: this machine takes more than a second for the 4,000, and each waits for one of 128 connections.
    """
    callers = 500 if quick else LATE_CALLERS
    with _scene(callers, {"USHER_CALLS_PER_SECOND": str(CALLS_PER_SECOND)}) as made:
        made.database.add_rule("late", "greeter", {"room": {"name": [{"prefix": "late-"}]}})
        made.add_workers("greeter")
        before = _megabytes(made.ushers[0])
        for method in ("CreateDispatch", "ListRooms", "ListParticipants", "ListDispatch"):
            made.livekit.post("faults", method=method, kind="refuse", times=None)
        made.let_in(callers, rate=float(callers), room="late-{r}")
        made.await_joins()
        eventually(lambda: _dispatches(made) >= callers, within=300, what="every join is stored")
        time.sleep(10)
        made.livekit.forget("faults")
        began = made.livekit.ask("ledger")["now"]
        used = _cpu_seconds(made.ushers[0])
        eventually(lambda: len(_asked(made)) >= callers, within=600, what="every caller has a dispatch")
        asked = _asked(made)
        grown = _megabytes(made.ushers[0]) - before
        used = _cpu_seconds(made.ushers[0]) - used
    order = [number for number, _ in asked]
    times = [moment for _, moment in asked]
    out_of_turn = sorted(abs(number - place) for place, number in enumerate(order))[int(callers * 0.9)]
    fastest = max(bisect_left(times, moment + 1.0) - place for place, moment in enumerate(times))
    fewest_seconds = callers / CALLS_PER_SECOND
    note = f"{callers:,} joined within a second, LiveKit refused for 10 s; USHER_CALLS_PER_SECOND={CALLS_PER_SECOND}"
    return [
        Figure("calls to LiveKit in the fastest second", "", [fastest], Aim.AT_MOST, 1.05, [CALLS_PER_SECOND], note),
        Figure("places out of turn, 90th percentile", "", [float(out_of_turn)], Aim.AT_MOST, 64.0),
        Figure("the last has a dispatch after", "s", [times[-1] - began], Aim.AT_MOST, 2.0, [fewest_seconds]),
        Figure("processor time of each", "ms", [used / callers * 1e3], Aim.AT_MOST, None),
        Figure("memory that they took", "MB", [grown], Aim.AT_MOST, 100.0),
    ]


def measure_rooms(*, quick: bool) -> list[Figure]:
    """Return how long a sweep of very many rooms takes, and the ratio of the p99 of acknowledgements meanwhile."""
    rooms = 4_000 if quick else ROOMS
    interval = SWEEP_INTERVAL_S * rooms / ROOMS
    seconds = max(4.0, interval / 4)
    with _scene(rooms, {"USHER_SWEEP_INTERVAL": str(interval)}) as made:
        for number in range(rooms):
            sid = f"{number:07d}"
            made.livekit.post(
                "place", room_name=f"quiet-{sid}", room_sid=f"RM_q{sid}", identity=f"caller-{sid}", sid=f"PA_q{sid}"
            )
        eventually(lambda: _lists(made) >= rooms, within=600, what="all rooms were swept once")
        eventually(lambda: _stored(made) >= rooms, within=600, what="all callers are stored")
        time.sleep(interval / 4)
        first = _lists(made)
        eventually(lambda: _lists(made) > first, within=4 * interval, what="the next sweep begins")
        began = time.monotonic()
        swept = _acknowledged(made, "s", seconds)
        eventually(lambda: _lists(made) >= first + rooms, within=600, what="the sweep has listed every room")
        took = time.monotonic() - began
        usher = made.ushers[0]
        usher.stop()
        usher.variables |= {"USHER_SWEEP_INTERVAL": "0"}
        usher.start()
        usher.await_ready()
        quiet = _acknowledged(made, "q", seconds)
    note = f"{rooms:,} rooms with a caller each, sweep interval {interval:g} s, {RATE:g} joins/s meanwhile"
    return [
        Figure("a sweep of very many rooms, against its interval", "s", [took], Aim.AT_MOST, 1.0, [interval], note),
        Figure(
            "p99 of acknowledgements during that sweep",
            "ms",
            [swept.percentile(0.99)],
            Aim.AT_MOST,
            2.0,
            [quiet.percentile(0.99)],
            "against no sweep",
        ),
    ]


def measure_projects(*, quick: bool) -> list[Figure]:
    """Return what an idle service with very many projects takes, their sweeps included."""
    seconds = 15.0 if quick else 60.0
    one, many = (_idle_percent(projects, seconds) for projects in (1, PROJECTS))
    note = f"{PROJECTS} projects, swept every 60 s; one project takes {one:.2f} %"
    return [Figure("processor time of an idle service", "% of a core", [many], Aim.AT_MOST, IDLE_PERCENT, note=note)]


@contextmanager
def _scene(callers: int, settings: Mapping[str, str]) -> Iterator[Scene]:
    directory = Path(tempfile.mkdtemp(prefix="usher-many-"))
    try:
        size = replace(LONG, callers=callers)
        with scene(
            directory,
            size,
            seed=1,
            options=["--light"],
            settings={"USHER_REQUEST_TIMEOUT": "5", "USHER_SWEEP_INTERVAL": "30", **settings},
        ) as made:
            made.start(rules=False)
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _dispatches(made: Scene) -> int:
    [row] = made.database.rows("SELECT count(*) AS number FROM dispatches")
    return int(row["number"])


def _stored(made: Scene) -> int:
    [row] = made.database.rows("SELECT count(*) AS number FROM events WHERE room_name LIKE 'quiet-%'")
    return int(row["number"])


def _asked(made: Scene) -> list[tuple[int, float]]:
    """Return the callers' numbers, in the order of joining, with the times at which LiveKit got their call."""
    made_for = [(each["room"], each["asked"]) for each in made.livekit.ask("ledger")["dispatches"]]
    return sorted(((int(room.removeprefix("late-")), asked) for room, asked in made_for), key=lambda one: one[1])


def _lists(made: Scene) -> int:
    return int(made.livekit.ask("ledger?dispatches=1000000000")["counts"].get("ListParticipants", 0))


def _acknowledged(made: Scene, mark: str, seconds: float) -> Report:
    report = send(Order(made.ushers[0].port, KEY, SECRET, mark, rate=RATE, seconds=seconds))
    check(report)
    return report


def _megabytes(usher: Usher) -> float:
    return int(Path(f"/proc/{usher.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_seconds(usher: Usher) -> float:
    fields = Path(f"/proc/{usher.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _idle_percent(projects: int, seconds: float) -> float:
    with process.folder() as path, process.simulator(path) as livekit:
        process.make_database(path)
        file = path / "projects.yaml"
        file.write_text(json.dumps({"projects": _projects(projects, livekit.url)}))
        with process.usher(path, livekit.url, USHER_PROJECTS_FILE=str(file), USHER_SWEEP_INTERVAL="60") as program:
            time.sleep(35)  # loops rest after half a minute in which nothing happens
            before = program.cpu_seconds()
            time.sleep(seconds)
            return (program.cpu_seconds() - before) / seconds * 100


def _projects(count: int, url: str) -> Sequence[Mapping[str, str]]:
    return [
        {"name": f"project-{number}", "url": url, "api_key": f"{process.KEY}-{number}", "api_secret": process.SECRET}
        for number in range(count)
    ]
