"""Time, randomness and the process's identity. `tests/architecture` forbids reading the time elsewhere."""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Protocol

from uuid_utils import uuid7


class Clock(Protocol):
    """A source of time, passed to whatever needs it; tests pass one that they move."""

    def now(self) -> datetime:
        """Return the wall clock's time, timezone-aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set; only differences mean something."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def new_id() -> str:
    """Return a UUIDv7 as text: ids sort by the time they were made, which keyset paging relies on."""
    return str(uuid7())


def jitter() -> float:
    """Return a number in [0, 1), to spread retries."""
    return random.random()


def process_name() -> str:
    """Return `host:pid:<random>`, the owner of a lease. Random, because a restarted container reuses its pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(32):08x}"


def new_secret() -> str:
    """Return 256 random bits as text for URLs and cookies."""
    return secrets.token_urlsafe(32)
