"""The Redis behind a livekit-server, in memory only, on a loopback port of its own."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from tests.harness.livekit.cache import CannotBuildError
from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process


class RedisServer(Process):
    """One redis-server that keeps nothing on disk: killed and started again it is empty.

    Raises CannotBuildError where there is no redis-server on the PATH.
    """

    def __init__(self, *, directory: Path, name: str = "redis") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise CannotBuildError("no `redis-server` on the PATH (Debian: redis-server)")
        [self.port] = free_ports(1)
        self.address = f"{LOOPBACK}:{self.port}"
        options = ["--bind", LOOPBACK, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        super().__init__(name, [program, *options], directory=directory)

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        super().start(stdin=stdin, stdout=stdout)
        self.wait_until(lambda: accepts_connections(self.port), within=20, what="its port is open")

    def lose_everything(self) -> None:
        """Empty it while it runs, as after a restart without persistence."""
        answer = self.ask("FLUSHALL")
        assert answer == "+OK\r\n", answer

    def ask(self, *command: str) -> str:
        """Return what Redis answers to a short command, in its own protocol."""
        with socket.create_connection((LOOPBACK, self.port), timeout=60) as connection:
            connection.sendall(" ".join(command).encode() + b"\r\n")
            return connection.recv(4096).decode()
