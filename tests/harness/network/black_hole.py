"""A TCP proxy that stops forwarding, as a network does that drops all packets: no connection is closed."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from tests.harness.ports import LOOPBACK


class BlackHole:
    """Forwards to a Unix socket while `forwards`; what arrives otherwise is kept until it forwards again."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = threading.Event()
        self._open.set()
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = [self._listening]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="black-hole", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forwards = True
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def forwards(self) -> bool:
        return self._open.is_set()

    @forwards.setter
    def forwards(self, value: bool) -> None:
        if value:
            self._open.set()
        else:
            self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                server.connect(self._target)
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
