"""Time, randomness and the process's identity. `tests/architecture` forbids reading the time elsewhere."""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Final, Protocol


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


# Only lower case, and letters after digits: every collation of PostgreSQL sorts these texts as Python does.
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
_PAIRS: Final = tuple(first + second for first in _DIGITS for second in _DIGITS)
_START_BITS: Final = 44
_STEP_BITS: Final = 20
"""The greatest of 45 bits is reached after 16 million ids in one millisecond."""


class _Ids:
    """Makes ids that no other process makes, each greater than the last one unless the clock is set back."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._lock = threading.Lock()
        self._millisecond = -1
        self._when = ""
        self._number = 0

    def next(self) -> str:
        with self._lock:
            millisecond = int(self.clock.now().timestamp() * 1000)
            if millisecond != self._millisecond:
                when = f"{millisecond:012x}"
                self._millisecond, self._when = millisecond, f"{when[:8]}-{when[8:]}"
                self._number = secrets.randbits(_START_BITS)
            else:
                self._number += 1 + random.getrandbits(_STEP_BITS)
            when, number = self._when, self._number
        return (
            f"{when}{_DIGITS[number >> 40]}{_PAIRS[number >> 30 & 1023]}{_PAIRS[number >> 20 & 1023]}"
            f"{_PAIRS[number >> 10 & 1023]}{_PAIRS[number & 1023]}"
        )


_ids = _Ids()


def date_ids_by(clock: Clock) -> None:
    """Let `new_id` take its time from `clock`: rows are found by the time in their ids, so all replicas need one."""
    _ids.clock = clock


def new_id() -> str:
    """Return 22 characters that sort by the time they were made, which keyset paging relies on.

    A millisecond and 44 random bits: two replicas that make 350 ids a second each, as for 100 calls a second, make the
    same one once in 4,500 years. Ids sort among the UUIDv7 of earlier releases too (`app.db.record_ids`).
    """
    return _ids.next()


def jitter() -> float:
    """Return a number in [0, 1), to spread retries."""
    return random.random()


def process_name() -> str:
    """Return `host:pid:<random>`, the owner of a lease. Random, because a restarted container reuses its pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(32):08x}"


def new_secret() -> str:
    """Return 256 random bits as text for URLs and cookies."""
    return secrets.token_urlsafe(32)
