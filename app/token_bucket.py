"""How often something may be done: so many times a second on average, and a bounded number at once."""

from __future__ import annotations


class TokenBucket:
    """Refills at `rate` tokens per second up to `capacity`; every time is in monotonic seconds.

    `capacity` is the burst, by default what a second refills, and at least 1. `spend` may overdraw: the debt is
    refilled first.
    """

    def __init__(self, rate: float, capacity: float | None = None) -> None:
        self.rate = rate
        self.capacity = max(1.0, rate if capacity is None else capacity)
        self._tokens = self.capacity
        self._refilled_at: float | None = None

    def available(self, now: float) -> int:
        """Return how many whole tokens there are at `now`."""
        self._refill(now)
        return int(self._tokens)

    def is_full(self, now: float) -> bool:
        """Return whether the bucket has forgotten all that was spent."""
        self._refill(now)
        return self._tokens >= self.capacity

    def seconds_until_one(self, now: float) -> float:
        """Return how long it takes until a token is available; 0 when there is one."""
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) / self.rate)

    def spend(self, tokens: int) -> None:
        """Take tokens out."""
        self._tokens -= tokens

    def _refill(self, now: float) -> None:
        if self._refilled_at is not None:
            self._tokens = min(self.capacity, self._tokens + (now - self._refilled_at) * self.rate)
        self._refilled_at = now
