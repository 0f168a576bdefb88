"""The limit on starts of this process: calls per second in all. Limits of agents: `app.flows.deliver.placement`."""

from __future__ import annotations

from app.token_bucket import TokenBucket


class StartLimiter:
    """A token bucket for all starts of this process."""

    def __init__(self, calls_per_second: float) -> None:
        self._rate = calls_per_second
        self._bucket = TokenBucket(calls_per_second)

    @property
    def paced(self) -> bool:
        """Whether calls per second are limited, so that every start must go through a claim."""
        return self._rate > 0

    def available(self, now: float) -> int:
        """Return how many starts are allowed at `now` (monotonic seconds)."""
        return 1_000_000 if not self.paced else self._bucket.available(now)

    def spend(self, starts: int) -> None:
        """Take the tokens of starts that are made."""
        if self.paced:
            self._bucket.spend(starts)
