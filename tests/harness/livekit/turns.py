"""Turns of the tests that run side by side, in several processes, on the real livekit-server."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.livekit.cache import cache_directory


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Run the block beside those of other processes on this machine; if `alone`, beside none of them.

    Most of these tests wait for intervals of LiveKit, so two of them at once share two cores without loss. A burst
    starts a process for each caller, and its figures mean something only while nothing else takes the cores.
    """
    directory = cache_directory()
    with (directory / "turn-queue.lock").open("w") as queue, (directory / "turn.lock").open("w") as lock:
        # The queue is held while waiting for the lock, so that one who wants to be alone is not overtaken for ever.
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield
