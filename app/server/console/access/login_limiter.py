"""Limits attempts to log in, by name, by address, and in all."""

from __future__ import annotations

import math
from typing import Final

from app.clock import Clock
from app.errors import TooManyRequestsError
from app.token_bucket import TokenBucket

_BURST_PER_NAME: Final = 5
_BURST_PER_ADDRESS: Final = 20
_REFILL_S: Final = 60.0
"""Within this time, a name or an address gets back its whole burst."""
_ALL_PER_SECOND: Final = 10.0
"""Checking a password takes 50 ms of argon2, so this is half a core at most."""
_MAX_BUCKETS: Final = 10_000
"""More than the refill time and the limit for all can fill; beyond, full buckets are dropped."""


class LoginLimiter:
    """Counts attempts to log in, in this process: with several replicas, the limits hold for each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = TokenBucket(_ALL_PER_SECOND)
        self._by_name: dict[str, TokenBucket] = {}
        self._by_address: dict[str, TokenBucket] = {}

    def count(self, name: str, address: str) -> None:
        """Count one attempt; raise TooManyRequestsError, with the seconds to wait, when it is one too many."""
        now = self._clock.monotonic()
        buckets = (
            self._all,
            _bucket(self._by_address, address, _BURST_PER_ADDRESS, now),
            _bucket(self._by_name, name.casefold(), _BURST_PER_NAME, now),
        )
        for bucket in buckets:
            if not bucket.available(now):
                wait_s = max(1, math.ceil(bucket.seconds_until_one(now)))
                raise TooManyRequestsError(f"too many attempts to log in; wait {wait_s} s", wait_s)
            bucket.spend(1)

    def forget(self, name: str) -> None:
        """Forget the attempts under a name: its user has logged in."""
        self._by_name.pop(name.casefold(), None)


def _bucket(buckets: dict[str, TokenBucket], key: str, burst: int, now: float) -> TokenBucket:
    if key not in buckets and len(buckets) >= _MAX_BUCKETS:
        for each in [each for each, bucket in buckets.items() if bucket.is_full(now)]:
            del buckets[each]
    return buckets.setdefault(key, TokenBucket(burst / _REFILL_S, burst))
