"""One program of the scene: started in a process group of its own, with a log that outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from tests.harness.polling import eventually


class Process:
    """A program that is started, asked to stop, killed and started again.

    Its environment is only what is passed, plus PATH and HOME: nothing of the person's shell leaks in.
    `log` collects standard output and error of all its lives. `known` are all that were ever made, `running` those
    that were started and not yet ended by us.
    """

    running: ClassVar[list[Process]] = []
    known: ClassVar[list[Process]] = []

    def __init__(
        self, name: str, command: Sequence[str | Path], *, directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.directory = directory
        self.log = directory / f"{name}.log"
        self.variables = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.variables |= environment or {}
        self._popen: subprocess.Popen[bytes] | None = None
        Process.known.append(self)

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        """Start it; `stdin` and `stdout` ask for pipes instead of nothing and the log."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self.variables,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else log,
                stderr=log,
                start_new_session=True,
            )
        Process.running.append(self)

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def exit_status(self) -> int | None:
        return self._started.poll()

    @property
    def stdin(self) -> IO[bytes]:
        pipe = self._started.stdin
        if pipe is None:
            raise RuntimeError(f"{self.name} was started without a pipe to its standard input")
        return pipe

    @property
    def stdout(self) -> IO[bytes]:
        pipe = self._started.stdout
        if pipe is None:
            raise RuntimeError(f"{self.name} was started without a pipe from its standard output")
        return pipe

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._popen

    def ask_to_stop(self) -> None:
        """Send SIGTERM and do not wait."""
        if self.alive:
            self._started.terminate()

    def stop(self, *, within: float = 60) -> int | None:
        """Ask it to stop, wait, kill what is left; return its exit status, or None when it had to be killed."""
        if self._popen is None:
            return None
        self.ask_to_stop()
        try:
            status: int | None = self._popen.wait(within)
        except subprocess.TimeoutExpired:
            status = None
        self.kill()
        return status

    def kill(self) -> None:
        """End it and all its children at once, with SIGKILL."""
        if self._popen is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self in Process.running:
            Process.running.remove(self)

    def log_text(self, *, since: int = 0) -> str:
        """Return what it wrote, from byte `since` on."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def wait_until(self, ready: Callable[[], object], *, within: float, what: str) -> None:
        """Wait for `ready`; fail at once, with the log, when the program ends before."""

        def look() -> bool:
            if not self.alive:
                raise AssertionError(
                    f"{self.name} ended with {self.exit_status} before {what}:\n{self.log_text()[-4000:]}"
                )
            return bool(ready())

        try:
            eventually(look, within=within, what=f"{self.name}: {what}")
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.log_text()[-4000:]}") from None
