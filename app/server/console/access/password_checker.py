"""Checks passwords, and limits how often that is tried in such a manner that no user can be locked out by others.

Guesses are limited for each address, and for each name from one address. Attempts on one name from many addresses are
slowed down, never refused: the limit would lock out the user of that name. A browser in which the user has logged in
before has a limit of its own and goes ahead of strangers, so its user gets in whatever others try.

A check is 50 ms of argon2 and 64 MiB. Two run at the same time at most: one for strangers, one for known browsers.
After one for a stranger, none is begun for as long as it took, so that webhooks get the processor.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from app.accounts.password import hash_password, verify_password
from app.clock import Clock
from app.errors import TooManyRequestsError
from app.server.access.networks import network_of
from app.token_bucket import KeyedBuckets
from app.translation import translatable

T = TypeVar("T")

REFILL_S: Final = 60.0
"""Seconds in which attempts that are used up come back, one after the other."""
PER_NAME_AND_ADDRESS: Final = 5
PER_ADDRESS: Final = 20
PER_KNOWN_BROWSER: Final = 10
PER_NAME: Final = 20
"""Attempts on one name from any addresses, beyond which each is delayed by SLOW_S."""
SLOW_S: Final = 2.0
MAX_WAITING: Final = 64
"""Strangers that wait for their check, for 6 s at most; more are asked to try again."""
MAX_WAITING_PER_ADDRESS: Final = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a password. `browser` identifies one that is known to be the user's; empty for strangers."""

    name: str
    address: str
    browser: str = ""


@dataclass
class _Lane:
    """Checks that run one after the other."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: Counter[str] = field(default_factory=Counter)


class PasswordChecker:
    """Counts attempts in this process: with several replicas, the limits hold for each."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._by_name_and_address = KeyedBuckets(PER_NAME_AND_ADDRESS / REFILL_S, PER_NAME_AND_ADDRESS)
        self._by_address = KeyedBuckets(PER_ADDRESS / REFILL_S, PER_ADDRESS)
        self._by_browser = KeyedBuckets(PER_KNOWN_BROWSER / REFILL_S, PER_KNOWN_BROWSER)
        self._by_name = KeyedBuckets(PER_NAME / REFILL_S, PER_NAME)
        self._strangers = _Lane()
        self._known = _Lane()

    async def matches(self, attempt: Attempt, password: str, stored: str | None) -> bool:
        """Return whether the password is that of the hash `stored`; None if there is no such user.

        Raises TooManyRequestsError, with the seconds to wait, for an attempt too many.
        """
        delay_s = self._count(attempt)
        async with self._place(attempt):
            if delay_s:
                await self._sleep(delay_s)
            is_right = await self._run(attempt, lambda: verify_password(password, stored))
        if is_right:
            self._by_name_and_address.forget(_name_and_address(attempt))
            self._by_browser.forget(attempt.browser)
        return is_right

    def require_attempt_left(self, address: str) -> None:
        """Raise TooManyRequestsError if a stranger at `address` has none, before anything is looked up."""
        _require(self._by_address, network_of(address), self._clock.monotonic())

    def count(self, address: str) -> None:
        """Count an attempt that needs no password here; raise TooManyRequestsError for one too many."""
        _spend(((self._by_address, network_of(address)),), self._clock.monotonic())

    async def hashed(self, password: str) -> str:
        """Return the hash of a new password; callers have checked the right to choose one."""
        async with self._known.turn:
            return await asyncio.to_thread(hash_password, password)

    def _count(self, attempt: Attempt) -> float:
        """Count one attempt; return by how many seconds to delay it."""
        now = self._clock.monotonic()
        if attempt.browser:
            _spend(((self._by_browser, attempt.browser),), now)
            return 0.0
        address = network_of(attempt.address)
        _spend(((self._by_address, address), (self._by_name_and_address, _name_and_address(attempt))), now)
        name = attempt.name.casefold()
        if self._by_name.available(name, now):
            self._by_name.spend(name, now)
            return 0.0
        return SLOW_S

    @asynccontextmanager
    async def _place(self, attempt: Attempt) -> AsyncIterator[None]:
        """Hold a place among those that wait; raise TooManyRequestsError if there is none."""
        waiting = self._lane(attempt).waiting
        address = network_of(attempt.address)
        is_full = sum(waiting.values()) >= MAX_WAITING or waiting[address] >= MAX_WAITING_PER_ADDRESS
        if is_full and not attempt.browser:
            raise TooManyRequestsError(translatable("too many are logging in at this moment; wait 2 s"), 2)
        waiting[address] += 1
        try:
            yield
        finally:
            waiting[address] -= 1
            waiting += Counter()  # drops what is zero

    async def _run(self, attempt: Attempt, check: Callable[[], T]) -> T:
        turn = self._lane(attempt).turn
        await turn.acquire()
        began = self._clock.monotonic()
        try:
            return await asyncio.to_thread(check)
        finally:
            pause_s = 0.0 if attempt.browser else self._clock.monotonic() - began
            asyncio.get_running_loop().call_later(pause_s, turn.release)

    def _lane(self, attempt: Attempt) -> _Lane:
        return self._known if attempt.browser else self._strangers


def _spend(limits: tuple[tuple[KeyedBuckets, str], ...], now: float) -> None:
    for buckets, key in limits:
        _require(buckets, key, now)
    for buckets, key in limits:
        buckets.spend(key, now)


def _require(buckets: KeyedBuckets, key: str, now: float) -> None:
    if not buckets.available(key, now):
        wait_s = max(1, math.ceil(buckets.seconds_until_one(key, now)))
        raise TooManyRequestsError(
            translatable("too many attempts to log in; wait %(wait_s)s s", wait_s=wait_s), wait_s
        )


def _name_and_address(attempt: Attempt) -> str:
    return f"{network_of(attempt.address)} {attempt.name.casefold()}"
