"""The command line as a process, and what it needs around it: a database, a simulated LiveKit, a running Usher."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from app.cli.main import main
from tests.conftest import Database
from tests.harness.ports import free_ports

USHER = Path(sys.executable).with_name("usher")
_LONGEST_WAIT_S = 90.0

_CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Terminal:
    """A shell of 80 columns in a folder of its own, in Coordinated Universal Time."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        """Run `usher` with these arguments; never with a traceback."""
        done = subprocess.run(
            [USHER, *arguments],
            cwd=self.folder,
            env=self.everything(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def everything(self, more: Mapping[str, str] = {}) -> dict[str, str]:
        """Return the environment of a command: nothing of this machine's settings gets in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("USHER", "LIVEKIT"))}
        return {**kept, "COLUMNS": "80", "TZ": "UTC", **self.environment, **more}

    def write(self, name: str, content: str) -> str:
        """Put a file into the folder; return its name."""
        (self.folder / name).write_text(content, encoding="utf-8")
        return name

    def json(self, *arguments: str, **environment: str) -> Any:
        """Return the JSON that a command prints; it must succeed."""
        answer = self.run(*arguments, "--json", **environment)
        assert answer.code == 0, answer.err
        return answer.json


class Shell(Terminal):
    """A terminal whose commands run in this process, a second saved for each; no event loop may run in its thread.

    That each command works in a process of its own is shown by test_commands_as_processes.py and the pages' commands.
    """

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        """Run `usher` with these arguments; a defect that would end it with a traceback is raised."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with ExitStack() as stack:
            stack.callback(time.tzset)  # of this machine again
            for change in (
                patch.dict(os.environ, self.everything(environment), clear=True),
                patch.object(sys, "argv", ["usher", *arguments]),
                patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
                chdir(self.folder),
                redirect_stdout(out),
                redirect_stderr(err),
            ):
                stack.enter_context(change)
            time.tzset()
            try:
                copy_context().run(main)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        return Answer(code, out.getvalue(), err.getvalue())


@dataclass
class LiveKit:
    """A simulated LiveKit in a process of its own."""

    url: str
    key: str
    secret: str

    def post(self, action: str, **values: Any) -> Any:
        """Post to a control endpoint and return its answer."""
        return self._ask("POST", f"/simulator/{action}", values)

    def dispatches(self, room: str) -> list[Any]:
        """Return what it was asked for in rooms whose names begin so."""
        listed = self._ask("GET", "/simulator/ledger")["dispatches"]
        return [one for one in listed if one["room"].startswith(room)]

    def rooms(self, name: str) -> list[str]:
        """Return the open rooms whose names begin so."""
        return [one for one in self._ask("GET", "/simulator/state")["rooms"] if one.startswith(name)]

    def _ask(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> Any:
        body = json.dumps(values).encode() if values is not None else None
        request = urllib.request.Request(self.url + path, data=body, method=method)  # noqa: S310 - our own simulator
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - likewise
            return json.loads(response.read() or b"null")


@dataclass
class Site:
    """A running Usher with its LiveKit, and a terminal to run commands in."""

    terminal: Terminal
    livekit: LiveKit
    database: Database
    url: str


@contextmanager
def running_site(folder: Path, database: Database, rules: str, workers: tuple[str, ...]) -> Iterator[Site]:
    """Serve `rules` against a simulated LiveKit with these workers; end both afterwards."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = [option for name in workers for option in ("--worker", name)]
    command = [sys.executable, "-m", "tests.simulator", "--webhook", f"{url}/livekit/webhook", *options]
    with (folder / "simulator.log").open("wb") as log:
        simulator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_CHECKOUT)
    try:
        livekit = LiveKit(**json.loads(_first_line(simulator)))
        terminal = Terminal(
            folder,
            {
                "DATABASE_URL": database.text,
                "LIVEKIT_URL": livekit.url,
                "LIVEKIT_API_KEY": livekit.key,
                "LIVEKIT_API_SECRET": livekit.secret,
                "USHER_PORT": str(port),
                "USHER_SWEEP_INTERVAL": "0",
            },
        )
        applied = terminal.run("rules", "apply", terminal.write("rules.yaml", rules))
        assert applied.code == 0, applied.err
        with _serving(terminal, url):
            yield Site(terminal, livekit, database, url)
    finally:
        _end(simulator)


@contextmanager
def _serving(terminal: Terminal, url: str) -> Iterator[None]:
    log = terminal.folder / "serve.log"
    environment = terminal.everything()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [USHER, "serve"], cwd=terminal.folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: server.poll() is not None or _answers(f"{url}/healthz"), "usher serve")
        assert server.poll() is None, log.read_text()
        yield
    finally:
        _end(server)


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {what} after {_LONGEST_WAIT_S:g} s")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
            return bool(response.status == 200)
    except OSError:
        return False


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _LONGEST_WAIT_S)
    assert ready, "the simulator did not say that it listens"
    return process.stdout.readline()


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
    if process.stdout is not None:
        process.stdout.close()
