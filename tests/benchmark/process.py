"""The programs that are measured, each in a process of its own, with what the kernel says of them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from app.db import schema
from app.db.engine import parse_database_url
from tests.benchmark.webhooks.traffic import RULES

KEY, SECRET = "benchmark", "signs-nothing-but-the-webhooks-of-a-benchmark"
_UNLIKE_OURS = ("LIVEKIT_", "USHER_", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Program:
    """A running program that listens on `port`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """Return the processor time it has used, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self) -> float:
        """Return the memory it has in use, in MB of 10^6 bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def get(self, path: str) -> Any:
        """Return the JSON at `path`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


MEMORY = Path("/dev/shm")


@contextmanager
def folder(*, in_memory: bool = False) -> Iterator[Path]:
    """Lend an empty folder; `in_memory` where flushing costs nothing, to tell what is the disk's and what is ours."""
    path = Path(tempfile.mkdtemp(prefix="usher-benchmark-", dir=MEMORY if in_memory else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _running(arguments: list[str], port: int, environment: Mapping[str, str], log: Path) -> Iterator[Program]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_UNLIKE_OURS)}
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            cwd=Path(__file__).parents[2],
            env={**inherited, **environment},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    program = Program(process, port, log)
    try:
        _await_answer(program)
        yield program
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(program: Program, within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if program.process.poll() is not None:
            raise RuntimeError(f"{program.process.args!r} ended:\n{program.log.read_text()[-4000:]}")
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=2)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    raise RuntimeError(f"{program.process.args!r} does not answer:\n{program.log.read_text()[-4000:]}")


def flush_milliseconds() -> float:
    """Return what one flush of the disk takes, the median of many."""
    times = []
    with folder() as path, (path / "flushed").open("wb", buffering=0) as file:
        for _ in range(60):
            file.write(b"x" * 8192)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return median(times)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _livekit(url: str) -> dict[str, str]:
    return {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}


@contextmanager
def simulator(path: Path) -> Iterator[Program]:
    """Run the stand-in LiveKit, as light as it goes, without webhooks and workers."""
    port = free_port()
    options = ["--light", "--port", str(port), "--key", KEY, "--secret", SECRET]
    command = [sys.executable, "-m", "tests.simulator", *options]
    with _running(command, port, {}, path / "simulator.log") as program:
        yield program


@contextmanager
def usher(path: Path, livekit_url: str, **settings: str) -> Iterator[Program]:
    """Run `usher serve` with its defaults on the SQLite database `usher.db` in `path`."""
    port = free_port()
    environment = {
        **_livekit(livekit_url),
        "DATABASE_URL": f"sqlite:///{path / 'usher.db'}",
        "USHER_PORT": str(port),
        **settings,
    }
    command = [sys.executable, "-m", "app", "serve"]
    with _running(command, port, environment, path / "usher.log") as program:
        yield program


@contextmanager
def baseline(module: str, path: Path, livekit_url: str, *, database_url: str = "") -> Iterator[Program]:
    """Run the app of a module in `tests.benchmark.webhooks` as `usher serve` does: one process, uvloop, httptools.

    `database_url`: in place of a SQLite file in `path`.
    """
    port = free_port()
    database_url = database_url or f"sqlite+aiosqlite:///{path / 'baseline.db'}"
    environment = {**_livekit(livekit_url), "BASELINE_DATABASE_URL": database_url}
    command = [sys.executable, "-W", "ignore", "-m", "uvicorn", f"tests.benchmark.webhooks.{module}:app"]
    command += ["--port", str(port), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--no-server-header"]
    with _running(command, port, environment, path / f"{module}.log") as program:
        yield program


def make_database(path: Path, rules: Iterable[tuple[str, Any, str]] = RULES) -> Path:
    """Make `usher.db` in `path` with `rules` (name, pattern, agent), put in with plain SQL."""
    database = path / "usher.db"
    schema.upgrade(parse_database_url(f"sqlite:///{database}"))
    connection = sqlite3.connect(database)
    with connection:
        connection.executemany(
            "INSERT INTO routing_rules (name, pattern, agent_name) VALUES (?, ?, ?)",
            ((name, json.dumps(pattern), agent_name) for name, pattern, agent_name in rules),
        )
    connection.close()
    return database
