"""A token bucket allows a burst, and its rate on average."""

from __future__ import annotations

import tracemalloc

import pytest

from app.token_bucket import KeyedBuckets, TokenBucket


def test_a_burst_is_what_a_second_refills_and_at_least_one() -> None:
    assert TokenBucket(5).available(0) == 5
    assert TokenBucket(0.1).available(0) == 1
    assert TokenBucket(5, 20).available(0) == 20


def test_tokens_come_back_at_the_rate_and_up_to_the_burst() -> None:
    bucket = TokenBucket(2, 4)
    assert bucket.available(10) == 4
    bucket.spend(4)
    assert bucket.available(10) == 0
    assert bucket.seconds_until_one(10) == pytest.approx(0.5)
    assert bucket.available(10.4) == 0
    assert bucket.available(10.5) == 1
    assert bucket.seconds_until_one(10.5) == 0
    assert not bucket.is_full(11.9)
    assert bucket.is_full(12)
    assert bucket.available(1000) == 4


def test_what_is_overdrawn_is_refilled_first() -> None:
    bucket = TokenBucket(1)
    bucket.spend(3)
    assert bucket.available(0) == 0
    assert bucket.seconds_until_one(0) == pytest.approx(3)
    assert bucket.available(2.9) == 0
    assert bucket.available(3.1) == 1


@pytest.mark.parametrize("rate", [0.5, 3, 40])
def test_the_average_is_the_rate(rate: float) -> None:
    bucket, spent = TokenBucket(rate), 0
    for tick in range(10_000):
        free = bucket.available(tick / 100)
        bucket.spend(free)
        spent += free
    assert spent == pytest.approx(rate * 100 + max(1, rate), abs=1.5)


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets = KeyedBuckets(0.1, 2)
    for _ in range(2):
        buckets.spend("eva", 0)
    assert [buckets.available(key, 0) for key in ("eva", "ana")] == [0, 2]
    assert buckets.seconds_until_one("eva", 0) == pytest.approx(10)
    assert buckets.available("eva", 10) == 1
    buckets.forget("eva")
    assert buckets.available("eva", 10) == 2


def test_the_memory_of_a_key_does_not_grow_with_the_key() -> None:
    buckets = KeyedBuckets(1, 1)
    tracemalloc.start()
    for number in range(100):
        buckets.spend(f"{number}" + "x" * 100_000, 0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(buckets) == 100
    assert held < 200_000


def test_buckets_are_dropped_once_they_are_full_again() -> None:
    buckets = KeyedBuckets(1, 1)
    for number in range(1000):
        buckets.spend(str(number), number / 10)
    assert len(buckets) <= 11


def test_beyond_the_limit_the_key_used_least_recently_is_dropped() -> None:
    buckets = KeyedBuckets(0.001, 1, max_keys=10)
    for number in range(10):
        buckets.spend(str(number), 0)
    buckets.spend("0", 0)
    buckets.spend("new", 0)
    assert len(buckets) <= 10
    assert [buckets.available(key, 0) for key in ("0", "1", "new")] == [0, 1, 0]


def test_any_text_is_a_key() -> None:
    buckets = KeyedBuckets(1, 1)
    for key in ("", "\0", "\ud800", "é" * 5):
        buckets.spend(key, 0)
        assert buckets.available(key, 0) == 0
