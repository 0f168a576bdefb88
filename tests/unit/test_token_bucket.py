"""A token bucket allows a burst, and its rate on average."""

from __future__ import annotations

import pytest

from app.token_bucket import TokenBucket


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
