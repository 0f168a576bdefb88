"""How often something may be done: so many times a second on average, and a bounded number at once."""

from __future__ import annotations

import hashlib
import secrets


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
        """Return how many whole tokens there are at `now`; 0 also while the bucket is overdrawn."""
        self._refill(now)
        return max(0, int(self._tokens))

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


class KeyedBuckets:
    """A bucket for each key, such as an address: in bounded memory, whatever keys outsiders send.

    Keys are held as keyed hashes of 16 bytes. A bucket that has refilled is as good as none and is dropped; beyond
    `max_keys`, the one that was used least recently is dropped although it has not.
    """

    def __init__(self, rate: float, capacity: float, max_keys: int = 10_000) -> None:
        self._rate = rate
        self._capacity = capacity
        self._max_keys = max_keys
        self._secret = secrets.token_bytes(32)  # so that nobody can choose keys that share a bucket
        self._buckets: dict[bytes, TokenBucket] = {}
        """In the order of their last use."""

    def __len__(self) -> int:
        return len(self._buckets)

    def available(self, key: str, now: float) -> int:
        """Return how many whole tokens `key` has at `now`."""
        bucket = self._buckets.get(self._hash(key))
        return int(self._capacity) if bucket is None else bucket.available(now)

    def seconds_until_one(self, key: str, now: float) -> float:
        """Return how long it takes until `key` has a token; 0 when it has one."""
        bucket = self._buckets.get(self._hash(key))
        return 0.0 if bucket is None else bucket.seconds_until_one(now)

    def spend(self, key: str, now: float) -> None:
        """Take a token of `key`."""
        self._drop_refilled(now)
        hashed = self._hash(key)
        bucket = self._buckets.pop(hashed, None) or TokenBucket(self._rate, self._capacity)
        bucket.available(now)
        bucket.spend(1)
        self._buckets[hashed] = bucket

    def forget(self, key: str) -> None:
        """Give `key` all its tokens back."""
        self._buckets.pop(self._hash(key), None)

    def _drop_refilled(self, now: float) -> None:
        """Drop at most two, which is more than each call adds: no call costs more than another."""
        for _ in range(2):
            oldest = next(iter(self._buckets), None)
            if oldest is None or not (len(self._buckets) >= self._max_keys or self._buckets[oldest].is_full(now)):
                return
            del self._buckets[oldest]

    def _hash(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, key=self._secret).digest()
