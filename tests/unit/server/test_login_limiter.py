"""Attempts to log in are limited by name, by address, and in all."""

from __future__ import annotations

import pytest

from app.errors import TooManyRequestsError
from app.server.console.access.login_limiter import LoginLimiter
from tests.conftest import StillClock


def _allowed(limiter: LoginLimiter, attempts: int, name: str = "eva", address: str = "a") -> int:
    allowed = 0
    for number in range(attempts):
        try:
            limiter.count(name.format(number), address.format(number))
        except TooManyRequestsError:
            continue
        allowed += 1
    return allowed


def test_a_name_is_tried_five_times_and_five_times_a_minute(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    assert _allowed(limiter, 8) == 5
    with pytest.raises(TooManyRequestsError, match="wait 12 s") as refused:
        limiter.count("EVA", "another address")
    assert refused.value.retry_after_s == 12
    clock.advance(11)
    assert _allowed(limiter, 1) == 0
    clock.advance(1)
    assert _allowed(limiter, 10) == 1
    clock.advance(3600)
    assert _allowed(limiter, 10) == 5


def test_a_login_gives_its_name_back_all_attempts(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    assert _allowed(limiter, 5) == 5
    limiter.forget("Eva")
    assert _allowed(limiter, 10) == 5


def test_an_address_may_try_twenty_names(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    allowed = 0
    for _ in range(10):  # never more than ten a second
        allowed += _allowed(limiter, 5, name=f"user {allowed} {{}}")
        clock.advance(0.5)
    assert 20 <= allowed <= 22


def test_all_together_are_ten_a_second(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    assert _allowed(limiter, 30, name="user {}", address="address {}") == 10
    clock.advance(0.5)
    assert _allowed(limiter, 30, name="other {}", address="other {}") == 5


def test_names_and_addresses_are_forgotten_once_they_have_all_their_attempts_back(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    for batch in range(100):
        _allowed(limiter, 8, name=f"user {batch} {{}}", address=f"address {batch} {{}}")
        clock.advance(10)
    # A name has its attempt back after 12 s, an address after 3 s.
    assert limiter.size <= 48


def test_refused_attempts_are_not_held_in_memory(clock: StillClock) -> None:
    limiter = LoginLimiter(clock)
    _allowed(limiter, 5_000, name="user {}", address="address {}")
    assert limiter.size == 20
