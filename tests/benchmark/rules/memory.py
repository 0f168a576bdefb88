"""What a large rule book costs a process that reads it from a database as `usher serve` does: memory and time."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, insert

from app.db import schema
from app.db.engine import create_reader_engine, parse_database_url
from app.db.tables import routing_rules
from app.rules.book.read_book import read_book
from tests.benchmark.figure import Aim, Figure
from tests.workload.rules_shapes import SHAPES, rows

TARGETS = ((10_000, 150.0), (100_000, 400.0))
MEGABYTE = 1024.0
READ_SECONDS = 2.0
"""To read a hundred thousand rules."""


def measure(*, quick: bool) -> list[Figure]:
    """Return the megabytes with ten thousand and with a hundred thousand rules, each in a process of its own.

    And in how many seconds a hundred thousand were read there.
    """
    figures = []
    for count, target in TARGETS[:1] if quick else TARGETS:
        for shape in SHAPES[:3]:
            name = f"{count:,} rules {shape.name}"
            held = _held(shape.name, count)
            figures.append(Figure(f"resident memory, {name}", "MB", [held["megabytes"]], Aim.AT_MOST, target))
            if not quick and count == TARGETS[-1][0]:
                figures.append(Figure(f"{name} are read in", "s", [held["seconds"]], Aim.AT_MOST, READ_SECONDS))
    return figures


def _held(shape: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'rules.db'}"
        schema.upgrade(parse_database_url(url))
        made = rows(next(known for known in SHAPES if known.name == shape), count)
        engine = create_engine(url)
        with engine.begin() as connection:
            for row in made:
                row["metadata"] = {"language": "es", "rule": row["name"], "who": {"$eval": "participant.identity"}}
            connection.execute(insert(routing_rules), made)
        engine.dispose()
        command = [sys.executable, "-m", "tests.benchmark.rules.memory", url]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        measured: dict[str, float] = json.loads(answer.stdout)
        if measured["rules"] != count:
            raise RuntimeError(f"not a fair run: {measured}")
        return measured


def _hold(url: str) -> None:
    """Read the book and say how long it took and how large the process is, with all that `usher serve` imports."""
    import app.cli.serve  # noqa: F401, PLC0415 - only the measured process needs it

    engine = create_reader_engine(parse_database_url(url))
    gc.disable()  # as `usher serve` does until it serves
    with engine.connect() as connection:
        began = time.perf_counter()
        book = read_book(connection)
        seconds = time.perf_counter() - began
    engine.dispose()
    kilobytes = next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    print(json.dumps({"rules": len(book.rules), "megabytes": kilobytes / MEGABYTE, "seconds": seconds}))


if __name__ == "__main__":
    _hold(sys.argv[1])
