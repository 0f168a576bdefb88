"""What one answered call leaves in the database, and what it takes PostgreSQL: bytes, statements, write-ahead log."""

from __future__ import annotations

import http.client
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy.engine import URL

from tests.benchmark import process
from tests.benchmark.databases.postgres import Postgres, postgres, shown
from tests.benchmark.figure import Aim, Figure
from tests.benchmark.webhooks.traffic import Kind, Signer, bodies

STORED_BYTES = 5_000.0
STATEMENTS = 12.0
"""In the transaction that accepts one join, BEGIN and COMMIT included."""

_FIRST = 50
"""Calls before those that count: tables and indexes get their first pages."""
_PARTS = 20
_JOINS = 30
_STATEMENT = re.compile(rb"\[(\d+)\] LOG:  (?:statement|execute [^:]*): (\w+)(?: INTO (\w+))?")


def measure(*, quick: bool) -> list[Figure]:
    """Return what a call with eight webhooks, of which six are stored, costs both databases."""
    calls = 100 if quick else 1_000
    note = f"{calls} calls of eight webhooks, six of them stored; indexes included"
    with process.folder() as path:
        process.make_database(path)
        on_sqlite = _growth(path, calls, lambda: _sqlite_bytes(path / "usher.db"))
    with postgres() as server, process.folder() as path:
        url = server.new_usher_database()

        def vacuum() -> None:
            server.execute(url, "VACUUM")

        on_postgres = _growth(path, calls, lambda: _postgres_bytes(server, url), tidy=vacuum, DATABASE_URL=shown(url))
        log_bytes = _growth(path, calls, lambda: _log_position(server, url), "w", DATABASE_URL=shown(url))
        statements = _statements_of_a_join(server, path)
    return [
        Figure("bytes in SQLite for one answered call", "bytes", [on_sqlite], Aim.AT_MOST, STORED_BYTES, note=note),
        Figure(
            "bytes in PostgreSQL for one answered call",
            "bytes",
            [on_postgres],
            Aim.AT_MOST,
            STORED_BYTES,
            note=f"{note}; VACUUM as often as autovacuum would run on a large table",
        ),
        Figure(
            "write-ahead log of PostgreSQL for one call",
            "bytes",
            [log_bytes],
            Aim.AT_MOST,
            None,
            note=f"{note}; between checkpoints, so without images of whole pages",
        ),
        Figure("statements of PostgreSQL that accept one join", "", [statements], Aim.AT_MOST, STATEMENTS),
    ]


def _growth(
    path: Path,
    calls: int,
    size: Callable[[], int],
    mark: str = "s",
    tidy: Callable[[], None] = lambda: None,
    **settings: str,
) -> float:
    """Return by how much `size` grows for each call; `tidy` runs after every twentieth of the calls.

    A dispatch is updated four times, and autovacuum runs once a fifth of a table is dead rows: after a twentieth more.
    """
    with process.simulator(path) as livekit, process.usher(path, livekit.url, **settings) as program:
        _send(program, f"{mark}a", _FIRST)
        before = size()
        for part in range(_PARTS):
            _send(program, f"{mark}b{part}", calls // _PARTS)
            tidy()
        return (size() - before) / (calls // _PARTS * _PARTS)


def _send(program: process.Program, mark: str, count: int, kind: Kind = Kind.CALLS) -> None:
    """Send the webhooks of whole calls one by one, and wait for what follows them to be stored."""
    signer = Signer(process.KEY, process.SECRET)
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=30)
    for number in range(count):
        for body in bodies(kind, mark, number):
            connection.request("POST", "/livekit/webhook", body, {"Authorization": signer.token(body)})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"not a fair run: {answer.status} {answer.read()!r}")
            answer.read()
    connection.close()
    time.sleep(1)  # outcomes of calls to LiveKit are stored in the background


def _sqlite_bytes(path: Path) -> int:
    connection = sqlite3.connect(path, timeout=10)
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    return (pages - free) * size


def _postgres_bytes(server: Postgres, url: URL) -> int:
    server.execute(url, "VACUUM")
    return int(server.execute(url, "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"))


def _log_position(server: Postgres, url: URL) -> int:
    return int(server.execute(url, "SELECT pg_current_wal_insert_lsn() - CAST('0/0' AS pg_lsn)"))


def _statements_of_a_join(server: Postgres, path: Path) -> float:
    """Return how many statements a transaction has that accepts a join and nothing else, the median of several."""
    url = server.new_usher_database()
    server.execute(url, "ALTER SYSTEM SET log_line_prefix = '[%p] '")
    server.execute(url, "SELECT pg_reload_conf()")
    server.log_statements(url)
    with process.simulator(path) as livekit, process.usher(path, livekit.url, DATABASE_URL=shown(url)) as program:
        _send(program, "j", _JOINS, Kind.JOINS)
    counts: list[int] = []
    open_transactions: dict[bytes, list[bytes]] = {}
    for backend, verb, table in _STATEMENT.findall(server.log.read_bytes()):
        transaction = open_transactions.setdefault(backend, [])
        if verb == b"BEGIN":
            transaction.clear()
        transaction.append(verb + b" " + table)
        if verb == b"COMMIT" and b"INSERT dispatches" in transaction:
            counts.append(len(transaction))
    if len(counts) < _JOINS / 2:
        raise RuntimeError(f"the log of PostgreSQL shows {len(counts)} transactions for {_JOINS} joins")
    return median(counts)
