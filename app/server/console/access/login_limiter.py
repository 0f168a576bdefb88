"""Limits attempts to log in, by name, by address, and in all."""

from __future__ import annotations

import math
from typing import Final

from app.clock import Clock
from app.errors import TooManyRequestsError
from app.token_bucket import KeyedBuckets, TokenBucket

_BURST_PER_NAME: Final = 5
_BURST_PER_ADDRESS: Final = 20
_REFILL_S: Final = 60.0
"""Within this time, a name or an address gets back its whole burst."""
_ALL_PER_SECOND: Final = 10.0
"""Checking a password takes 50 ms of argon2, so this is half a core at most."""


class LoginLimiter:
    """Counts attempts to log in, in this process: with several replicas, the limits hold for each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = TokenBucket(_ALL_PER_SECOND)
        self._by_name = KeyedBuckets(_BURST_PER_NAME / _REFILL_S, _BURST_PER_NAME)
        self._by_address = KeyedBuckets(_BURST_PER_ADDRESS / _REFILL_S, _BURST_PER_ADDRESS)

    @property
    def size(self) -> int:
        """How many names and addresses are held in memory."""
        return len(self._by_name) + len(self._by_address)

    def count(self, name: str, address: str) -> None:
        """Count one attempt; raise TooManyRequestsError, with the seconds to wait, when it is one too many."""
        now = self._clock.monotonic()
        if not self._all.available(now):
            raise _too_many(self._all.seconds_until_one(now))
        self._all.spend(1)
        for buckets, key in ((self._by_address, address), (self._by_name, name.casefold())):
            if not buckets.available(key, now):
                raise _too_many(buckets.seconds_until_one(key, now))
            buckets.spend(key, now)

    def forget(self, name: str) -> None:
        """Forget the attempts under a name: its user has logged in."""
        self._by_name.forget(name.casefold())


def _too_many(wait_s: float) -> TooManyRequestsError:
    seconds = max(1, math.ceil(wait_s))
    return TooManyRequestsError(f"too many attempts to log in; wait {seconds} s", seconds)
