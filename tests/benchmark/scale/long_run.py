"""Very many calls, one after the other: memory, descriptors, latency and database at the end as at the start.

Runs the real `usher serve` on SQLite against the simulated LiveKit of the campaigns. Callers come at a steady rate and
stay a few seconds: of each hundred 97 get an agent, 2 one that hands over to another, and 1 none.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from app.livekit.vocabulary import DisconnectReason
from tests.acceptance.campaign.scene import LONG, Scene, scene
from tests.benchmark.figure import Aim, Figure, console_of_tables
from tests.harness.polling import eventually

CALLS, RATE = 200_000, 50.0
QUICK_CALLS, QUICK_RATE = 2_000, 25.0
STAY_S = 6.0
PARTS = 10
HANDED, ABSENT = 0.02, 0.01
"""Shares of calls that are handed over, and whose agent never joins."""
MOST_MEGABYTES = 250.0
MOST_FILES = 400.0
"""Connections of LiveKit's and to LiveKit grow with the answers' times, not with the number of calls."""
GROWTH = 1.15


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment. Sizes in bytes of 10^6, processor time in seconds."""

    megabytes: float
    descriptors: int
    cpu: float
    stored: float


@dataclass(frozen=True, slots=True)
class Tenth:
    """What was measured while a tenth of the calls came. Times in milliseconds."""

    sample: Sample
    calls: int
    cpu_per_call: float
    stored_per_call: float
    to_call: Sequence[float]
    """From the receipt of the join to CreateDispatch, sorted."""
    to_agent: Sequence[float]
    """From the receipt of the join to the agent's joining, sorted."""


def measure(*, quick: bool, calls: int | None = None, rate: float | None = None) -> list[Figure]:
    """Print the table of the tenths, and return what the last one is against the second: the first fills caches."""
    calls = calls or (QUICK_CALLS if quick else CALLS)
    rate = rate or (QUICK_RATE if quick else RATE)
    directory = Path(tempfile.mkdtemp(prefix="usher-long-run-"))
    try:
        settings = {"USHER_REQUEST_TIMEOUT": "5", "USHER_SWEEP_INTERVAL": "10"}
        size = replace(LONG, callers=calls, rate=rate)
        with scene(directory, size, seed=1, options=["--light"], settings=settings) as made:
            tenths, unserved = _run(made, directory / "usher.db", calls, rate)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    _show(tenths, f"{calls:,} calls at {rate:g} a second")
    second, last = tenths[1], tenths[-1]
    first_call, last_call = _at(second.to_call, 0.99), _at(last.to_call, 0.99)
    most_files = float(max(one.sample.descriptors for one in tenths))
    note = f"the last of ten parts against the second; {calls:,} calls at {rate:g} a second"
    return [
        # Page caches fill while the database is smaller than they are: the sum is judged below.
        _growth("resident memory", "MB", last.sample.megabytes, second.sample.megabytes, note, target=None),
        _growth("processor time of a call", "ms", last.cpu_per_call, second.cpu_per_call),
        _growth("bytes in SQLite for a call", "bytes", last.stored_per_call, second.stored_per_call),
        _growth("p99 of webhook to CreateDispatch", "ms", last_call, first_call, target=1.5),
        Figure("resident memory after a long run", "MB", [last.sample.megabytes], Aim.AT_MOST, MOST_MEGABYTES),
        Figure("most file descriptors in a long run", "", [most_files], Aim.AT_MOST, MOST_FILES),
        Figure("callers of a long run without their agent", "", [float(unserved)], Aim.AT_MOST, 0.0),
    ]


def _growth(
    name: str, unit: str, ours: float, before: float, note: str = "", *, target: float | None = GROWTH
) -> Figure:
    return Figure(f"{name} at the end of a long run", unit, [ours], Aim.AT_MOST, target, [before], note)


def _run(made: Scene, database: Path, calls: int, rate: float) -> tuple[list[Tenth], int]:
    made.start(rules=False)
    rule = made.database.add_rule
    rule("usual", "greeter", {"room": {"name": [{"prefix": "call-"}]}})
    rule("handed", "triage", {"room": {"name": [{"prefix": "handed-"}]}}, min_stay_s=0)
    rule("absent", "nobody", {"room": {"name": [{"prefix": "absent-"}]}}, answer_timeout_s=3, max_attempts=1)
    made.add_workers("greeter")
    made.add_workers(
        "triage",
        leaves_after=1.5,
        leaves_with=DisconnectReason.CLIENT_INITIATED.value,
        says_on_leaving={"usher.next": "greeter"},
    )
    samples, moments = [_sample(made, database)], [_now(database)]
    part = calls // PARTS
    for number in range(PARTS):
        _let_in(made, part, rate, first=number * part)
        time.sleep(part / rate)
        samples.append(_sample(made, database))
        moments.append(_now(database))
    eventually(lambda: _open(database) == 0, within=180, what="every call is over")
    tenths = [
        _tenth(database, samples[number], samples[number + 1], moments[number], moments[number + 1])
        for number in range(PARTS)
    ]
    return tenths, _unserved(database)


def _let_in(made: Scene, count: int, rate: float, *, first: int) -> None:
    for room, share in (("absent", ABSENT), ("handed", HANDED), ("call", 1 - ABSENT - HANDED)):
        some = round(count * share)
        made.livekit.post(
            "joins", count=some, rate=rate * share, first=first, room=room + "-{n}", identity=room + "-{n}", stay=STAY_S
        )


def _sample(made: Scene, database: Path) -> Sample:
    pid = made.ushers[0].pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        _stored(database),
    )


def _ask(database: Path, query: str, *values: object) -> list[tuple[float, ...]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def _stored(database: Path) -> float:
    [(pages,)], [(free,)], [(size,)] = (
        _ask(database, f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size / 1e6


def _now(database: Path) -> str:
    [(latest,)] = _ask(database, "SELECT coalesce(max(created_at), '') FROM dispatches")
    return str(latest)


def _open(database: Path) -> int:
    query = "SELECT count(*) FROM dispatches WHERE status IN ('pending', 'sending', 'dispatched', 'joined')"
    [(number,)] = _ask(database, query)
    return int(number)


def _unserved(database: Path) -> int:
    """Return how many callers with a worker for them never had an agent."""
    query = """SELECT count(*) FROM events WHERE type = 'participant_joined' AND participant_kind = 'STANDARD'
        AND room_name NOT LIKE 'absent-%' AND NOT EXISTS (SELECT 1 FROM dispatches
        WHERE dispatches.event_id = events.id AND joined_at IS NOT NULL)"""
    [(number,)] = _ask(database, query)
    return int(number)


def _tenth(database: Path, before: Sample, after: Sample, since: str, until: str) -> Tenth:
    seconds = "(julianday({}) - julianday(events.received_at)) * 86400000.0"
    query = f"""SELECT {seconds.format("dispatch_attempts.started_at")}, {seconds.format("dispatches.joined_at")}
        FROM dispatches JOIN events ON events.id = dispatches.event_id
        JOIN dispatch_attempts ON dispatch_attempts.dispatch_id = dispatches.id AND dispatch_attempts.number = 1
        WHERE dispatches.created_at > ? AND dispatches.created_at <= ? AND dispatches.replaces IS NULL"""
    rows = _ask(database, query, since, until)
    calls = max(1, len(rows))
    return Tenth(
        after,
        len(rows),
        (after.cpu - before.cpu) / calls * 1e3,
        (after.stored - before.stored) / calls * 1e6,
        sorted(called for called, _ in rows),
        sorted(joined for _, joined in rows if joined is not None),
    )


def _at(times: Sequence[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0


def _show(tenths: Sequence[Tenth], title: str) -> None:
    table = Table(title=f"A long run, by tenths: {title}", title_justify="left")
    for name in (
        "calls",
        "memory MB",
        "files",
        "CPU ms/call",
        "SQLite B/call",
        "to call p50",
        "p99",
        "to agent p50",
        "p99",
    ):
        table.add_column(name, justify="right")
    for one in tenths:
        times = (_at(part, share) for part in (one.to_call, one.to_agent) for share in (0.5, 0.99))
        table.add_row(
            f"{one.calls:,}",
            f"{one.sample.megabytes:.0f}",
            str(one.sample.descriptors),
            f"{one.cpu_per_call:.2f}",
            f"{one.stored_per_call:,.0f}",
            *(f"{time_ms:.1f}" for time_ms in times),
        )
    console_of_tables().print(table)
