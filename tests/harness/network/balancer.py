"""A TCP balancer in front of several servers, as operators put before the nodes of LiveKit."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Sequence

from tests.harness.ports import LOOPBACK


class Balancer:
    """Passes each connection to the next server that accepts one, from `start` to `close`; bytes, no HTTP."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = list(ports)
        self._turns = itertools.count()
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="balancer", daemon=True).start()

    def close(self) -> None:
        for each in (self._listening, *list(self._open)):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        first = next(self._turns)
        for number in range(len(self._ports)):
            port = self._ports[(first + number) % len(self._ports)]
            with contextlib.suppress(OSError):
                return socket.create_connection((LOOPBACK, port), timeout=2)
        return None

    def _serve(self, client: socket.socket) -> None:
        server = self._connect()
        if server is None:
            client.close()
            return
        server.settimeout(None)
        self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        for each in (client, server):
            self._open.discard(each)
            each.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy until either end is gone, then end the other one, too: a lost node is noticed at once."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
