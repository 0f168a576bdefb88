"""Waiting for something that happens in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

INTERVAL = 0.05
GIVE_UP_S = 60.0  # no wait for a condition ends sooner: a shared machine can be ten times slower than ours


def eventually(look: Callable[[], Seen | None], *, within: float, what: str) -> Seen:
    """Return the first truthy answer of `look`; fail when `within` seconds, and at least GIVE_UP_S, pass without one.

    How soon something must happen is measured in virtual time, not here.
    The last look is made after the deadline, so a slow machine is never failed for having looked too early.
    """
    within = max(within, GIVE_UP_S)
    deadline = time.monotonic() + within
    while True:
        late = time.monotonic() >= deadline
        seen = look()
        if seen:
            return seen
        if late:
            raise AssertionError(f"{what}: not within {within:g} s; last seen: {seen!r}")
        time.sleep(INTERVAL)


def never(look: Callable[[], object], *, during: float, what: str) -> None:
    """Fail as soon as `look` answers something truthy; watch for `during` seconds."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            raise AssertionError(f"{what}: seen {seen!r}")
        time.sleep(INTERVAL)
