"""What is too slow to make for every run: livekit-server from its Go source, and the workers' virtual environment.

Both live outside the checkout and are made once, under a lock, so that two runs at the same time share the work.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVER_VERSION = "1.13.5"
SERVER_MODULE = f"github.com/livekit/livekit-server/cmd/server@v{SERVER_VERSION}"

# livekit-agents pins the `livekit` (rtc) that it was tested with, which is why this is not Usher's own environment.
WORKER_REQUIREMENTS = ("livekit-agents==1.8.9", "livekit")

NODE_REQUIREMENT = "@livekit/agents@1.9.0"
RTC_NODE = "@livekit/rtc-node@0.13.35"

BUILD_SECONDS = 1800


class CannotBuildError(Exception):
    """A part that these tests stand on is not to be had on this machine; the message says which and why."""


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "usher-e2e"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def livekit_server_program() -> Path:
    """Return the real livekit-server, building it first where needed (80 s on two idle cores).

    Raises CannotBuildError without Go, and when the build fails.
    """
    directory = cache_directory() / "bin" / f"livekit-server-{SERVER_VERSION}"
    program = directory / "server"
    with _lock("livekit-server"):
        if program.exists():
            return program
        if shutil.which("go") is None:
            raise CannotBuildError("building livekit-server needs Go (1.21 or later), and no `go` is on the PATH")
        scratch = directory.with_name(f"{directory.name}.building")
        scratch.mkdir(parents=True, exist_ok=True)
        # Debian's Go would refuse a module that needs a newer one; with `auto` it fetches that.
        toolchain = os.environ.get("GOTOOLCHAIN", "auto")
        _run(["go", "install", SERVER_MODULE], {"GOBIN": str(scratch), "GOTOOLCHAIN": toolchain})
        directory.mkdir(parents=True, exist_ok=True)
        (scratch / "server").replace(program)
        scratch.rmdir()
    return program


def worker_python() -> Path:
    """Return the interpreter of the environment that has livekit-agents and livekit, making it first where needed."""
    key = "\n".join([*WORKER_REQUIREMENTS, sys.version])
    directory = cache_directory() / f"worker-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    python, complete = directory / "bin" / "python", directory / "complete"
    with _lock("worker"):
        if complete.exists():
            return python
        if directory.exists():
            shutil.rmtree(directory)
        # Environments cannot be moved once made, so it is made in place and marked when whole.
        _run([sys.executable, "-m", "venv", str(directory)])
        _run([str(python), "-m", "pip", "install", "--quiet", *WORKER_REQUIREMENTS])
        complete.touch()
    return python


def node_modules() -> Path:
    """Return the folder whose `node_modules` has LiveKit's Node SDK for agents, installing it first where needed.

    Raises CannotBuildError without Node.js and npm, and when the installation fails.
    """
    directory = cache_directory() / f"node-{NODE_REQUIREMENT.rpartition('@')[2]}"
    complete = directory / "complete"
    with _lock("node"):
        if complete.exists():
            return directory
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise CannotBuildError(f"the Node agent needs Node.js with npm, and no `{program}` is on the PATH")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "package.json").write_text('{"private": true}')
        _run(["npm", "install", "--prefix", str(directory), "--no-audit", "--no-fund", NODE_REQUIREMENT, RTC_NODE])
        complete.touch()
    return directory


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    try:
        subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.output if isinstance(error.output, str) else ""
        raise CannotBuildError(f"`{' '.join(command)}` failed: {error}\n{said[-2000:]}") from error


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Hold the lock `name` against other processes; the system drops it should this one die."""
    with (cache_directory() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
