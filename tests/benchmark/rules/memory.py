"""Resident memory of a process that holds a large rule book, read from a database as `usher serve` reads it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
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


def measure(*, quick: bool) -> list[Figure]:
    """Return the megabytes with ten thousand and with a hundred thousand rules, each in a process of its own."""
    figures = []
    for count, target in TARGETS[:1] if quick else TARGETS:
        for shape in SHAPES[:3]:
            name = f"resident memory, {count:,} rules {shape.name}"
            figures.append(Figure(name, "MB", [_resident(shape.name, count)], Aim.AT_MOST, target))
    return figures


def _resident(shape: str, count: int) -> float:
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
        measured = json.loads(answer.stdout)
        if measured["rules"] != count:
            raise RuntimeError(f"not a fair run: {measured}")
        return float(measured["megabytes"])


def _hold(url: str) -> None:
    """Read the book and say how large the process is now, with everything that `usher serve` imports."""
    import app.cli.serve  # noqa: F401, PLC0415 - only the measured process needs it

    engine = create_reader_engine(parse_database_url(url))
    with engine.connect() as connection:
        book = read_book(connection)
    engine.dispose()
    kilobytes = next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    print(json.dumps({"rules": len(book.rules), "megabytes": kilobytes / MEGABYTE}))


if __name__ == "__main__":
    _hold(sys.argv[1])
