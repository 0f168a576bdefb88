"""The limits of connections, and how many of them the process can afford."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_CONNECTIONS: Final = 1_000
"""LiveKit, browsers and Prometheus need some tens."""
_RESERVED_DESCRIPTORS: Final = 128
"""For the database, calls to LiveKit and threads: 16 readers of SQLite have two files each, 32 deliveries a socket."""
_MIN_CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection, and all of them together, may take."""

    head_bytes: int = 64 * 1024
    """Request line and headers."""
    head_lines: int = 200
    """Browsers and proxies send about thirty; each costs an object of Python's."""
    head_s: float = 10.0
    """From a connection's beginning, or a request's first byte, to the end of its headers."""
    body_s: float = 15.0
    """From the end of the headers to the end of the body."""
    stalled_s: float = 15.0
    """How long a peer may take nothing of an answer that waits for it."""
    stopping_s: float = 2.0
    """Takes the place of all these times once the process is stopping. Also how long a connection stays open after a
    request on it was refused, so that the peer can read the answer."""
    unfinished_bytes: int = 32 * 1024 * 1024
    """Of requests that have not arrived whole, in all connections."""
    connections: int = MAX_CONNECTIONS


def affordable_limits() -> Limits:
    """Return the limits of a process with this many file descriptors; raises the soft limit on them to the hard one.

    Descriptors are kept back: when connections take the last one, the database and LiveKit cannot be reached.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 2 * _RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return Limits()
    return Limits(connections=connections_within(soft - _descriptors_in_use()))


def connections_within(free_descriptors: int) -> int:
    """Return how many connections may be open at a time when this many descriptors are free."""
    reserved = min(_RESERVED_DESCRIPTORS, free_descriptors * 3 // 4)
    return max(_MIN_CONNECTIONS, min(MAX_CONNECTIONS, free_descriptors - reserved))


def _descriptors_in_use() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):  # Linux; macOS
        try:
            return len(list(Path(folder).iterdir()))
        except OSError:
            continue
    return _RESERVED_DESCRIPTORS
