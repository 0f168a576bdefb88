"""All the processes of one story: LiveKit, Usher, workers, and people; begun together, ended together."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from livekit import api

from tests.harness.livekit.administration import Administration
from tests.harness.livekit.cluster import Cluster
from tests.harness.livekit.endpoint import Endpoint
from tests.harness.livekit.livekit_server import LiveKitServer
from tests.harness.livekit.node_worker import NodeWorker
from tests.harness.livekit.participants import Participant, Participants
from tests.harness.livekit.redis_server import RedisServer
from tests.harness.livekit.worker import Behaviour, Load, Worker
from tests.harness.network.relay import PATH, Relay
from tests.harness.ports import LOOPBACK, free_ports
from tests.harness.process import Process
from tests.harness.usher import Usher


@dataclass(frozen=True)
class Programs:
    """What the cache holds: livekit-server, and the Python that has livekit-agents."""

    livekit_server: Path
    worker_python: Path


class Scene:
    """LiveKit and people; `start_usher` adds Usher, `start_worker` agents.

    LiveKit posts every webhook to Usher and to `relay`, which keeps it. With `through_relay` it posts to the relay
    alone, which passes it on to Usher or, on request, loses it. `with_redis` gives LiveKit a Redis, as phone calls,
    recordings and several nodes need it: rooms then survive a killed server. With `two_nodes` there are two servers,
    their Redis, and a balancer before them (`cluster`), which is where callers, workers and Usher connect.
    """

    def __init__(
        self,
        programs: Programs,
        *,
        directory: Path,
        through_relay: bool = False,
        with_redis: bool = False,
        two_nodes: bool = False,
    ) -> None:
        self.directory = directory
        self.programs = programs
        self.relay = Relay()
        [self.usher_port] = free_ports(1)
        usher_url = f"http://{LOOPBACK}:{self.usher_port}{PATH}"
        if through_relay:
            self.relay.forward_port = self.usher_port
        webhook_urls = [self.relay.url] if through_relay else [usher_url, self.relay.url]
        self.cluster: Cluster | None = None
        self.redis: RedisServer | None = None
        if two_nodes:
            self.cluster = Cluster(programs.livekit_server, directory=directory, webhook_urls=webhook_urls)
            self.redis, self.server = self.cluster.redis, self.cluster.nodes[0]
        else:
            if with_redis:
                self.redis = RedisServer(directory=directory)
            self.server = LiveKitServer(
                programs.livekit_server,
                directory=directory,
                webhook_urls=webhook_urls,
                redis=self.redis.address if self.redis else None,
            )
        self.endpoint: Endpoint = self.cluster or self.server
        self.livekit = Administration(self.endpoint)
        self.participants = Participants(programs.worker_python, directory=directory)
        self._usher: Usher | None = None
        self.workers: list[Worker] = []
        self.node_workers: list[NodeWorker] = []

    def start(self) -> None:
        if self.cluster is not None:
            self.cluster.start()
        else:
            if self.redis is not None:
                self.redis.start()
            self.server.start()
        self.participants.start()

    @property
    def usher(self) -> Usher:
        if self._usher is None:
            raise RuntimeError("this scene has no Usher yet")
        return self._usher

    def start_usher(self, settings: Mapping[str, str] | None = None) -> Usher:
        self._usher = Usher(self.endpoint, port=self.usher_port, directory=self.directory, settings=settings)
        self._usher.start()
        return self._usher

    def start_worker(
        self, agent_name: str, *, behaviour: Behaviour = "greet", load: Load = "none", wait: bool = True
    ) -> Worker:
        worker = Worker(
            self.programs.worker_python,
            self.endpoint,
            agent_name,
            directory=self.directory,
            behaviour=behaviour,
            load=load,
        )
        self.workers.append(worker)
        worker.start(wait=wait)
        return worker

    def start_node_worker(self, modules: Path, agent_name: str) -> NodeWorker:
        """Start a worker of LiveKit's Node SDK; `modules` is what `cache.node_modules` returns."""
        worker = NodeWorker(modules, self.endpoint, agent_name, directory=self.directory)
        self.node_workers.append(worker)
        worker.start()
        return worker

    def crash(self, *, down_seconds: float = 0.0, workers_die: bool = False) -> None:
        """Kill the server (and its workers) and start it again; callers reconnect by themselves or give up."""
        self.server.kill()
        if workers_die:
            for worker in self.workers:
                worker.kill()
            self.workers.clear()
        time.sleep(down_seconds)
        self.server.start()

    def join(
        self,
        identity: str,
        room: str,
        *,
        metadata: object = None,
        attributes: Mapping[str, str] | None = None,
        name: str = "",
        kind: str = "standard",
        kind_details: Sequence[str] = (),
        grants: Collection[str] = (),
        dispatches: Sequence[api.RoomAgentDispatch] = (),
    ) -> Participant:
        """Let a caller join, with an access token as a token server would make it (`Administration.token`)."""
        token = self.livekit.token(
            identity,
            room,
            metadata=metadata,
            attributes=attributes,
            name=name,
            kind=kind,
            kind_details=kind_details,
            grants=grants,
            dispatches=dispatches,
        )
        return self.participants.join(self.endpoint.url, token)

    def clear(self) -> None:
        """End all calls and forget all rules: what one test did must not be met by the next."""
        for room in self.livekit.room_names():
            self.livekit.delete_room(room)
        if self._usher is not None:
            self._usher.delete_rules()

    def close(self) -> None:
        processes: list[Process] = [self.participants, *self.workers, *self.node_workers, self.server]
        if self.redis is not None:
            processes.append(self.redis)
        if self._usher is not None:
            processes.insert(0, self._usher)
        for process in processes:
            process.kill()
        if self.cluster is not None:
            self.cluster.kill()
        self.relay.close()
