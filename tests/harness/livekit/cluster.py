"""Two nodes of livekit-server that share a Redis, behind a balancer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from tests.harness.livekit.livekit_server import LiveKitServer
from tests.harness.livekit.redis_server import RedisServer
from tests.harness.network.balancer import Balancer
from tests.harness.ports import LOOPBACK

NODE_OF_ROOM = "room_node_map"
"""The hash in which livekit-server keeps the node of each room. Source: livekit, `pkg/routing/redisrouter.go`."""

_NODE_ID = re.compile(r"ND_\w+")
_OWN_NODE_ID = re.compile(r'starting LiveKit server.*"nodeID": "(ND_\w+)"')


class Cluster:
    """Has the address and the key of one server (`url`, `http_url`, `environment`, …), which is the balancer's."""

    def __init__(self, program: Path, *, directory: Path, webhook_urls: Sequence[str]) -> None:
        self.redis = RedisServer(directory=directory)
        self.api_key, self.api_secret = f"key{secrets.token_hex(4)}", secrets.token_hex(24)
        self.nodes = [
            LiveKitServer(
                program,
                directory=directory,
                webhook_urls=webhook_urls,
                name=f"livekit-{name}",
                redis=self.redis.address,
                keys={self.api_key: self.api_secret},
            )
            for name in ("a", "b")
        ]
        self._balancer = Balancer([node.port for node in self.nodes])
        self.url = f"ws://{LOOPBACK}:{self._balancer.port}"
        self.http_url = f"http://{LOOPBACK}:{self._balancer.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {**self.nodes[0].environment, "LIVEKIT_URL": self.url}

    def start(self) -> None:
        self.redis.start()
        for node in self.nodes:
            node.start()

    def kill(self) -> None:
        """End everything at once."""
        for process in (*self.nodes, self.redis):
            process.kill()
        self._balancer.close()

    def node_of(self, room: str) -> LiveKitServer:
        """Return the node that serves a room; raises LookupError when none does."""
        found = _NODE_ID.search(self.redis.ask("HGET", NODE_OF_ROOM, room))
        if found is not None:
            for node in self.nodes:
                if found.group() in _OWN_NODE_ID.findall(node.log_text()):
                    return node
        raise LookupError(f"no node serves {room}")
