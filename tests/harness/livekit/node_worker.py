"""A real worker of LiveKit's Node SDK as a process of its own."""

from __future__ import annotations

from pathlib import Path

from tests.harness.livekit.endpoint import Endpoint
from tests.harness.ports import free_ports
from tests.harness.process import Process

PROGRAM = Path(__file__).parent / "programs" / "node_worker_program.mjs"


class NodeWorker(Process):
    """Greets callers as the agent `agent_name`; `modules` is what `cache.node_modules` returns."""

    def __init__(self, modules: Path, server: Endpoint, agent_name: str, *, directory: Path) -> None:
        [port] = free_ports(1)
        environment = {
            **server.environment,
            "WORKER_AGENT_NAME": agent_name,
            "WORKER_PORT": str(port),
            "NODE_MODULES": str(modules),
        }
        command: list[str | Path] = ["node", PROGRAM, "start"]
        super().__init__(f"node-worker-{agent_name}-{port}", command, directory=directory, environment=environment)

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        """Start it, and wait until LiveKit knows it."""
        before = self.log_size()
        super().start(stdin=stdin, stdout=stdout)
        self.wait_until(
            lambda: "registered worker" in self.log_text(since=before), within=40, what="LiveKit has registered it"
        )
