"""Ports on the loopback address that are free."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
_PORTS = range(10_240, 32_768)  # below those that Linux gives to outgoing connections: 32768 and up by default


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that are free for TCP and UDP alike.

    All are held until the last is found, so one call never returns a port twice. No connection of another test takes
    one of them while its server is down: the system does not give them to connections.
    """
    chance = random.SystemRandom()  # tests that seed `random` would draw the same ports in each process
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(stream)
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(datagram)
            port = chance.choice(_PORTS)
            try:
                stream.bind((LOOPBACK, port))
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
