"""How often somebody may try to log in."""

from __future__ import annotations

import math

from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.clock import Clock
from app.errors import TooManyRequestsError

_PER_NAME = RateLimitItemPerMinute(5, namespace="login-name")
_PER_ADDRESS = RateLimitItemPerMinute(20, namespace="login-address")
_ALL = RateLimitItemPerSecond(10, namespace="login-all")
"""A check costs 50 ms of argon2: nobody may make this process do nothing else."""


class Throttle:
    """Counts tries in this process; with several replicas the limits hold for each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def note(self, name: str, address: str) -> None:
        """Count one try; raise TooManyRequestsError when it is one too many."""
        for limit, who in ((_ALL, ""), (_PER_ADDRESS, address), (_PER_NAME, name.casefold())):
            if not self._limiter.hit(limit, who):
                free_at = self._limiter.get_window_stats(limit, who).reset_time
                wait = max(1, math.ceil(free_at - self._clock.now().timestamp()))
                raise TooManyRequestsError(f"too many tries to log in; wait {min(wait, 60)} s", min(wait, 60))

    def forgive(self, name: str) -> None:
        """Forget the tries under a name once its owner has logged in."""
        self._limiter.clear(_PER_NAME, name.casefold())
