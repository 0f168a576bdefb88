"""The real livekit-server, on loopback addresses only."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.ports import LOOPBACK, accepts_connections, free_ports
from tests.harness.process import Process

LOOPBACK_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"


class LiveKitServer(Process):
    """One livekit-server; after a stop or kill, `start` brings it back on the same ports.

    `redis` is the address (host:port) of the Redis that it keeps rooms in and finds other nodes by; without, it keeps
    them in memory. `keys` is its one API key and secret, made up if not given.
    """

    def __init__(
        self,
        program: Path,
        *,
        directory: Path,
        webhook_urls: Sequence[str] = (),
        name: str = "livekit-server",
        departure_timeout: int | None = None,
        redis: str | None = None,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self.port, self.rtc_udp_port, unused = free_ports(3)
        [(self.api_key, self.api_secret)] = (keys or {f"key{secrets.token_hex(4)}": secrets.token_hex(24)}).items()
        self.url = f"ws://{LOOPBACK}:{self.port}"
        self.http_url = f"http://{LOOPBACK}:{self.port}"
        settings: dict[str, object] = {
            "port": self.port,
            "bind_addresses": [LOOPBACK],
            "rtc": {
                "tcp_port": 0,  # it would listen on all addresses; UDP is enough on one machine
                "udp_port": self.rtc_udp_port,
                "use_external_ip": False,
                "node_ip": LOOPBACK,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": [LOOPBACK_INTERFACE]},
                # Clients ask the servers named here for their address; without any, LiveKit names public ones.
                "stun_servers": [f"{LOOPBACK}:{unused}"],
            },
            "keys": {self.api_key: self.api_secret},
            "logging": {"level": "info"},
        }
        if webhook_urls:
            settings["webhook"] = {"api_key": self.api_key, "urls": list(webhook_urls)}
        if redis is not None:
            settings["redis"] = {"address": redis}
        if departure_timeout is not None:
            settings["room"] = {"departure_timeout": departure_timeout}
        configuration = directory / f"{name}.yaml"
        configuration.write_text(json.dumps(settings))  # JSON is YAML
        super().__init__(name, [program, "--config", configuration], directory=directory)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which other programs find this server."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
        }

    def start(self, *, stdin: bool = False, stdout: bool = False) -> None:
        super().start(stdin=stdin, stdout=stdout)
        self.wait_until(lambda: accepts_connections(self.port), within=20, what="its port is open")

    def restart(self) -> None:
        """Kill it without a shutdown, and start it again; without Redis its rooms and dispatches are gone."""
        self.kill()
        self.start()
