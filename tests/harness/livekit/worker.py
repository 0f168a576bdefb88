"""A real livekit-agents worker as a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from tests.harness.livekit.endpoint import Endpoint
from tests.harness.ports import free_ports
from tests.harness.process import Process

PROGRAM = Path(__file__).parent / "programs" / "worker_program.py"

Behaviour = Literal[
    "greet",
    "refuse",
    "stall",
    "own_identity",
    "hesitate",
    "speak",
    "session",
    "finish",
    "shut_down",
    "hand_over",
    "raise",
    "remove_itself",
    "delete_room",
]
Load = Literal["none", "starting", "default"]


class Worker(Process):
    """Serves the agent `agent_name`.

    `behaviour`: greet the caller; refuse every job; take the job and never come; come under an identity of its own;
    wait, the first time in a room, for the seconds that the caller's metadata names as `hesitate`; publish audio; run a
    default `AgentSession` (without models) and set the attribute `hears` to the SID of the participant whose audio
    reaches it; a second after the greeting set the attribute `usher.done` and shut down gracefully, do so without the
    attribute or with `usher.next` (`expert`) and `usher.context`, raise an exception, remove itself from the room, or
    delete the room.
    `load`: `none` takes any number of jobs at once; `starting` refuses work while a few jobs are starting, as a worker
    with livekit-agents' defaults does on a busy machine; `default` is those defaults.
    """

    def __init__(
        self,
        python: Path,
        server: Endpoint,
        agent_name: str,
        *,
        directory: Path,
        behaviour: Behaviour = "greet",
        load: Load = "none",
    ) -> None:
        self.agent_name = agent_name
        [self.port] = free_ports(1)
        super().__init__(
            f"worker-{agent_name}-{self.port}",
            [python, "-u", PROGRAM, "start"],
            directory=directory,
            environment={
                **server.environment,
                "WORKER_AGENT_NAME": agent_name,
                "WORKER_PORT": str(self.port),
                "WORKER_BEHAVIOUR": behaviour,
                "WORKER_LOAD": load,
            },
        )

    def start(self, *, stdin: bool = False, stdout: bool = False, wait: bool = True) -> None:
        """Start it, and unless asked not to, wait until LiveKit knows it."""
        before = self.log_size()
        super().start(stdin=stdin, stdout=stdout)
        if wait:
            self.wait_for_registration(since=before)

    def wait_for_registration(self, *, since: int = 0, within: float = 30) -> None:
        self.wait_until(
            lambda: "registered worker" in self.log_text(since=since), within=within, what="LiveKit has registered it"
        )

    def job_requests(self) -> list[dict[str, Any]]:
        """Return what the worker logged of each job that LiveKit offered it."""
        records = [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
        return [record for record in records if record.get("message") == "received job request"]
