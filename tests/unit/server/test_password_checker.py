"""Guesses are limited; nobody can lock anybody else out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

import pytest

from app.accounts.password import hash_password
from app.errors import TooManyRequestsError
from app.server.console.access import password_checker
from app.server.console.access.password_checker import Attempt, PasswordChecker
from tests.conftest import StillClock

PASSWORD = "correct horse battery"
STORED = cache(lambda: "the hash of the right password")
ATTACKER, OWNER = "198.51.100.7", "203.0.113.5"


@pytest.fixture(autouse=True)
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests count attempts; what a check costs is not their subject."""
    monkeypatch.setattr(password_checker, "verify_password", lambda password, stored: stored and password == PASSWORD)


class Delays:
    """Stands in for sleeping: notes how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def attempts(checker: PasswordChecker, number: int, attempt: Callable[[int], Attempt]) -> int:
    """Make wrong attempts; return how many were looked at."""
    looked_at = 0
    for index in range(number):
        try:
            assert not await checker.matches(attempt(index), "wrong", STORED())
        except TooManyRequestsError:
            continue
        looked_at += 1
    return looked_at


async def test_a_name_is_tried_five_times_from_one_address_and_five_times_a_minute(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    assert await attempts(checker, 8, lambda _: Attempt("eva", ATTACKER)) == 5
    with pytest.raises(TooManyRequestsError, match="wait 12 s") as refused:
        await checker.matches(Attempt("EVA", ATTACKER), PASSWORD, STORED())
    assert refused.value.retry_after_s == 12
    clock.advance(12)
    assert await attempts(checker, 5, lambda _: Attempt("eva", ATTACKER)) == 1
    clock.advance(3600)
    assert await attempts(checker, 8, lambda _: Attempt("eva", ATTACKER)) == 5


async def test_an_address_without_attempts_left_is_refused_before_a_user_is_looked_up(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    checker.require_attempt_left(ATTACKER)
    assert await attempts(checker, 30, lambda number: Attempt(f"user {number}", ATTACKER)) == 20
    with pytest.raises(TooManyRequestsError, match="wait 3 s"):
        checker.require_attempt_left(ATTACKER)
    checker.require_attempt_left("192.0.2.77")


async def test_wrong_passwords_from_elsewhere_do_not_lock_the_owner_out(clock: StillClock) -> None:
    checker = PasswordChecker(clock, Delays())
    await attempts(checker, 500, lambda index: Attempt("eva", f"198.51.100.{index % 250}"))
    assert await checker.matches(Attempt("eva", OWNER), PASSWORD, STORED())


async def test_a_name_that_many_addresses_try_is_slowed_down(clock: StillClock) -> None:
    delays = Delays()
    checker = PasswordChecker(clock, delays)
    await attempts(checker, 20, lambda index: Attempt("eva", f"198.51.100.{index}"))
    assert delays.seconds == []
    await attempts(checker, 3, lambda index: Attempt("eva", f"192.0.2.{index}"))
    assert delays.seconds == [password_checker.SLOW_S] * 3
    assert await checker.matches(Attempt("otto", OWNER), PASSWORD, STORED())
    assert delays.seconds == [password_checker.SLOW_S] * 3, "others are not slowed down"


async def test_a_known_browser_gets_in_from_an_address_whose_attempts_are_used_up(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    assert await attempts(checker, 60, lambda index: Attempt(f"user {index}", OWNER)) == 20
    with pytest.raises(TooManyRequestsError):
        await checker.matches(Attempt("eva", OWNER), PASSWORD, STORED())
    assert await checker.matches(Attempt("eva", OWNER, "device 1"), PASSWORD, STORED())


async def test_a_known_browser_is_limited_too(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    assert await attempts(checker, 15, lambda _: Attempt("eva", OWNER, "device 1")) == 10


async def test_a_login_gives_back_the_attempts(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    await attempts(checker, 4, lambda _: Attempt("eva", OWNER))
    assert await checker.matches(Attempt("Eva", OWNER), PASSWORD, STORED())
    assert await attempts(checker, 8, lambda _: Attempt("eva", OWNER)) == 5


async def test_addresses_of_one_ipv6_network_count_as_one(clock: StillClock) -> None:
    checker = PasswordChecker(clock)
    assert await attempts(checker, 40, lambda index: Attempt(f"user {index}", f"2001:db8::{index:x}")) == 20
    assert await attempts(checker, 1, lambda _: Attempt("user", "2001:db8:0:1::1")) == 1
    assert await attempts(checker, 1, lambda _: Attempt("user", "::ffff:192.0.2.1")) == 1


async def test_strangers_that_wait_are_bounded_and_known_browsers_go_ahead(
    clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, release = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(password: str, _stored: str | None) -> bool:
        if password == "wrong":
            loop.call_soon_threadsafe(started.set)
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return password == PASSWORD

    monkeypatch.setattr(password_checker, "verify_password", slow)
    checker = PasswordChecker(clock)
    waiting = [
        asyncio.create_task(checker.matches(Attempt(f"user {index}", f"198.51.100.{index}"), "wrong", STORED()))
        for index in range(password_checker.MAX_WAITING)
    ]
    await started.wait()
    with pytest.raises(TooManyRequestsError):
        await checker.matches(Attempt("eva", OWNER), PASSWORD, STORED())
    assert await checker.matches(Attempt("eva", OWNER, "device 1"), PASSWORD, STORED())
    release.set()
    assert not any(await asyncio.gather(*waiting))
    assert await checker.matches(Attempt("eva", OWNER), PASSWORD, STORED())


async def test_strangers_leave_half_of_the_time_to_others(clock: StillClock, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noted(delay: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        pauses.append(delay)
        return call_later(0, callback, *arguments)

    def slow(_password: str, _stored: str | None) -> bool:
        clock.advance(0.05)
        return False

    monkeypatch.setattr(password_checker, "verify_password", slow)
    monkeypatch.setattr(loop, "call_later", noted)
    checker = PasswordChecker(clock)
    for attempt in (Attempt("eva", ATTACKER), Attempt("eva", OWNER, "device 1"), Attempt("eva", ATTACKER)):
        assert not await checker.matches(attempt, "wrong", STORED())
    assert pauses == pytest.approx([0.05, 0, 0.05], abs=0.001)


async def test_a_new_password_is_hashed(clock: StillClock) -> None:
    assert (await PasswordChecker(clock).hashed(PASSWORD)).startswith("$argon2")
    assert hash_password(PASSWORD) != await PasswordChecker(clock).hashed(PASSWORD), "salted"
