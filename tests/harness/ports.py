"""Ports on the loopback address that are free."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that are free for TCP and UDP alike.

    All are held until the last is found, so one call never returns a port twice.
    """
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(stream)
            stream.bind((LOOPBACK, 0))
            port = stream.getsockname()[1]
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(datagram)
            try:
                datagram.bind((LOOPBACK, port))
            except OSError:
                continue
            ports.append(port)
    finally:
        for each in held:
            each.close()
    return ports


def accepts_connections(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
